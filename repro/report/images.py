"""COCO images to look at, with the boxes annotated and found in them, in pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from repro.recipe.coco import COCO_CATEGORIES
from repro.report.look import Look, Shown, View, data_uri, spread

if TYPE_CHECKING:
    from pathlib import Path

    from repro.artifacts import DataReady
    from repro.data.coco import CocoImage, CocoSplit
    from repro.recipe import DetrRecipe

LONGEST_SIDE = 640
NOTICE = "Images: COCO; each has its own Flickr licence (cocodataset.org)."
Boxes = list[dict[str, Any]]


def look_at_images(recipe: DetrRecipe, data: DataReady, split: CocoSplit, results: Path, evaluated: int) -> Look:  # noqa: ARG001 — a row of the table of architectures
    """Return some of the first `evaluated` images of `split`, evenly apart, with what a result file holds of them.

    Raises DataError for an image that cannot be read, OSError and ValueError for the result file.
    """
    images = [split.index[position] for position in spread(evaluated)]
    found = boxes_of(results, {image.id for image in images})
    return Look(
        kind="images",
        shown=tuple(shown_image(image, found[image.id], split) for image in images),
        of=evaluated,
        notice="" if data.synthetic else NOTICE,
    )


def boxes_of(results: Path, images: set[int]) -> dict[int, Boxes]:
    """Return the boxes of some images out of a result file as `evaluate_images` writes it: one line a box."""
    found: dict[int, Boxes] = {image: [] for image in images}
    starts = tuple(f'{{"image_id": {image},' for image in images)
    with results.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(starts):
                box = json.loads(line.rstrip().rstrip(","))
                found[box["image_id"]].append(box)
    return found


def shown_image(image: CocoImage, found: Boxes, split: CocoSplit) -> Shown:
    """Return one image with its boxes; crowds are annotated boxes like others here."""
    picture = data_uri(split.pixels(image), LONGEST_SIDE)
    return Shown(
        title=f"image {image.id} ({image.file_name})",
        views=(View(name=image.file_name, picture=picture, size=(image.width, image.height)),),
        annotated=tuple(tuple(round(float(value), 1) for value in box) for box in image.boxes),
        annotated_classes=tuple(COCO_CATEGORIES.get(int(number), str(number)) for number in image.categories),
        found=tuple(tuple(round(float(value), 1) for value in box["bbox"]) for box in found),
        found_classes=tuple(COCO_CATEGORIES[box["category_id"]] for box in found),
        scores=tuple(round(float(box["score"]), 4) for box in found),
    )
