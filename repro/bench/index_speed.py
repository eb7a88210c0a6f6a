"""The index of trainval-like tables: building it against the devkit's loop, opening it, and sharing it with workers.

Run `python -m repro.bench.index_speed [--samples 34149] [--json]`. Both builds run once, one after the other, in this
process; the whole size needs several GB of memory for the devkit and minutes for its loop. USS is the private memory of
a worker that has touched every record, over what it had before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from repro.bench.many_tables import write_many_tables
from repro.data import NuScenesIndex, open_nuscenes
from repro.data.tables import frame_records, open_tables
from repro.recipe.schema import CAMERAS

TRAINVAL, VERSION = 34149, "v1.0-trainval"
BUILD_BOUND, OPEN_BOUND_S = 0.2, 0.2
WORKERS = 8


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
    write_many_tables(folder / "root", samples=samples, sweeps=sweeps)
    began = time.perf_counter()
    index = open_nuscenes(folder / "root", VERSION, folder / "cache", channels=CAMERAS)
    built = time.perf_counter() - began
    began = time.perf_counter()
    tables = open_tables(folder / "root", VERSION)
    frames = sum(1 for _ in frame_records(tables, folder / "root", CAMERAS, rates="next"))
    devkit = time.perf_counter() - began
    del tables
    opened = statistics.median(_opening(index.path) for _ in range(5))
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        private = pool.map(private_mib, [index.path] * WORKERS, chunksize=1)
    return {
        "samples": frames,
        "sweeps": sweeps,
        "build_ratio": round(built / devkit, 3),
        "build_bound": BUILD_BOUND,
        "build_s": round(built, 2),
        "devkit_s": round(devkit, 2),
        "open_s_median": round(opened, 4),
        "open_bound_s": OPEN_BOUND_S,
        "file_mib": round(index.path.stat().st_size / 2**20, 1),
        "private_mib_a_worker": [round(mib, 1) for mib in private],
        "within_bounds": built / devkit <= BUILD_BOUND and opened < OPEN_BOUND_S,
    }


def _opening(path: Path) -> float:
    began = time.perf_counter()
    NuScenesIndex(path)
    return time.perf_counter() - began


def private_mib(path: Path) -> float:
    """Return by how much the private memory of this process grows when it reads every record of an index."""
    before = _uss()
    index = NuScenesIndex(path)
    for position in range(len(index)):
        index[position]
    time.sleep(1)  # until the others have the pages, too: a page that only one process maps counts as private
    return (_uss() - before) / 2**20


def _uss() -> int:
    """Return the bytes that only this process holds (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


if __name__ == "__main__":
    sys.exit(main())
