"""The index of trainval-like tables: building it against the devkit's loop, opening it, and sharing it with workers.

Run `python -m repro.bench.index_speed [--samples 34149] [--json]`. Both builds run once, one after the other, in this
process, and are compared in its own CPU seconds: both have one thread, and neighbours on the machine do not count.
The whole size needs several GB of memory for the devkit and minutes for its loop. USS is the private memory of a worker
that has touched every page and read records, over what it had before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.bench.many_tables import write_many_tables
from repro.data import NuScenesIndex, open_nuscenes
from repro.data.tables import frame_records, open_tables
from repro.recipe.schema import CAMERAS

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

TRAINVAL, VERSION = 34149, "v1.0-trainval"
BUILD_BOUND, OPEN_BOUND_S = 0.2, 0.2
WORKERS = 8
RECORDS_A_WORKER = 400
LONGEST_WAIT_S = 900.0  # for the slowest worker; one that dies ends the pool at once
_everybody: list[Barrier] = []  # of this worker, given to it as it starts


def main() -> int:
    """Measure and print; return 0 within the bounds, 1 outside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument("--samples", type=int, default=TRAINVAL, help="key frames (default: %(default)s)")
    parser.add_argument("--sweeps", type=int, default=5, help="more sensor rows a key frame; trainval has about 70")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), samples=words.samples, sweeps=words.sweeps)
    if words.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:<24} {value}\n")
    return 0 if figures["within_bounds"] else 1


def measure(folder: Path, *, samples: int, sweeps: int) -> dict[str, Any]:
    """Return the ratio of the builds, the time of an opening, and the private memory of workers."""
    _say(f"writing tables of {samples} key frames")
    write_many_tables(folder / "root", samples=samples, sweeps=sweeps)
    _say("building the index")
    wall, began = time.perf_counter(), time.process_time()
    index = open_nuscenes(folder / "root", VERSION, folder / "cache", channels=CAMERAS)
    built, wall = time.process_time() - began, time.perf_counter() - wall
    opened = statistics.median(_opening(index.path) for _ in range(5))
    _say(f"built in {built:.1f} s of CPU; now {WORKERS} workers share it")
    private = private_of_workers(index.path, WORKERS)
    _say(f"private MiB of each: {[round(mib, 1) for mib in private]}; now the devkit's loop")
    began = time.process_time()
    tables = open_tables(folder / "root", VERSION)
    frames = sum(1 for _ in frame_records(tables, folder / "root", CAMERAS, rates="next"))
    devkit = time.process_time() - began
    return {
        "command": f"python -m repro.bench.index_speed --samples {samples} --sweeps {sweeps} --json",
        "samples": frames,
        "sweeps": sweeps,
        "build_ratio": round(built / devkit, 3),
        "build_bound": BUILD_BOUND,
        "build_cpu_s": round(built, 2),
        "build_wall_s": round(wall, 2),
        "devkit_cpu_s": round(devkit, 2),
        "open_s_median": round(opened, 4),
        "open_bound_s": OPEN_BOUND_S,
        "file_mib": round(index.path.stat().st_size / 2**20, 1),
        "private_mib_a_worker": [round(mib, 1) for mib in private],
        "cpus": len(os.sched_getaffinity(0)),
        "load_at_the_end": round(os.getloadavg()[0], 1),
        "within_bounds": built / devkit <= BUILD_BOUND and opened < OPEN_BOUND_S,
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201 — progress; stdout holds the figures


def _opening(path: Path) -> float:
    began = time.perf_counter()
    NuScenesIndex(path)
    return time.perf_counter() - began


def private_of_workers(path: Path, workers: int) -> list[float]:
    """Return the MiB that each of several processes holds alone once all have the whole index mapped (Linux)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["repro.data.index"])  # imported once, not by each
    everybody = context.Barrier(workers)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_join, initargs=(everybody,)) as pool:
        return list(pool.map(_private_mib, [path] * workers, timeout=LONGEST_WAIT_S))


def _join(everybody: Barrier) -> None:
    _everybody[:] = [everybody]


def _private_mib(path: Path) -> float:
    """Return by how much the private memory of this process grows when it has read an index."""
    before = _uss()
    index = NuScenesIndex(path)
    for column in index.table.columns:
        for chunk in column.chunks:
            for buffer in filter(None, chunk.buffers()):
                np.frombuffer(buffer, np.uint8)[::1024].max(initial=0)
    for position in range(0, len(index), max(len(index) // RECORDS_A_WORKER, 1)):
        index[position]
    _everybody[0].wait(LONGEST_WAIT_S)  # a page that only one process maps counts as private
    grown = (_uss() - before) / 2**20
    _everybody[0].wait(LONGEST_WAIT_S)
    return grown


def _uss() -> int:
    """Return the bytes that only this process holds (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


if __name__ == "__main__":
    sys.exit(main())
