"""Training clips a second of our two pipelines, in units of a plain reading of the specification on the same JPEGs.

Run `python -m repro.bench.data_loading [--json]`. Each round loads the same clips three times, plain, strict and fast,
by default with two workers of one thread each; unpacking on the (CPU) device is included. The figures to quote are the
medians of the ratios, round by round. Also: the bytes that go to the device, and by how much the fast images differ.
Nothing here says anything about a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from repro.bench.plain_loading import PlainLoader
from repro.data import open_nuscenes
from repro.data.dataset import FrameLoader, TrainClips, collate_clips
from repro.data.loading import batches_from
from repro.data.synth import write_synth
from repro.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from repro.data import Subset
    from repro.tensors import Clip

BOUNDS = {"tiny": 3.0, "base": 1.3}
# what base changes of tiny's recipe as far as loading goes (spec §A.1)
BASE: dict[str, object] = {"scale": 1.0, "mean": (103.53, 116.28, 123.675), "std": (1.0, 1.0, 1.0), "to_rgb": False}
BASE_QUEUE = 4
LOADERS = ("plain", "strict", "fast")


def main() -> int:
    """Measure and print; return 0 within the bounds, 1 outside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument("--rounds", type=int, default=5, help="how often to time each (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=6, help="clips a timing (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="loading processes, 0: this one (default: %(default)s)")
    parser.add_argument("--dataroot", type=Path, help="nuScenes mini to read; default: a synthetic set, made for this")
    parser.add_argument("--sizes", nargs="+", choices=BOUNDS, default=list(BOUNDS), help="(default: %(default)s)")
    words = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with tempfile.TemporaryDirectory() as folder:
        root = words.dataroot or Path(folder) / "synth"
        if words.dataroot is None:
            write_synth(root, scenes=2, frames=8)
        sizes = {
            size: measure(size, root, Path(folder), rounds=words.rounds, clips=words.clips, workers=words.workers)
            for size in words.sizes
        }
    asked = f"--rounds {words.rounds} --clips {words.clips} --workers {words.workers} --sizes {' '.join(words.sizes)}"
    command = f"python -m repro.bench.data_loading {asked} --json"
    machine = {
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
    }
    figures = {"command": command, **sizes, "workers": words.workers, **machine}
    if words.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    else:
        for size, rows in sizes.items():
            for name, value in rows.items():
                sys.stdout.write(f"{size} {name:<28} {value}\n")
    return 0 if all(rows["within_bound"] for rows in sizes.values()) else 1


def recipe_of(size: str, pipeline: str) -> Recipe:
    """Return a recipe that loads images as the recipe of that size does."""
    tiny = load_recipe("bevformer_tiny")
    images = tiny.images.model_copy(update={**(BASE if size == "base" else {}), "pipeline": pipeline})
    data = tiny.data.model_copy(update={"queue_length": BASE_QUEUE} if size == "base" else {})
    return tiny.model_copy(update={"images": images, "data": data})


def measure(size: str, dataroot: Path, cache: Path, *, rounds: int, clips: int, workers: int) -> dict[str, Any]:
    """Return the ratios of one size, clips a second, bytes and differences."""
    strict, fast = recipe_of(size, "strict"), recipe_of(size, "fast")
    samples = open_nuscenes(dataroot, "v1.0-mini", cache, channels=strict.data.cameras).split("mini_train")
    loaders = {
        "plain": PlainLoader(dataroot, strict),
        "strict": FrameLoader(dataroot, strict),
        "fast": FrameLoader(dataroot, fast),
    }
    took: dict[str, list[float]] = {name: [] for name in LOADERS}
    for number in range(rounds + 1):
        for name in LOADERS if number % 2 else LOADERS[::-1]:
            print(f"{size}, round {number} of {rounds}: {name}", file=sys.stderr, flush=True)  # noqa: T201 — progress
            seconds = _seconds(samples, loaders[name], clips=clips, workers=workers, epoch=number)
            if number:  # the first round fills the caches
                took[name].append(seconds)
    figures: dict[str, Any] = {}
    for name in LOADERS[1:]:
        ratios = [plain / ours for plain, ours in zip(took["plain"], took[name], strict=True)]
        figures[f"{name}_ratio_median"] = round(statistics.median(ratios), 2)
        figures[f"{name}_ratio_range"] = [round(min(ratios), 2), round(max(ratios), 2)]
    figures["bound"] = BOUNDS[size]
    figures["within_bound"] = figures["fast_ratio_median"] >= BOUNDS[size]
    figures |= {f"{name}_clips_per_s": round(clips / statistics.median(took[name]), 2) for name in LOADERS}
    return figures | _bytes_and_difference(samples, loaders)


def _seconds(samples: Subset, loader: Any, *, clips: int, workers: int, epoch: int) -> float:
    """Return how long loading takes, from the first clips' arrival on: starting processes is not loading."""
    order = [index % len(samples) for index in range(clips + max(workers, 1))]
    dataset = _Some(TrainClips(samples, loader, seed=0, epoch=epoch), order)
    batches = batches_from(dataset, collate_clips, workers=workers)
    for _ in range(max(workers, 1)):
        next(batches).to("cpu")
    began = time.perf_counter()
    for clip in batches:
        clip.to("cpu")
    return time.perf_counter() - began


class _Some(Dataset["Clip"]):
    """Some items of a data set, in a given order."""

    def __init__(self, clips: TrainClips, order: list[int]) -> None:
        self.clips, self.order = clips, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, item: int) -> Clip:
        return self.clips[self.order[item]]


def _bytes_and_difference(samples: Subset, loaders: dict[str, Any]) -> dict[str, Any]:
    """Return the share of float32 bytes that the fast frames send, and |fast − strict| in grey levels."""
    load = partial(TrainClips, samples, seed=1, epoch=0)
    strict, fast = (load(loaders[name])[len(samples) - 1].frames for name in ("strict", "fast"))
    sent = sum(f.images.nbytes + f.packing.gain.nbytes + f.packing.offset.nbytes for f in fast if f.packing)
    settings = loaders["strict"].recipe.images
    deviation = np.array(settings.std, np.float32)[:, None, None]
    rows, columns = settings.resized
    off = np.concatenate(
        [
            np.abs((a.images - b.to("cpu").images).numpy() * deviation)[..., :rows, :columns].ravel()
            for a, b in zip(strict, fast, strict=True)
        ]
    )
    return {
        "bytes_to_device_share": round(sent / sum(frame.images.nbytes for frame in strict), 4),
        "difference_mean_levels": round(float(off.mean()), 3),
        "difference_p99_levels": round(float(np.percentile(off, 99)), 3),
        "difference_max_levels": round(float(off.max()), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
