"""Several processes train as one would; one that dies ends them all; killed at any point, the result is the same."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from repro.launch import run_launched
from repro.train.log import read_losses
from tests.train.spread import ITERATIONS

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--")
ALONE = (sys.executable, "-m")
PROGRAM = "tests.train.spread"


def start(*command: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(*command: object) -> None:
    process = start(*command)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def until_trained(folder: Path, iterations: int) -> None:
    deadline = time.monotonic() + 240
    while len(read_losses(folder / "losses.csv")) < iterations:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def weights(folder: Path, rank: int = 0) -> torch.Tensor:
    state = torch.load(folder / f"weights-{rank}.pt", weights_only=True)
    return torch.cat([tensor.flatten() for tensor in state.values()])


def test_two_clips_in_two_processes_give_the_gradients_of_two_in_one(tmp_path: Path) -> None:
    finish(*ALONE, PROGRAM, "gradients", tmp_path)
    finish(*TORCHRUN, PROGRAM, "gradients", tmp_path)
    together = torch.load(tmp_path / "gradients-0of1.pt", weights_only=True)
    for rank in range(2):
        apart = torch.load(tmp_path / f"gradients-{rank}of2.pt", weights_only=True)
        assert apart.keys() == together.keys()
        for name, gradient in together.items():
            largest = float(gradient.abs().max())
            assert float((apart[name] - gradient).abs().max()) <= 1e-4 * max(largest, 1e-3), name
    assert sum(float(gradient.abs().sum()) for gradient in together.values()) > 0
    orders = [torch.load(tmp_path / f"orders-{rank}of2.pt", weights_only=True) for rank in range(2)]
    for kind in ("train", "test"):  # nine samples in two equal shares: each once, and one again
        counts = torch.bincount(torch.tensor(orders[0][kind] + orders[1][kind]), minlength=9)
        assert counts.sort().values.tolist() == [1] * 8 + [2]


def test_a_killed_process_ends_all_within_seconds_and_the_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    finish(*TORCHRUN, PROGRAM, "line", tmp_path / "straight", 0, 0)
    job = start(*TORCHRUN, PROGRAM, "line", tmp_path / "killed", 0, 0.1)
    until_trained(tmp_path / "killed", 5)
    ranks = children_of(job.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    killed_at = time.monotonic()
    _, stderr = job.communicate(timeout=60)
    assert time.monotonic() - killed_at < 25  # the launcher's own patience with those left would be thirty
    assert job.returncode != 0
    assert re.search(r"exitcode\s*: -9|Signal 9 \(SIGKILL\)", stderr)
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    finish(*TORCHRUN, PROGRAM, "line", tmp_path / "killed", 0, 0)
    assert torch.equal(weights(tmp_path / "straight"), weights(tmp_path / "killed"))
    assert torch.equal(weights(tmp_path / "killed", 0), weights(tmp_path / "killed", 1))
    assert len(read_losses(tmp_path / "killed" / "losses.csv")) == ITERATIONS


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` started, by Linux's own list."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sorted(int(child) for thread in threads for child in (thread / "children").read_text().split())


def test_killed_at_random_points_it_ends_with_the_weights_of_a_run_never_killed(tmp_path: Path) -> None:
    finish(*ALONE, PROGRAM, "line", tmp_path / "straight", 0, 0)
    points = random.Random(5)  # noqa: S311 — where to kill is no secret
    for workers, first, last in ((2, 1, 12), (0, 16, 30)):
        process = start(*ALONE, PROGRAM, "line", tmp_path / "killed", workers, 0.02)
        until_trained(tmp_path / "killed", points.randint(first, last))
        time.sleep(points.random() / 20)  # somewhere in an iteration, or while its state is written
        process.kill()
        process.communicate(timeout=60)
    finish(*ALONE, PROGRAM, "line", tmp_path / "killed", 2, 0)
    assert torch.equal(weights(tmp_path / "straight"), weights(tmp_path / "killed"))
    assert [row["iteration"] for row in read_losses(tmp_path / "killed" / "losses.csv")] == list(range(ITERATIONS))


def test_a_launcher_that_lost_a_process_says_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_launched([sys.executable, "-c", "import sys; sys.exit(1)"], processes=2) == 2
    assert "what was saved is kept: the same command goes on from there" in capfd.readouterr().err


def test_the_ranks_agreed_exit_code_is_the_runs(capfd: pytest.CaptureFixture[str]) -> None:
    agreed = "from repro.launch import leave_outcome; import sys; sys.exit(leave_outcome(130))"
    assert run_launched([sys.executable, "-c", agreed], processes=2) == 130
    assert capfd.readouterr().err == ""
