"""The gate ladder as typed: what each gate says, that a failed one ends the climb, and that the next one knows."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from repro.__main__ import main
from repro.record.schema import read_record

if TYPE_CHECKING:
    from pathlib import Path

NANO = ("run", "--recipe", "bevformer_nano", "--data", "nuscenes-mini", "--smoke", "--device", "cpu", "--run", "run")


def test_the_ladder_is_climbed_and_each_gate_knows_what_the_lower_ones_said(
    synth_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*NANO, "--dataroot", str(synth_root), "--gate", "full", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    said = {gate["gate"]: (gate["outcome"], gate["reasons"][0]) for gate in document["gates"]}
    assert said["released"] == (
        "not possible",
        "no released weights here: none were published for this recipe, or --checkpoint FILE",
    )
    assert said["golden"][0] == "not possible"
    assert said["short"] == ("not possible", "3 logged iterations are no curve; 10 are")
    assert said["full"] == ("not possible", "not comparable")
    assert json.loads((tmp_path / "run" / "gates.json").read_text())["gates"] == document["gates"]
    record = read_record(tmp_path / "run" / "full" / "record.json")
    assert (record.gate, [gate.gate for gate in record.gates]) == ("full", ["released", "golden", "short"])


@pytest.mark.shared
def test_golden_outputs_that_differ_end_the_climb(
    shared_dir: Path,
    synth_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    modules = tmp_path / "golden" / "modules"
    modules.mkdir(parents=True)
    source = shared_dir / "golden" / "A" / "modules"
    for name in ("bbox_codes", "focal_loss"):
        shutil.copy(next(source.glob(f"{name}*.npz")), modules / f"{name}.npz")
    words = (*NANO, "--dataroot", str(synth_root), "--golden", "golden")
    assert main([*words, "--gate", "golden"]) == 0
    assert "gate golden    passed: 2 of 2 cases agree with the authors' code" in capsys.readouterr().out
    other = dict(np.load(modules / "bbox_codes.npz"))
    np.savez(modules / "bbox_codes_more.npz", **{**other, "normalized": other["normalized"] + 1e-3})
    assert main([*words, "--gate", "full"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == ("gate golden    failed: 2 of 3 cases agree with the authors' code; bbox_codes_more differs")
    assert not (tmp_path / "run" / "short").exists()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ("--gate", "full", "--plan"),
            "--gate full runs whole stages of its own: leave --plan, --eval-only and --stage",
        ),
        (("--log", "x.json"), "--log belongs to the ladder: add --gate short, or full"),
        (("--gate", "short", "--iterations", "0"), "--iterations 0: at least 1"),
        (("--gate", "short", "--log", "none.json"), "none.json: No such file or directory; name the authors'"),
    ],
)
def test_words_that_do_not_fit_the_ladder_are_answered(
    words: tuple[str, ...],
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*NANO, "--dataroot", "street", *words]) == 2
    assert answer in capsys.readouterr().err
