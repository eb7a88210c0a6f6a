"""The main job as several processes, as a person types it: one voice, one record, one answer to Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from repro.__main__ import main
from repro.train.log import read_losses

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
NANO = ("run", "--recipe", "bevformer_nano", "--data", "nuscenes-mini", "--run", "run", "--force")
TWO = ("--device", "cpu", "--processes", "2")


def start(cwd: Path, words: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "repro", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_tell_one_story_and_leave_one_record(synth_root: Path, tmp_path: Path) -> None:
    process = start(tmp_path, (*NANO, "--dataroot", synth_root, "--smoke", *TWO))
    stdout, stderr = process.communicate(timeout=400)
    assert process.returncode == 0, stderr
    assert "-m torch.distributed.run --standalone --nproc-per-node=2 -m -- repro run" in stderr
    assert [stderr.splitlines().count(stage) for stage in ("data", "train", "evaluate", "compare", "report")] == [1] * 5
    assert stdout.count("not comparable") == 1
    run = tmp_path / "run"
    trained = json.loads((run / "train.json").read_text())["value"]
    assert trained["batch"] == 2
    (note,) = trained["notes"]
    assert note.startswith("2 clips an iteration, the published run had 1; the learning rate is the recipe's 0.001")
    assert note.endswith("not scaled (in proportion it would be 0.002)")
    assert len(read_losses(run / "train" / "losses.csv")) == 3
    assert json.loads((run / "evaluate.json").read_text())["value"]["processes"] == 2
    assert sorted(path.name for path in (run / "evaluate").iterdir()) == ["curves.json", "results_nusc.json"]
    assert "--device cpu --processes 2" in (run / "report.md").read_text()


def test_ctrl_c_stops_both_at_one_iteration_and_the_run_resumes(synth_root: Path, tmp_path: Path) -> None:
    process = start(tmp_path, (*NANO, "--dataroot", synth_root, "--stage", "train", *TWO))
    deadline = time.monotonic() + 300
    while not read_losses(tmp_path / "run" / "train" / "losses.csv"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr
    assert "stopping all processes after this iteration" in stderr
    assert stderr.count("the same command goes on from there") == 1
    assert "Traceback" not in stderr
    assert torch.load(tmp_path / "run" / "train" / "state.ckpt", weights_only=True)["iteration"] >= 1


def test_a_mistake_that_all_share_is_told_once(tmp_path: Path) -> None:
    process = start(tmp_path, (*NANO, "--dataroot", "nowhere", *TWO))
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 2
    assert stderr.count("nowhere: no such folder") == 1
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--gpus", "2", "--processes", "2"), "--gpus and --processes both count processes"),
        (("--gpus", "2", "--device", "cpu"), "on the CPU type --device cpu --processes 2"),
        (("--device", "cpu", "--processes", "0"), "--processes 0: at least 1"),
        (("--device", "cpu", "--processes", "1", "--nodes", "2"), "on each of them type the same command after MASTER"),
    ],
)
def test_counts_that_do_not_go_together_are_answered(
    words: tuple[str, ...], answer: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*NANO, "--dataroot", str(tmp_path), *words]) == 2
    assert answer in capsys.readouterr().err
