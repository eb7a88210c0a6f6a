"""Clocks and scales for short pieces of work: interleaved seconds, ratios with their spread, and peak extra memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Work = Callable[[], object]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def interleaved(
    works: Mapping[str, Work], *, rounds: int, window_s: float, device: torch.device, seed: int = 0
) -> dict[str, list[float]]:
    """Return the seconds of one run of each work, a number a round.

    In every round each work runs for about `window_s` (at least once), in an order drawn anew, so that a machine that
    slows down slows all. One uncounted run comes first.
    """
    order = random.Random(seed)  # noqa: S311 — an order of benchmarks, not a secret
    repeats = {}
    for name, work in works.items():
        _seconds(work, 1, device)
        repeats[name] = max(1, round(window_s / max(_seconds(work, 1, device), 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name in order.sample(sorted(works), len(works)):
            found[name].append(_seconds(works[name], repeats[name], device))
    return found


def _seconds(work: Work, times: int, device: torch.device) -> float:
    """Return wall seconds a run, the device's queue empty before and after."""
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(numbers: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles around it, to four digits."""
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else [*numbers] * 3
    return {name: float(f"{number:.4g}") for name, number in (("median", middle), ("q1", low), ("q3", high))}


def peak_extra_mib(work: Work, device: torch.device) -> float | None:
    """Return by how much memory rose at most while the work ran, results included; None where nobody counts it.

    On the CPU this is the kernel's own count of resident pages (Linux), with freed pages given back beforehand.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        kept = work()
        torch.cuda.synchronize(device)
        del kept
        return float(torch.cuda.max_memory_allocated(device) - held) / 2**20
    if not CLEAR.exists():
        return None
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        CLEAR.write_text("5", encoding="ascii")  # proc(5): the peak starts anew
    except OSError:
        return None
    before = _pages("VmRSS")
    kept = work()
    after = _pages("VmHWM")
    del kept
    return max(0.0, after - before) / 1024


def _pages(name: str) -> float:
    """Return a line of the process's status in KiB."""
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
