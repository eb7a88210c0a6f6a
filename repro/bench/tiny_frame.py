"""What a BEVFormer-tiny frame with history costs beside its own backbone, on random images, in one process.

    python -m repro.bench.tiny_frame [--rounds 9] [--threads 2] [--json]

A ratio, because machines differ: the parts are timed in turn, round after round, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING

import torch

from repro.models.bevformer import BEVFormer, build_bevformer
from repro.ops import IMPLEMENTATION
from repro.recipe import Recipe, load_recipe
from repro.tensors import CAN_BUS_SLOTS, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

SCHEMA_VERSION = 1
BUDGET = 1.6  # a frame with history over its backbone, two CPU cores, reference operator
# Six pinhole cameras like those of nuScenes: their yaw in degrees from straight ahead, counter-clockwise.
CAMERA_YAWS = (0.0, -55.0, 55.0, 180.0, 110.0, -110.0)
FOCAL_PIXELS, CAMERA_HEIGHT_M = 1260.0, -0.3  # of the 1600×900 image; above the LiDAR's origin


def main(words: Sequence[str] | None = None) -> int:
    """Time the parts and print a table or one JSON document; 1 if the ratio is over budget."""
    parser = argparse.ArgumentParser(prog="python -m repro.bench.tiny_frame", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds; medians are taken (default 9)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    chosen = parser.parse_args(words)
    torch.set_num_threads(chosen.threads)
    recipe = load_recipe("bevformer_tiny")
    seconds = time_in_turn(parts_of(build_bevformer(recipe).eval(), street(recipe)), rounds=chosen.rounds)
    medians = {part: statistics.median(times) for part, times in seconds.items()}
    ratio = medians["frame with history"] / medians["backbone"]
    if chosen.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "operator": IMPLEMENTATION,
            "torch": torch.__version__,
            "threads": chosen.threads,
            "rounds": chosen.rounds,
            "seconds": {part: [round(t, 4) for t in times] for part, times in seconds.items()},
            "median_s": {part: round(median, 4) for part, median in medians.items()},
            "frame_over_backbone": round(ratio, 3),
            "budget": BUDGET,
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        for part, median in medians.items():
            sys.stdout.write(f"{part:<20} {median:7.3f} s  {median / medians['backbone']:5.2f} × backbone\n")
        sys.stdout.write(f"frame with history: {ratio:.2f} × its backbone (budget {BUDGET})\n")
    return 0 if ratio <= BUDGET else 1


def parts_of(model: BEVFormer, frame: Frame) -> dict[str, Callable[[], object]]:
    """Return the parts of a frame by name, each ready to run without gradient."""
    with torch.no_grad():
        tokens = model.image_tokens(frame.images)
        history = model.encode(frame, tokens, None)
        bev = model.encode(frame, tokens, history)
    images = frame.images.flatten(0, 1)
    return {
        "backbone": lambda: model.backbone(images),
        "encoder": lambda: model.encode(frame, tokens, history),
        "decoder": lambda: model.decode(bev),
        "frame with history": lambda: model(frame, history),
    }


@torch.no_grad()
def time_in_turn(parts: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each part in each round; one round before does not count."""
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for number in range(rounds + 1):
        for part, run in parts.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[part].append(time.perf_counter() - began)
    return seconds


def street(recipe: Recipe) -> Frame:
    """Return a frame of random pixels seen by six cameras all around, the car moving ahead."""
    generator = torch.Generator().manual_seed(0)
    height, width = recipe.images.padded
    can_bus = torch.zeros(1, CAN_BUS_SLOTS, dtype=torch.float64)
    can_bus[0, 0], can_bus[0, 16], can_bus[0, 17] = 3.0, 0.1, 2.0
    return Frame(
        images=torch.randn(1, len(CAMERA_YAWS), 3, height, width, generator=generator),
        img_from_lidar=torch.stack([camera(yaw, recipe.images.scale) for yaw in CAMERA_YAWS])[None],
        can_bus=can_bus,
        has_history=torch.tensor([True]),
        tokens=("random",),
    )


def camera(yaw_degrees: float, scale: float) -> Tensor:
    """Return img_from_lidar [4, 4] of a pinhole camera at the origin (x right, y ahead, z up)."""
    yaw = torch.tensor(yaw_degrees, dtype=torch.float64).deg2rad()
    c, s = float(yaw.cos()), float(yaw.sin())
    cam_from_lidar = torch.tensor([[c, s, 0, 0], [0, 0, -1, CAMERA_HEIGHT_M], [-s, c, 0, 0], [0, 0, 0, 1]])
    focal = FOCAL_PIXELS * scale
    img_from_cam = torch.tensor(
        [[focal, 0, 800 * scale, 0], [0, focal, 450 * scale, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64
    )
    return img_from_cam @ cam_from_lidar.double()


if __name__ == "__main__":
    sys.exit(main())
