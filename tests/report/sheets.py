"""Pages for the tests: plain facts of full runs, with frames and images of synthetic data and boxes a little off."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from repro.artifacts import PrecisionCurves
from repro.compare import compare
from repro.data import open_nuscenes
from repro.evaluate.coco import CATEGORY_IDS, CocoBox, write_coco_results
from repro.evaluate.formatting import format_detections, write_results
from repro.prepare import open_split
from repro.recipe import load_detr_recipe
from repro.recipe.schema import CAMERAS, CLASSES
from repro.report import Look, RunFacts, Shows, page
from repro.report.frames import look_at_frames
from repro.report.images import look_at_images
from tests.evaluate.truth import perfect_detections
from tests.plain_run import DESK, FULL, TINY, VAL, measured

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data import Subset

DETR = load_detr_recipe("deformable_detr")
CURVES = PrecisionCurves(
    unit="m",
    classes={"car": {str(t): tuple(max(0.0, 1 - k / 100 / t) for k in range(101)) for t in (0.5, 1.0, 2.0, 4.0)}},
)
LOSSES = [
    {
        "iteration": 50.0 * k,
        "loss": 9 + 20 * math.exp(-k / 9),
        "d0.loss_cls": 1.0,
        "loss_cls": 2.0,
        "lr": 2e-4 / (k + 1),
    }
    for k in range(20)
]


def facts(*, nds: float = 0.3541, command: str = "./bevready repro --recipe bevformer_tiny") -> RunFacts:
    metrics = measured(nds, 0.2515)
    verdict = compare(TINY, data=VAL, trained=FULL, metrics=metrics, smoke=False)
    return RunFacts(
        machine=DESK,
        data=VAL,
        trained=FULL,
        metrics=metrics,
        verdict=verdict,
        seconds={"data": 61.0, "train": 7300.0, "evaluate": 1.5, "compare": None},
        shortened=(),
        command=command,
    )


def shows(look: Look) -> Shows:
    return Shows(losses=LOSSES, curves=CURVES, look=look)


def frames(root: Path, folder: Path) -> tuple[Subset, Look]:
    """Return the frames of a synthetic data set, and what a detector that is almost perfect lets one see of them."""
    samples = open_nuscenes(root, "v1.0-mini", folder, channels=CAMERAS).split("mini_val")
    results = {}
    for k in range(len(samples)):
        every, record = perfect_detections(samples[k]), samples[k]
        counted = torch.tensor([bool(v) for v, name in zip(record.valid, record.names, strict=True) if name in CLASSES])
        scores = torch.linspace(0.9, 0.1, int(counted.sum()))
        seen = replace(every, boxes=every.boxes[counted], labels=every.labels[counted], scores=scores)
        results[record.token] = format_detections(seen, record, CLASSES)
    write_results(folder / "results_nusc.json", results)
    data = replace(VAL, dataroot=str(root), synthetic=True)
    return samples, look_at_frames(TINY, data, samples, folder / "results_nusc.json", len(samples))


def images(root: Path, folder: Path) -> Look:
    """Return the images of a synthetic COCO, each annotated box found with a score of 0.6."""
    split = open_split(root, "val2017", folder)
    entries = {
        image.id: [
            CocoBox(image_id=image.id, category_id=int(category), bbox=box.tolist(), score=0.6)
            for category, box in zip(image.categories, image.boxes, strict=True)
            if category in CATEGORY_IDS
        ]
        for image in (split.index[k] for k in range(len(split.index)))
    }
    write_coco_results(folder / "results_coco.json", entries)
    data = replace(VAL, dataset="coco", dataroot=str(root), synthetic=True, scenes=None)
    return look_at_images(DETR, data, split, folder / "results_coco.json", len(split.index))


def sheet(look: Look) -> str:
    return page(TINY, facts(), shows(look))
