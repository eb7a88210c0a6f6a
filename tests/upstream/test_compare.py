"""`compare-upstream` on a checkout that stands in for the authors', through the real child process and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import export_upstream
from repro.parity.check import Check
from repro.recipe import load_recipe
from repro.upstream.compare import Compared, Comparison
from repro.upstream.exchange import Built
from repro.upstream.page import write_page
from tests.upstream.stand_in import ROOT, write_checkout

if TYPE_CHECKING:
    from pathlib import Path

# Several commands in one process, whose children inherit the same operators: then equal models agree to the last bit.
RUN = """
import contextlib, io, json, sys
from repro.__main__ import main
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(["compare-upstream", *words, "--json"])
    print(json.dumps([code, json.loads(out.getvalue())]))
"""
SHIFTED = "encoder.1.norms.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nano that has history and a second encoder layer, and a checkpoint of it as upstream's."""
    text = (ROOT / "recipes" / "bevformer_nano.toml").read_text(encoding="utf-8")
    text = text.replace("use_history = false", "use_history = true").replace(
        "[model.encoder]\nlayers = 1", "[model.encoder]\nlayers = 2"
    )
    place = tmp_path_factory.mktemp("upstream")
    path = place / "bevformer_nano.toml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(str(path))
    torch.manual_seed(0)
    export_upstream(build_bevformer(recipe), recipe, place / "weights.pth")
    return place


@pytest.fixture(scope="module")
def told(folder: Path, synth_root: Path) -> list[tuple[int, Any]]:
    """Return exit code and document of two comparisons: an equal model on a checkpoint, a model that differs."""
    recipe, weights = str(folder / "bevformer_nano.toml"), str(folder / "weights.pth")
    equal, shifted = folder / "equal", folder / "shifted"
    write_checkout(equal, folder / "bevformer_nano.toml")
    write_checkout(shifted, folder / "bevformer_nano.toml", shifted=SHIFTED)
    same = ["--dataroot", str(synth_root), "--python", sys.executable]
    commands = [
        ["--checkout", str(equal), "--recipe", recipe, "--checkpoint", weights, *same],
        ["--checkout", str(shifted), "--recipe", recipe, *same],
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        cwd=ROOT, env={**os.environ, "BEVREADY_EXTENSION": "none"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, document) for code, document in map(json.loads, done.stdout.splitlines())]


def test_equal_models_agree_in_every_layer_of_both_frames(told: list[tuple[int, Any]]) -> None:
    code, document = told[0]
    assert code == 0
    assert [frame["history"] for frame in document["frames"]] == [False, True]
    for frame in document["frames"]:
        names = [layer["what"] for layer in frame["layers"]]
        assert names[0] == "backbone, level 0"
        assert names[-1] == "all boxes"
        assert len(names) == 3 + 2 * 3 + 3 * 5 + 2
        assert max(layer["worst_abs"] for layer in frame["layers"]) == 0


def test_the_document_says_what_was_compared_on_what(told: list[tuple[int, Any]], folder: Path) -> None:
    _, document = told[0]
    assert document["weights"] == str(folder / "weights.pth")
    assert told[1][1]["weights"] == "made-up weights, seed A"
    assert document["recipe"] == "bevformer_nano"
    assert document["versions"]["torch"] == torch.__version__
    assert document["ours"]["operators"].endswith("as BEVREADY_EXTENSION asks")


def test_the_first_layer_that_differs_is_named_and_those_before_it_agree(told: list[tuple[int, Any]]) -> None:
    code, document = told[1]
    layers = document["frames"][0]["layers"]
    wrong = [number for number, layer in enumerate(layers) if not layer["ok"]]
    assert code == 1
    assert layers[wrong[0]]["what"] == "encoder 1, after spatial cross-attention"
    assert layers[wrong[0]]["worst_abs"] == pytest.approx(0.01, rel=1e-3)
    assert all(layer["worst_abs"] == 0 for layer in layers[: wrong[0]])


def page(second: Check, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of a page on two frames of two layers, of which the last layer of the second is `second`."""
    good = [
        Check(what=what, worst_abs=3e-6, worst_rel=share, tolerance=allowed, ok=True)
        for what, share, allowed in (
            ("neck, level 0", 2e-6, "1e-05 of max"),
            ("encoder 0, output", 0.0, "2e-05 of max"),
        )
    ]
    frames = (Comparison(False, tuple(good)), Comparison(True, (good[0], second)))
    built = Built({"python": "3.8.18", "torch": "1.9.1"}, {}, ("detectron2.structures",))
    compared = Compared(frames, built, "2.11.0", "reference", {"theirs": 200.0, "ours": 42.0})
    told = {"recipe": "bevformer_base", "quirks": "head", "weights": "made-up", "data": "synthetic frames"}
    write_page(compared, {**told, "config": "bevformer_base.py", "commit": ""})
    return capsys.readouterr().out.splitlines()


def test_a_page_has_a_row_for_each_layer_a_column_for_each_frame_and_ends_in_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = Check(what="encoder 0, output", worst_abs=1e-6, worst_rel=4e-7, tolerance="2e-05 of max", ok=True)
    lines = page(good, capsys)
    assert ["neck, level 0", "2.0e-06", "2.0e-06", "1.0e-05"] in [line.rsplit(maxsplit=3) for line in lines]
    assert ["encoder 0, output", "0", "4.0e-07", "2.0e-05"] in [line.rsplit(maxsplit=3) for line in lines]
    assert lines[-2:] == [
        "SAME: all 4 layers of both frames agree",
        "at most: backbone and neck 2.0e-06, encoder 4.0e-07",
    ]
    assert any("not installed there, imported and never run: detectron2" in line for line in lines)


def test_a_page_names_the_first_difference_and_what_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    bad = Check(what="encoder 0, output", worst_abs=0.5, worst_rel=0.1, tolerance="2e-05 of max", ok=False)
    lines = page(bad, capsys)
    assert any(line.split()[-3:] == ["FAIL", "1.0e-01", "2.0e-05"] for line in lines)
    assert lines[-3] == "DIFFERENT: 1 of 4 layers, the first in frame 2: encoder 0, output"
    assert lines[-2] == "off by 5.00e-01, 1.00e-01 of its largest value (allowed: 2e-05 of max)"
    assert lines[-1].endswith("--quirks released")


def test_a_layer_that_one_model_lacks_or_shapes_otherwise_fails_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    lacks = "encoder 0, output: theirs has no encoder.layers.0.norms.2/"
    absent = Check(what=lacks, worst_abs=0.0, worst_rel=0.0, tolerance="there", ok=False)
    assert any(line.split()[-3:] == ["FAIL", "absent", "2.0e-05"] for line in page(absent, capsys))
    shape = "encoder 0, output: shape [4], golden [5]"
    other = Check(what=shape, worst_abs=float("inf"), worst_rel=float("inf"), tolerance="2e-05 of max", ok=False)
    assert any(line.split()[-3:] == ["FAIL", "shape", "2.0e-05"] for line in page(other, capsys))
