"""Does the code learn? BEVFormer-nano trained on synthetic scenes, judged on scenes it has not seen, beside chance.

Run `python -m repro.bench.learning [--seeds 0,1,2] [--epochs N]`. Each run goes through the training and evaluation
stages of the main job. Chance is measured in three ways: untrained weights; the weights that learnt, shown images of
another street than the one they are judged on; and, for the first seed, training with such images, so that only what
holds for every street can be learnt. Interrupted, the same command goes on; what was finished in --run is kept, so name
another folder after a change. The figures are of synthetic data and not comparable with published ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from repro.data.index import Subset

if TYPE_CHECKING:
    from repro.artifacts import DataReady
    from repro.data import FrameRecord
    from repro.recipe import Recipe

RESULTS = Path(__file__).parent / "results" / "learning.json"
SCENES, FRAMES = 10, 24  # 8 scenes to learn from, 2 to judge on
EPOCHS = 12
KINDS = ("untrained", "learnt", "blind", "mismatched")
SCALE, OUT_STAGE = 0.0625, 1  # half of nano's pixels a side, read one stage earlier: as many cells, a third of the cost
BACKBONE_LR_FACTOR = 1.0  # no weights to be careful with


class Mismatched(Subset):
    """Records with the images of the record half the set away, which is another scene's: what is seen does not fit.

    Boxes, poses and calibration stay. `samples` are in time order, scene by scene.
    """

    def __init__(self, samples: Subset) -> None:
        super().__init__(samples.index, samples.rows)

    def __getitem__(self, position: int) -> FrameRecord:
        record, other = super().__getitem__(position), super().__getitem__((position + len(self) // 2) % len(self))
        pairs = zip(record.cameras, other.cameras, strict=True)
        return replace(record, cameras=tuple(replace(mine, path=theirs.path) for mine, theirs in pairs))


def main() -> int:
    """Train, judge, write the results file and print it; return 0."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2", help="seeds, separated by commas (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="192 iterations each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: %(default)s)")
    parser.add_argument("--dataroot", type=Path, default=Path("data/learning"), help="written if it is not there")
    parser.add_argument("--run", type=Path, default=Path("runs/learning"), help="where each run goes")
    parser.add_argument("--only", choices=KINDS, help="one kind of run, nothing written")
    words = parser.parse_args()
    seeds = [int(seed) for seed in words.seeds.split(",")]
    document = measure(words.dataroot, words.run, seeds, epochs=words.epochs, threads=words.threads, only=words.only)
    if words.only is None:
        from repro.atomic import write_json  # noqa: PLC0415 — nothing of ours before OMP_WAIT_POLICY is set

        write_json(RESULTS, document)
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0


def measure(
    dataroot: Path, folder: Path, seeds: list[int], *, epochs: int, threads: int, only: str | None
) -> dict[str, object]:
    """Return what each seed learnt, what chance gives, and the spread over the seeds."""
    import torch  # noqa: PLC0415 — as above

    from repro.data.synth import write_synth  # noqa: PLC0415 — as above
    from repro.prepare import open_index, prepare  # noqa: PLC0415 — as above

    torch.set_num_threads(threads)
    write_synth(dataroot, scenes=SCENES, frames=FRAMES)
    cache, nano = folder / "index", learning_recipe(0, epochs=epochs)
    data = prepare("synth", dataroot, nano, cache, without_can_bus=False)
    index = open_index(dataroot, data.version, nano, cache)
    kinds = [only] if only else KINDS
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for seed in seeds:
        for kind in kinds if seed == seeds[0] or only else KINDS[:3]:
            train_set, val_set = index.split(data.train_split), index.split(data.eval_split)
            place = folder / f"{epochs}-epochs" / f"{kind}-{seed}"
            recipe = learning_recipe(seed, epochs=epochs)
            rows[kind].append({"seed": seed, **_finished(place, kind, recipe, data, train_set, val_set)})
    maps = {kind: [row["map"] for row in found] for kind, found in rows.items()}
    asked = f"--seeds {','.join(map(str, seeds))} --epochs {epochs} --threads {threads}"
    return {
        "command": f"python -m repro.bench.learning {asked}",
        "what": "validation mAP of BEVFormer-nano on synthetic scenes it has not seen; not comparable with published",
        "recipe": {
            "name": "bevformer_nano",
            "epochs": epochs,
            "images.scale": SCALE,
            "images.pipeline": "fast",
            "out_stages": [OUT_STAGE],
        },
        "data": {"scenes": SCENES, "frames": FRAMES, "train": data.train_samples, "val": data.eval_samples},
        "map_mean": {kind: round(statistics.mean(values), 4) for kind, values in maps.items()},
        "map_spread": {kind: [round(min(values), 4), round(max(values), 4)] for kind, values in maps.items()},
        "threads": threads,
        "torch": str(torch.__version__),
        "runs": rows,
    }


def learning_recipe(seed: int, *, epochs: int) -> Recipe:
    """Return bevformer_nano with this proof's schedule and seed; everything else is the recipe's."""
    from repro.recipe import load_recipe  # noqa: PLC0415 — as above

    nano = load_recipe("bevformer_nano")
    backbone = nano.model.backbone.model_copy(update={"out_stages": (OUT_STAGE,)})
    changes = {
        "images": nano.images.model_copy(update={"scale": SCALE, "pipeline": "fast"}),
        "model": nano.model.model_copy(update={"backbone": backbone}),
        "optimizer": nano.optimizer.model_copy(update={"backbone_lr_factor": BACKBONE_LR_FACTOR}),
        "schedule": nano.schedule.model_copy(update={"epochs": epochs}),
        "train": nano.train.model_copy(update={"seed": seed}),
    }
    return nano.model_copy(update=changes)


def _finished(
    place: Path, kind: str, recipe: Recipe, data: DataReady, train_set: Subset, val_set: Subset
) -> dict[str, float]:
    """Return the figures of one run, from its file if it was finished before."""
    from repro.atomic import write_json  # noqa: PLC0415 — as above

    done = place / "figures.json"
    if done.is_file():
        known: dict[str, float] = json.loads(done.read_text(encoding="utf-8"))
        return known
    figures = _run(place, kind, recipe, data, train_set, val_set)
    write_json(done, figures)
    return figures


def _run(
    place: Path, kind: str, recipe: Recipe, data: DataReady, train_set: Subset, val_set: Subset
) -> dict[str, float]:
    """Train (unless untrained, or done by the run before) and judge.

    Times are of the training in this call, after which an interrupted one goes on: wall clock, and all cores' work.
    """
    import torch  # noqa: PLC0415 — as above

    from repro.evaluate.stage import evaluate  # noqa: PLC0415 — as above
    from repro.launch import Place  # noqa: PLC0415 — as above
    from repro.models.bevformer import build_bevformer  # noqa: PLC0415 — as above
    from repro.train.stage import WEIGHTS, train  # noqa: PLC0415 — as above
    from repro.weights import save_checkpoint  # noqa: PLC0415 — as above
    from repro.world import open_world  # noqa: PLC0415 — as above

    seed, began, worked = recipe.train.seed, time.monotonic(), _cpu_seconds()
    alone = Place(rank=0, world=1, launcher="none")
    fabric = open_world(alone, device="cpu", nodes=1, precision=recipe.train.precision)
    figures: dict[str, float] = {}
    weights = place / WEIGHTS
    if kind == "blind":
        weights = place.with_name(place.name.replace("blind", "learnt")) / WEIGHTS
    elif kind == "untrained":
        torch.manual_seed(seed)
        save_checkpoint(weights, build_bevformer(recipe), about={})
    else:
        samples = Mismatched(train_set) if kind == "mismatched" else train_set
        trained = train(recipe, data, samples, place, fabric=fabric, start=None, smoke=False, key=place.parent.name)
        figures = {"iterations": trained.iterations, "last_loss": round(trained.last_loss or 0.0, 3)}
    figures |= {"last_call_s": round(time.monotonic() - began), "last_call_cpu_s": round(_cpu_seconds() - worked)}
    judged = Mismatched(val_set) if kind == "blind" else val_set
    metrics = evaluate(recipe, data, judged, weights, place / "val", fabric=fabric, smoke=False, key=kind)
    return {"map": round(metrics.mean_ap, 4), "nds": round(metrics.nds, 4), **figures}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
