"""The images of a Deformable DETR run as views that can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from repro.draw.opened import CACHE, OpenRun
from repro.evaluate.coco import CocoBox, read_coco_results
from repro.prepare import open_split
from repro.recipe.coco import COCO_CATEGORIES
from repro.rundir import RunDirError
from repro.visualise.image import ImageBoxes, ImageView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repro.data.coco import CocoImage

MOST = 8  # pictures, unless another number is asked for


def image_views(run: OpenRun, image_id: int | None, most: int | None, threshold: float) -> Iterator[ImageView]:
    """Yield the evaluated images of a run in order, or the one called `image_id`. Raises DataError, RunDirError."""
    split = open_split(Path(run.data.dataroot), run.data.eval_split, CACHE)
    images = [split.index[position] for position in range(min(run.metrics.samples, len(split.index)))]
    if image_id is not None:
        images = [image for image in images if image.id == image_id]
        if not images:
            raise RunDirError(f"--scene {image_id}: the run evaluated no image of this id in {run.data.eval_split}")
    entries: dict[int, list[CocoBox]] = {image.id: [] for image in images}
    for entry in read_coco_results(run.results):
        if entry["image_id"] in entries:
            entries[entry["image_id"]].append(entry)
    kind = " (synthetic)" if run.data.synthetic else ""
    for image in images[: MOST if most is None else most]:
        yield ImageView(
            title=f"{run.recipe.name} · image {image.id}{kind} · {image.file_name}",
            pixels=np.asarray(cv2.cvtColor(split.pixels(image), cv2.COLOR_BGR2RGB), np.uint8),
            truth=_annotated(image),
            predictions=found_boxes(entries[image.id]),
            threshold=threshold,
        )


def _annotated(image: CocoImage) -> ImageBoxes:
    return ImageBoxes(boxes=image.boxes, names=[COCO_CATEGORIES[int(number)] for number in image.categories])


def found_boxes(entries: Sequence[CocoBox]) -> ImageBoxes:
    """Return entries of a COCO result file as boxes to draw."""
    return ImageBoxes(
        boxes=np.array([entry["bbox"] for entry in entries], float).reshape(-1, 4),
        names=[COCO_CATEGORIES[entry["category_id"]] for entry in entries],
        scores=np.array([entry["score"] for entry in entries], float),
    )
