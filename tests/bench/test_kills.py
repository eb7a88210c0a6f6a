"""Runs that are killed and resumed end like one that was left alone; the committed proof killed many more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_three_killed_runs_end_like_one_that_was_left_alone(synth_root: Path, tmp_path: Path) -> None:
    words = ["--dataroot", str(synth_root), "--count", "3", "--seed", "7", "--scratch", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "repro.bench.kills", *words, "--to", str(tmp_path / "kills.json")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads((tmp_path / "kills.json").read_text())
    assert (told["count"], told["same"], sum(told["killed_in"].values())) == (3, 3, 3)


def test_the_committed_proof_holds_for_every_kill() -> None:
    told = json.loads((ROOT / "repro" / "bench" / "results" / "kills.json").read_text())
    assert told["same"] == told["count"] == len(told["trials"])
    assert all(trial["same"] and trial["accepted"] for trial in told["trials"])
    assert {"data", "train", "evaluate"} <= set(told["killed_in"])
