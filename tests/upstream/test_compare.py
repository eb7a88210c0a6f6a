"""`compare-upstream` on a checkout that stands in for the authors', through the real child process and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.upstream.stand_in import ROOT, write_checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return nano with history and a second encoder layer."""
    text = (ROOT / "recipes" / "bevformer_nano.toml").read_text(encoding="utf-8")
    text = text.replace("use_history = false", "use_history = true").replace(
        "[model.encoder]\nlayers = 1", "[model.encoder]\nlayers = 2"
    )
    path = tmp_path_factory.mktemp("recipe") / "bevformer_nano.toml"
    path.write_text(text, encoding="utf-8")
    return path


def compare(checkout: Path, recipe: Path, data: Path) -> tuple[int, Any]:
    """Compare in a process whose own child inherits the same operators: then equal models agree to the last bit."""
    words = ["--checkout", str(checkout), "--recipe", str(recipe), "--dataroot", str(data), "--python", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", "repro", "compare-upstream", *words, "--json"],
        cwd=ROOT,
        env={**os.environ, "BEVREADY_EXTENSION": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_equal_models_agree_in_every_layer_of_both_frames(recipe: Path, synth_root: Path, tmp_path: Path) -> None:
    code, told = compare(write_checkout(tmp_path, recipe), recipe, synth_root)
    assert code == 0
    assert [frame["history"] for frame in told["frames"]] == [False, True]
    for frame in told["frames"]:
        names = [layer["what"] for layer in frame["layers"]]
        assert names[0] == "backbone, level 0"
        assert names[-1] == "all boxes"
        assert len(names) == 3 + 2 * 3 + 3 * 5 + 2
        assert max(layer["worst_abs"] for layer in frame["layers"]) == 0


def test_the_first_layer_that_differs_is_named_and_those_before_it_agree(
    recipe: Path, synth_root: Path, tmp_path: Path
) -> None:
    checkout = write_checkout(tmp_path, recipe, shifted="encoder.1.norms.1")
    code, told = compare(checkout, recipe, synth_root)
    layers = told["frames"][0]["layers"]
    wrong = [number for number, layer in enumerate(layers) if not layer["ok"]]
    assert code == 1
    assert layers[wrong[0]]["what"] == "encoder 1, after spatial cross-attention"
    assert layers[wrong[0]]["worst_abs"] == pytest.approx(0.01, rel=1e-3)
    assert all(layer["worst_abs"] == 0 for layer in layers[: wrong[0]])


def test_a_weight_that_we_lack_is_named(recipe: Path, synth_root: Path, tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path, recipe, extra="pts_bbox_head.transformer.gate.weight")
    code, told = compare(checkout, recipe, synth_root)
    assert code == 2
    assert "weights that ours lacks: pts_bbox_head.transformer.gate.weight" in told["error"]


def test_the_last_words_of_their_code_are_told_when_it_fails(recipe: Path, synth_root: Path, tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path, recipe, config="raise ImportError('no module named mmcv._ext')\n")
    code, told = compare(checkout, recipe, synth_root)
    assert code == 3
    assert "ImportError: no module named mmcv._ext" in told["error"]
    assert "./bevready env --stack upstream" in told["error"]


def test_what_is_no_checkout_says_what_was_expected(recipe: Path, synth_root: Path, tmp_path: Path) -> None:
    (tmp_path / "bare" / "projects" / "mmdet3d_plugin").mkdir(parents=True)
    for folder, words in (("empty", "expected the authors' repository"), ("bare", "no configuration bevformer_nano")):
        code, told = compare(tmp_path / folder, recipe, synth_root)
        assert code == 2
        assert words in told["error"]
