"""What a BEVFormer-tiny frame with history costs, in units of its own backbone alone. No training.

Run `python -m repro.bench.tiny_frame [--json]`. The two are timed in turn, so that a machine that slows down slows
both; the figure to quote is the median of the ratios, pair by pair.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

BUDGET = 1.6  # the bound for the reference operator on two CPU cores


def main() -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument("--pairs", type=int, default=5, help="how many pairs to time (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: %(default)s)")
    words = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    figures = measure(pairs=words.pairs, threads=words.threads)
    if words.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:<24} {value}\n")
    return 0


def measure(*, pairs: int, threads: int) -> dict[str, object]:
    """Return medians in seconds, the ratio pair by pair, and the peak memory of the process in GiB."""
    import torch  # noqa: PLC0415 — after OMP_WAIT_POLICY is set

    from repro.models.bevformer import build_bevformer  # noqa: PLC0415 — as above
    from repro.recipe import load_recipe  # noqa: PLC0415 — as above
    from repro.tensors import CAN_BUS_SLOTS, Frame  # noqa: PLC0415 — as above

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recipe = load_recipe("bevformer_tiny")
    model = build_bevformer(recipe).eval()
    looking = torch.tensor([[400.0, -633.0, 0.0, 0.0], [240.0, 0.0, -633.0, 0.0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])
    frame = Frame(
        images=torch.randn(1, 6, 3, *recipe.images.padded),
        img_from_lidar=torch.stack([looking @ _about_z(camera) for camera in range(6)])[None].double(),
        can_bus=torch.randn(1, CAN_BUS_SLOTS, dtype=torch.float64),
        has_history=torch.tensor([True]),
        tokens=("bench",),
    )
    history = torch.randn(1, recipe.model.bev.rows * recipe.model.bev.columns, recipe.model.embed_dims)
    with torch.inference_mode():
        model(frame, history)  # warm-up
        rows = [
            (_seconds(lambda: model.backbone(frame.images[0])), _seconds(lambda: model(frame, history)))
            for _ in range(pairs)
        ]
    ratios = [whole / backbone for backbone, whole in rows]
    return {
        "what": "BEVFormer-tiny frame with history / its backbone alone",
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "budget": BUDGET,
        "backbone_s_median": round(statistics.median(backbone for backbone, _ in rows), 3),
        "frame_s_median": round(statistics.median(whole for _, whole in rows), 3),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "pairs": pairs,
        "threads": threads,
        "torch": str(torch.__version__),
        "machine": platform.machine(),
    }


def _about_z(camera: int) -> torch.Tensor:
    """Return the turn [4, 4] that points camera number `camera` of six outwards."""
    import torch  # noqa: PLC0415 — as above

    angle = torch.tensor(camera * torch.pi / 3)
    matrix = torch.eye(4)
    matrix[:2, :2] = torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
    return matrix


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
