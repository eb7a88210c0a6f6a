"""One frame or image through a model: from a checkpoint file to boxes. No history: a single frame has none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from repro.data import DataError
from repro.data.can_bus import motion
from repro.data.coco.dataset import prepared_image
from repro.data.dataset import FrameLoader
from repro.evaluate.coco import format_image
from repro.evaluate.formatting import EvaluationError, format_detections
from repro.models.bevformer import build_bevformer
from repro.models.bevformer.coder import decode
from repro.models.checkpoints import load_checkpoint
from repro.models.deformable_detr import build_deformable_detr
from repro.models.deformable_detr import decode as decode_images
from repro.models.deformable_detr.checkpoints import load_detr_checkpoint
from repro.models.precision import half_precision
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data import FrameRecord
    from repro.evaluate.coco import CocoBox
    from repro.recipe import DetrRecipe, Recipe
    from repro.tensors import Detections, ImageDetections


@torch.inference_mode()
def detect_frame(
    recipe: Recipe, checkpoint: Path, record: FrameRecord, dataroot: Path, *, device: str
) -> list[dict[str, Any]]:
    """Return what BEVFormer finds in a frame, best first: nuScenes result entries with the ego frame beside them.

    Each has the keys of a result file (global frame) and `ego_translation`, `ego_rotation`, `ego_velocity`. Boxes
    beyond the range of their class are left out, as in evaluation. Raises CheckpointError, DataError, EvaluationError.
    """
    model = build_bevformer(recipe)
    load_checkpoint(model, recipe, checkpoint)
    can_bus, _ = motion([record], recipe.model.quirks)[0]
    frame = FrameLoader(dataroot, recipe).load(record, can_bus, has_history=False)
    with half_precision(recipe.train.precision, device):
        prediction = model.eval().to(device)(frame.to(device), None)
    return entries_of(decode(prediction, recipe.coder)[0], record, recipe)


def entries_of(detections: Detections, record: FrameRecord, recipe: Recipe) -> list[dict[str, Any]]:
    """Return detections in both frames, as `detect_frame` does. Raises EvaluationError for numbers without end."""
    _check_finite(detections)
    at_rest = replace(
        record, global_from_ego_translation=np.zeros(3), global_from_ego_rotation=np.array([1.0, 0.0, 0.0, 0.0])
    )
    everywhere, in_ego = (format_detections(detections, where, recipe.data.classes) for where in (record, at_rest))
    return [
        {
            **entry,
            "ego_translation": local["translation"],
            "ego_rotation": local["rotation"],
            "ego_velocity": local["velocity"],
        }
        for entry, local in zip(everywhere, in_ego, strict=True)
    ]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return the BGR pixels [h, w, 3] of an image file of any size. Raises DataError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; name one image with --frame FILE") from error
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise DataError(f"{path}: not an image that can be read ({len(data)} bytes); expected a JPEG or PNG")
    return np.asarray(pixels, np.uint8)


@torch.inference_mode()
def detect_image(
    recipe: DetrRecipe, checkpoint: Path, pixels: NDArray[np.uint8], *, device: str
) -> list[dict[str, Any]]:
    """Return what Deformable DETR finds in BGR pixels [h, w, 3], best first: COCO result entries with `category_name`.

    bbox is x, y, w, h in pixels of the image. Raises CheckpointError, EvaluationError.
    """
    model = build_deformable_detr(recipe)
    load_detr_checkpoint(model, checkpoint)
    batch = prepared_image(pixels, 0, recipe.images).to(device)
    detections = decode_images(model.eval().to(device)(batch), batch, recipe.coder)[0]
    _check_finite(detections)
    return [_named(entry) for entry in format_image(detections, 0, recipe.data.labels)]


def _check_finite(detections: Detections | ImageDetections) -> None:
    """Raise EvaluationError for numbers without end."""
    if not all(bool(torch.isfinite(numbers).all()) for numbers in (detections.boxes, detections.scores)):
        raise EvaluationError("the model gives boxes that are not finite: choose the checkpoint of a run that learned")


def _named(entry: CocoBox) -> dict[str, Any]:
    return {**entry, "category_name": COCO_CATEGORIES[entry["category_id"]]}
