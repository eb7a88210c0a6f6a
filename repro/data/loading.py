"""Data loaders whose worker processes are not forks of the process that trains.

A fork copies a thread pool's locks but not its threads: where the parent has decoded an image or multiplied a matrix,
OpenCV, OpenMP or BLAS may wait in the child for a thread that is not there. Workers come from a fork server instead,
which has imported what they need and computed nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, TypeVar

import cv2
from torch.utils.data import DataLoader

from repro.data.records import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.utils.data import Dataset

Item = TypeVar("Item")
Batch = TypeVar("Batch")
START = "forkserver"
PRELOADED = ["torch", "torchvision", "cv2", "repro.data", "repro.data.dataset"]  # imported once, shared by all workers


def batches_from(
    items: Dataset[Item], collate: Callable[[Sequence[Item]], Batch], *, batch: int = 1, workers: int
) -> Iterator[Batch]:
    """Yield batches in order, loaded by `workers` processes (0: this one). Raises DataError in the loader's own words.

    Items and what they hold reach the workers pickled; an index travels as its path.
    """
    context = multiprocessing.get_context(START) if workers else None
    if context is not None:
        context.set_forkserver_preload(PRELOADED)
    loader = DataLoader(
        items,
        batch_size=batch,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context=context,
        worker_init_fn=prepare_worker if workers else None,
    )
    try:
        yield from loader
    except DataError as error:  # torch wraps a worker's traceback around its words
        raise DataError(str(error).strip().rpartition("DataError: ")[2]) from error


def prepare_worker(_worker: int) -> None:
    """Keep a worker to one thread, leave Ctrl-C to the process that it works for, and end with that process."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the process that trains: torch watches the fork server in its place, which lives on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
