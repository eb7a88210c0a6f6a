"""Does Deformable DETR learn? The nano recipe on four synthetic images, judged on the same four, beside no training.

Run `python -m repro.bench.overfit [--epochs 120]`. It goes through the training and evaluation stages of the main job
and leaves its figures in `results/overfit.json`. Interrupted, the same command goes on. The figures are of synthetic
data and of images known by heart: not comparable with published ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from repro.artifacts import CocoMetrics, DataReady
    from repro.data.coco import CocoSplit
    from repro.recipe import DetrRecipe

RESULTS = Path(__file__).parent / "results" / "overfit.json"
IMAGES = 4
EPOCHS = 120
BOUND_AP, BOUND_S = 0.5, 600.0  # the issue's: average precision, and seconds on two cores


def main() -> int:
    """Train, judge, write the results file and print it; return 0."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: %(default)s)")
    parser.add_argument("--dataroot", type=Path, default=Path("data/overfit"), help="written if it is not there")
    parser.add_argument("--run", type=Path, default=Path("runs/overfit"), help="where the run goes")
    words = parser.parse_args()
    figures = measure(words.dataroot, words.run, epochs=words.epochs, threads=words.threads)
    from repro.atomic import write_json  # noqa: PLC0415 — nothing of ours before OMP_WAIT_POLICY is set

    write_json(RESULTS, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def measure(dataroot: Path, folder: Path, *, epochs: int, threads: int) -> dict[str, object]:
    """Return the average precision on the four images before and after training, and what it took."""
    import torch  # noqa: PLC0415 — as above

    from repro.launch import Place  # noqa: PLC0415 — as above
    from repro.models.deformable_detr import build_deformable_detr  # noqa: PLC0415 — as above
    from repro.weights import save_checkpoint  # noqa: PLC0415 — as above
    from repro.world import open_world  # noqa: PLC0415 — as above

    torch.set_num_threads(threads)
    recipe = overfit_recipe(epochs)
    data, split = four_images(dataroot, folder / "index", recipe)
    fabric = open_world(
        Place(rank=0, world=1, launcher="none"), device="cpu", nodes=1, precision=recipe.train.precision
    )
    torch.manual_seed(recipe.train.seed)
    save_checkpoint(folder / "untrained.pth", build_deformable_detr(recipe), about={})
    untrained = _judged(recipe, data, split, folder / "untrained.pth", folder / "untrained", fabric)
    began = time.monotonic()
    learnt, notes = _learnt(recipe, data, split, folder, fabric)
    seconds = time.monotonic() - began
    return {
        "what": "box AP of deformable_detr_nano on the four synthetic images it was trained on; not comparable",
        "command": f"python -m repro.bench.overfit --epochs {epochs} --threads {threads}",
        "box_ap": {"untrained": untrained.headline["box AP"], "learnt": round(learnt.headline["box AP"], 4)},
        "box_ap_50": round(learnt.figures["AP50"] or 0.0, 4),
        "bounds": {"box_ap": BOUND_AP, "seconds": BOUND_S},
        "seconds": round(seconds, 1),
        **notes,
        "boxes": data.boxes,
        "machine": {"cpu": platform.machine(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]},
        "threads": threads,
        "torch": str(torch.__version__),
    }


def overfit_recipe(epochs: int) -> DetrRecipe:
    """Return deformable_detr_nano with this proof's length; the last sixth of it learns ten times slower."""
    from repro.recipe import load_detr_recipe  # noqa: PLC0415 — as above

    nano = load_detr_recipe("deformable_detr_nano")
    schedule = nano.schedule.model_copy(update={"epochs": epochs, "milestones": (max(1, epochs * 5 // 6),)})
    return nano.model_copy(update={"schedule": schedule})


def four_images(dataroot: Path, cache: Path, recipe: DetrRecipe) -> tuple[DataReady, CocoSplit]:
    """Return the synthetic set of four training images, to be judged on the same four, and its training split."""
    from repro.data.coco.synth import SynthOptions, write_synth_coco  # noqa: PLC0415 — as above
    from repro.prepare import open_split, prepare_coco  # noqa: PLC0415 — as above

    write_synth_coco(dataroot, SynthOptions(train=IMAGES, val=1))
    data = prepare_coco("synth", dataroot, recipe, cache)
    return replace(data, eval_split=data.train_split), open_split(dataroot, data.train_split, cache)


def _learnt(
    recipe: DetrRecipe, data: DataReady, split: CocoSplit, folder: Path, fabric: Fabric
) -> tuple[CocoMetrics, dict[str, object]]:
    from repro.train.deformable_detr import DEFORMABLE_DETR  # noqa: PLC0415 — as above
    from repro.train.teach import WEIGHTS, teach  # noqa: PLC0415 — as above

    key = f"{recipe.schedule.epochs} epochs of {data.fingerprint}"
    place = folder / "train"
    trained = teach(DEFORMABLE_DETR, recipe, data, split, place, fabric=fabric, start=None, smoke=False, key=key)
    metrics = _judged(recipe, data, split, place / WEIGHTS, folder / "learnt", fabric)
    notes = {name: getattr(trained, name) for name in ("iterations", "batch", "first_loss", "last_loss")}
    return metrics, notes


def _judged(
    recipe: DetrRecipe, data: DataReady, split: CocoSplit, weights: Path, folder: Path, fabric: Fabric
) -> CocoMetrics:
    from repro.evaluate.images import evaluate_images  # noqa: PLC0415 — as above

    return evaluate_images(recipe, data, split, weights, folder, fabric=fabric, smoke=False, key="overfit")


if __name__ == "__main__":
    sys.exit(main())
