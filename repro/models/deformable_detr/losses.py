"""The losses of Deformable DETR: focal, L1 and generalised IoU, of every layer and of the proposals (spec §G)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repro.models.boxes import corners_of, generalised_iou
from repro.models.losses import box_distance, by_layer, classification_loss, normaliser_of
from repro.models.matching import Matches, assign, focal_cost
from repro.tensors import ImageTruth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from repro.recipe import DetrLosses, DetrMatcher
    from repro.tensors import ImagePrediction


def detection_losses(
    prediction: ImagePrediction,
    truth: Sequence[ImageTruth],
    sizes: Tensor,
    losses: DetrLosses,
    matcher: DetrMatcher,
    *,
    mean_over_ranks: Callable[[Tensor], Tensor] = lambda x: x,
) -> dict[str, Tensor]:
    """Return `loss_cls`, `loss_bbox`, `loss_iou` of the last layer and `d0.loss_cls`, … of those before it.

    The total is their plain sum. `sizes` [B, 2] are rows and columns of the images in the batch. Two-stage models have
    `enc_loss_cls`, … of the proposals, for which every box is of class 0 ("object"). An image without boxes is all
    background. Raises DivergedError.
    """

    def judged(logits: Tensor, boxes: Tensor, wanted: Sequence[ImageTruth]) -> dict[str, Tensor]:
        logits, boxes = logits.float(), boxes.float()
        items = zip(logits, boxes, wanted, sizes, strict=True)
        matches = [match(*item, matcher) for item in items]
        return layer_losses(logits, boxes, wanted, matches, sizes, losses, mean_over_ranks=mean_over_ranks)

    named = by_layer(
        len(prediction.boxes), lambda layer: judged(prediction.class_logits[layer], prediction.boxes[layer], truth)
    )
    if prediction.proposals is not None:
        objects = [ImageTruth(item.boxes, torch.zeros_like(item.labels)) for item in truth]
        proposed = judged(prediction.proposals.class_logits, prediction.proposals.boxes, objects)
        named |= {f"enc_{name}": loss for name, loss in proposed.items()}
    return named


def layer_losses(
    logits: Tensor,
    boxes: Tensor,
    truth: Sequence[ImageTruth],
    matches: Sequence[Matches],
    sizes: Tensor,
    losses: DetrLosses,
    *,
    mean_over_ranks: Callable[[Tensor], Tensor] = lambda x: x,
) -> dict[str, Tensor]:
    """Return the three losses of one decoder layer: logits [B, K, S], boxes [B, K, 4].

    `matches` holds each image's matched predictions and their boxes, as `match` returns them. L1 is taken in fractions
    of the image, the generalised IoU in its pixels.
    """
    rows = list(zip(boxes, truth, matches, strict=True))
    found = torch.cat([own[chosen] for own, _, (chosen, _) in rows])
    wanted = torch.cat([item.boxes[owner] for _, item, (_, owner) in rows])
    extent = torch.cat(
        [pixels_of(size).expand(len(chosen), -1) for size, (chosen, _) in zip(sizes, matches, strict=True)]
    )
    normaliser = normaliser_of(matches, logits, mean_over_ranks)
    overlap = generalised_iou(corners_of(found) * extent, corners_of(wanted) * extent)
    return {
        "loss_cls": classification_loss(logits, [item.labels for item in truth], matches, losses, normaliser),
        "loss_bbox": losses.box_weight * box_distance(found, wanted, found.new_ones(4)) / normaliser,
        "loss_iou": losses.giou_weight * (1 - overlap).sum() / normaliser,
    }


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, truth: ImageTruth, size: Tensor, settings: DetrMatcher) -> Matches:
    """Return the matched predictions and their boxes, two int64 tensors [min(K, G)], for one image and layer.

    logits [K, S], boxes [K, 4] in 0..1, size [2] rows and columns; no boxes give no matches. Raises DivergedError.
    """
    if len(truth.labels) == 0:
        nothing = truth.labels.new_zeros(0)
        return nothing, nothing
    return assign(matching_cost(logits, boxes, truth, size, settings))


def matching_cost(logits: Tensor, boxes: Tensor, truth: ImageTruth, size: Tensor, settings: DetrMatcher) -> Tensor:
    """Return [K, G]: what each prediction costs for each box, by class, L1 distance and generalised IoU (spec §G)."""
    extent = pixels_of(size)
    by_class = focal_cost(logits, truth.labels, alpha=settings.alpha, gamma=settings.gamma)
    by_box = torch.cdist(boxes, truth.boxes, p=1)
    overlap = generalised_iou(corners_of(boxes)[:, None] * extent, corners_of(truth.boxes)[None] * extent)
    return settings.class_weight * by_class + settings.box_weight * by_box - settings.giou_weight * overlap


def pixels_of(size: Tensor) -> Tensor:
    """Return [4] float32 (w, h, w, h) of a size [2] as (rows, columns): from fractions to pixels."""
    return size.flip(0).repeat(2).float()
