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
from repro.visualise.image import ImageBoxes, ImageView, found_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repro.data.coco import CocoImage, CocoSplit

MOST = 8  # pictures, unless another number is asked for


def split_of(run: OpenRun) -> CocoSplit:
    """Return the split that the run was evaluated on. Raises DataError when it is gone."""
    return open_split(Path(run.data.dataroot), run.data.eval_split, CACHE)


def choose_images(run: OpenRun, split: CocoSplit, image_id: int | None, most: int | None) -> list[CocoImage]:
    """Return the first `most` evaluated images, or the one called `image_id`. Raises RunDirError when there is none."""
    images = [split.index[position] for position in range(min(run.metrics.samples, len(split.index)))]
    if image_id is not None:
        images = [image for image in images if image.id == image_id]
        if not images:
            raise RunDirError(f"--scene {image_id}: the run evaluated no image of this id in {run.data.eval_split}")
    return images[: MOST if most is None else most]


def image_views(run: OpenRun, split: CocoSplit, images: Sequence[CocoImage], threshold: float) -> Iterator[ImageView]:
    """Yield views of images of a run. Raises DataError, and EvaluationError for a damaged result file."""
    entries: dict[int, list[CocoBox]] = {image.id: [] for image in images}
    for entry in read_coco_results(run.results):
        if entry["image_id"] in entries:
            entries[entry["image_id"]].append(entry)
    kind = " (synthetic)" if run.data.synthetic else ""
    for image in images:
        yield ImageView(
            title=f"{run.recipe.name} · image {image.id}{kind} · {image.file_name}",
            pixels=np.asarray(cv2.cvtColor(split.pixels(image), cv2.COLOR_BGR2RGB), np.uint8),
            truth=_annotated(image),
            predictions=found_boxes(entries[image.id]),
            threshold=threshold,
        )


def _annotated(image: CocoImage) -> ImageBoxes:
    return ImageBoxes(boxes=image.boxes, names=[COCO_CATEGORIES[int(number)] for number in image.categories])
