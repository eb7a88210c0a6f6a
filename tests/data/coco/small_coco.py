"""COCO annotation files of a few rows, for tests that say themselves what stands in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.coco.annotations import CocoImage
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from pathlib import Path

PERSON, CAR, TOOTHBRUSH = 1, 3, 90
CATEGORIES = [{"id": id_, "name": name} for id_, name in COCO_CATEGORIES.items()]


def image_row(image_id: int, width: int = 100, height: int = 80) -> dict[str, Any]:
    return {"id": image_id, "file_name": f"{image_id}.jpg", "width": width, "height": height}


def box_row(number: int, image_id: int, bbox: list[float], **more: object) -> dict[str, Any]:
    row = {"id": number, "image_id": image_id, "category_id": PERSON, "bbox": bbox, "area": bbox[2] * bbox[3]}
    return {**row, "iscrowd": 0, "segmentation": [], **more}


def document(images: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"images": images, "annotations": boxes, "categories": CATEGORIES}


def write(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def image_of(
    boxes: list[list[float]], *, categories: list[int] | None = None, width: int = 100, height: int = 80, **more: Any
) -> CocoImage:
    """Return an image in which every box is a person, is no crowd and fills its outline, unless said otherwise."""
    array = np.array(boxes, np.float64).reshape(-1, 4)
    fields: dict[str, Any] = {
        "annotation_ids": np.arange(1, len(array) + 1),
        "categories": np.array(categories or [PERSON] * len(array), np.int64),
        "areas": array[:, 2] * array[:, 3],
        "crowds": np.zeros(len(array), bool),
        "ignored": np.zeros(len(array), bool),
    }
    return CocoImage(id=1, file_name="1.jpg", height=height, width=width, boxes=array, **{**fields, **more})
