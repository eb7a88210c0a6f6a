"""The detection losses of every decoder layer (spec §D). Matching is `matching.py`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from repro.models.boxes import codes_from_boxes
from repro.models.matching import Matches, match

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from repro.recipe import Losses, Matcher
    from repro.tensors import GroundTruth, Prediction


def focal_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the element-wise sigmoid focal loss [..., S] (arXiv 1708.02002); a label equal to S is background."""
    classes = logits.shape[-1]
    target = one_hot(labels, classes + 1)[..., :classes].to(logits.dtype)
    p = logits.sigmoid()
    wrong = (1 - p) * target + p * (1 - target)  # 1 - p_t
    weight = alpha * target + (1 - alpha) * (1 - target)
    return binary_cross_entropy_with_logits(logits, target, reduction="none") * weight * wrong.pow(gamma)


def box_distance(codes: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted L1 distance, summed, over the rows whose target is finite (spec §D)."""
    usable = target.isfinite().all(-1)
    return ((codes - target).abs() * weights)[usable].sum()


def detection_losses(
    prediction: Prediction,
    truth: Sequence[GroundTruth],
    losses: Losses,
    matcher: Matcher,
    *,
    mean_over_ranks: Callable[[Tensor], Tensor] = lambda x: x,
    assigned: Sequence[Sequence[Matches]] | None = None,
) -> dict[str, Tensor]:
    """Return `loss_cls` and `loss_bbox` of the last decoder layer and `d0.loss_cls`, … of those before it.

    The total is their plain sum. `assigned` [layer][item] replaces the matching. An item without ground truth is all
    background (quirk 19: upstream crashes).
    """
    named: dict[str, Tensor] = {}
    layers = prediction.cls_logits.shape[0]
    for layer, (logits, codes) in enumerate(zip(prediction.cls_logits, prediction.box_codes, strict=True)):
        prefix = "" if layer == layers - 1 else f"d{layer}."
        logits, codes = logits.float(), codes.float()  # noqa: PLW2901 — the same values in full precision
        matches = (
            assigned[layer] if assigned else [match(*item, matcher) for item in zip(logits, codes, truth, strict=True)]
        )
        pair = layer_losses(logits, codes, truth, matches, losses, mean_over_ranks=mean_over_ranks)
        named[f"{prefix}loss_cls"], named[f"{prefix}loss_bbox"] = pair
    return named


def layer_losses(
    logits: Tensor,
    codes: Tensor,
    truth: Sequence[GroundTruth],
    matches: Sequence[Matches],
    losses: Losses,
    *,
    mean_over_ranks: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[Tensor, Tensor]:
    """Return the classification and box loss of one decoder layer: logits [B, K, S], codes [B, K, 10].

    `matches` holds each item's matched predictions and their boxes, as `match` returns them.
    """
    B, K, S = logits.shape
    labels = logits.new_full((B, K), S, dtype=torch.int64)
    found, wanted = [], []
    for item, (boxes, (chosen, owner)) in enumerate(zip(truth, matches, strict=True)):
        labels[item, chosen] = boxes.labels[owner]
        found.append(codes[item, chosen])
        wanted.append(codes_from_boxes(boxes.boxes[owner]))
    matched = logits.new_tensor([float(sum(map(len, found)))])
    normaliser = mean_over_ranks(matched).clamp(min=1.0).squeeze(0)
    focal = focal_loss(logits, labels, alpha=losses.alpha, gamma=losses.gamma).sum()
    distance = box_distance(torch.cat(found), torch.cat(wanted), codes.new_tensor(losses.code_weights))
    loss_class = losses.class_weight * focal / normaliser
    loss_box = losses.box_weight * distance / normaliser
    return loss_class.nan_to_num(), loss_box.nan_to_num()
