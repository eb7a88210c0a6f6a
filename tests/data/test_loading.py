"""Loading in other processes: no fork of the one that trains, one thread each, errors in our own words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest
import torch
from torch.utils.data import Dataset

from repro.data import DataError
from repro.data.loading import batches_from

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
# what hung: the parent's threads have computed, and the worker computes with threads, too
AFTER_A_THREADED_PARENT = """
import torch
from repro.data.loading import batches_from
from tests.data.test_loading import Products, together

torch.set_num_threads(2)
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
print([float(product) for product in batches_from(Products(), together, workers=2)])
"""

STAYS = """
import time
from repro.data.loading import batches_from
from tests.data.test_loading import Pids, together

batches = batches_from(Pids(), together, workers=2)
print(int(next(batches)), int(next(batches)), flush=True)
time.sleep(600)
"""


class Pids(Dataset[torch.Tensor]):
    """The process that loads."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, item: int) -> torch.Tensor:
        return torch.tensor(os.getpid())


class Products(Dataset[torch.Tensor]):
    """One corner of a matrix product that takes two threads."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, item: int) -> torch.Tensor:
        torch.set_num_threads(2)
        return (torch.ones(1000, 1000) @ torch.full((1000, 1000), float(item)))[0, 0]


class Surroundings(Dataset[torch.Tensor]):
    """Of the process that loads: its parent, its threads, and whether Ctrl-C reaches it."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, item: int) -> torch.Tensor:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return torch.tensor([item, os.getppid(), cv2.getNumThreads(), torch.get_num_threads(), int(ignored)])


class Broken(Dataset[torch.Tensor]):
    """A data set whose only item is damaged."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> torch.Tensor:
        raise DataError(f"samples/{item}.jpg: cut short; extract the archive that holds it again")


def together(items: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(items))


def test_workers_compute_after_their_parent_computed_with_threads() -> None:
    words = [sys.executable, "-W", "ignore", "-c", AFTER_A_THREADED_PARENT]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout == "[0.0, 1000.0]\n"


def test_workers_are_no_forks_have_one_thread_and_leave_ctrl_c_to_their_parent() -> None:
    rows = [row for batch in batches_from(Surroundings(), together, batch=2, workers=2) for row in batch.tolist()]
    assert [row[0] for row in rows] == [0, 1, 2, 3]
    for _, parent, of_opencv, of_torch, ignored in rows:
        assert parent != os.getpid()
        assert (of_opencv, of_torch, ignored) == (1, 1, 1)


def test_without_workers_this_process_loads_and_keeps_its_threads() -> None:
    before = cv2.getNumThreads(), signal.getsignal(signal.SIGINT)
    rows = torch.cat(list(batches_from(Surroundings(), together, batch=3, workers=0))).tolist()
    assert [(row[0], row[1]) for row in rows] == [(item, os.getppid()) for item in range(4)]
    assert (cv2.getNumThreads(), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_out_of_a_worker_has_its_own_words_only(workers: int) -> None:
    with pytest.raises(DataError) as caught:
        list(batches_from(Broken(), together, workers=workers))
    assert str(caught.value) == "samples/0.jpg: cut short; extract the archive that holds it again"


def test_workers_end_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", STAYS], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        workers = [Path("/proc", pid) for pid in parent.stdout.readline().decode().split()]
        assert len(set(workers)) == 2
        assert all(worker.exists() for worker in workers)
        parent.kill()
    deadline = time.monotonic() + 60
    while any(worker.exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if worker.exists()]
