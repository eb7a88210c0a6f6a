"""From the last decoder layer to scored boxes in pixels of the image file, without suppression of any (spec §H)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.models.boxes import corners_of
from repro.tensors import ImageDetections

if TYPE_CHECKING:
    from torch import Tensor

    from repro.recipe import DetrCoder
    from repro.tensors import ImageBatch, ImagePrediction


def decode(prediction: ImagePrediction, batch: ImageBatch, settings: DetrCoder) -> list[ImageDetections]:
    """Return the detections of each image: the best (query, class) pairs, a query perhaps under several classes."""
    return [
        decode_image(logits.float(), boxes.float(), size, original, scale, settings)
        for logits, boxes, size, original, scale in zip(
            prediction.class_logits[-1],
            prediction.boxes[-1],
            batch.sizes,
            batch.original_sizes,
            batch.scales,
            strict=True,
        )
    ]


def decode_image(
    logits: Tensor, boxes: Tensor, size: Tensor, original: Tensor, scale: Tensor, settings: DetrCoder
) -> ImageDetections:
    """Return the detections of one image: logits [K, S], boxes [K, 4], its sizes [2] as (rows, columns), scale [4].

    mmdet clips to the resized image and divides by the scale; the original repository multiplies with the size of the
    file and clips nothing (spec §J.1): `settings.clip` says which.
    """
    K, S = logits.shape
    scores, flat = logits.sigmoid().flatten().topk(min(settings.max_boxes, K * S))
    corners = corners_of(boxes[flat // S])
    if settings.clip:
        extent = size.flip(0).repeat(2).to(corners.dtype)  # w, h, w, h
        placed = (corners * extent).clamp(min=0).minimum(extent) / scale
    else:
        placed = corners * original.flip(0).repeat(2).to(corners.dtype)
    return ImageDetections(boxes=placed, scores=scores, labels=flat % S)
