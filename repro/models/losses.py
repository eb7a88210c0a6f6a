"""The detection losses of every decoder layer (spec §D). Matching is `matching.py`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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


class ClassLoss(Protocol):
    """How classification is judged: the part of a recipe's [losses] that both models share."""

    @property
    def class_weight(self) -> float:
        """Factor of the focal loss."""

    @property
    def alpha(self) -> float:
        """Share of the loss that falls on what is there."""

    @property
    def gamma(self) -> float:
        """How little easy predictions count."""


def by_layer(layers: int, losses_of: Callable[[int], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the losses of all decoder layers by upstream's names: `loss_cls` the last, `d0.loss_cls` the first."""
    named: dict[str, Tensor] = {}
    for layer in range(layers):
        prefix = "" if layer == layers - 1 else f"d{layer}."
        named |= {f"{prefix}{name}": loss for name, loss in losses_of(layer).items()}
    return named


def normaliser_of(matches: Sequence[Matches], like: Tensor, mean_over_ranks: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what losses are divided by: the number of matches, averaged over ranks, at least one."""
    matched = like.new_tensor([float(sum(len(chosen) for chosen, _ in matches))])
    return mean_over_ranks(matched).clamp(min=1.0).squeeze(0)


def classification_loss(
    logits: Tensor, truth_labels: Sequence[Tensor], matches: Sequence[Matches], losses: ClassLoss, normaliser: Tensor
) -> Tensor:
    """Return the focal loss of one decoder layer: logits [B, K, S]; what is not matched is background."""
    B, K, S = logits.shape
    labels = logits.new_full((B, K), S, dtype=torch.int64)
    for item, (own, (chosen, owner)) in enumerate(zip(truth_labels, matches, strict=True)):
        labels[item, chosen] = own[owner]
    focal = focal_loss(logits, labels, alpha=losses.alpha, gamma=losses.gamma).sum()
    return losses.class_weight * focal / normaliser


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

    def losses_of(layer: int) -> dict[str, Tensor]:
        logits, codes = prediction.cls_logits[layer].float(), prediction.box_codes[layer].float()
        items = zip(logits, codes, truth, strict=True)
        matches = assigned[layer] if assigned else [match(*item, matcher) for item in items]
        pair = layer_losses(logits, codes, truth, matches, losses, mean_over_ranks=mean_over_ranks)
        return dict(zip(("loss_cls", "loss_bbox"), pair, strict=True))

    return by_layer(len(prediction.cls_logits), losses_of)


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
    pairs = [
        (item, chosen, boxes.boxes[owner])
        for item, (boxes, (chosen, owner)) in enumerate(zip(truth, matches, strict=True))
    ]
    found = torch.cat([codes[item, chosen] for item, chosen, _ in pairs])
    wanted = torch.cat([codes_from_boxes(boxes) for _, _, boxes in pairs])
    normaliser = normaliser_of(matches, logits, mean_over_ranks)
    loss_class = classification_loss(logits, [item.labels for item in truth], matches, losses, normaliser)
    distance = box_distance(found, wanted, codes.new_tensor(losses.code_weights))
    loss_box = losses.box_weight * distance / normaliser
    return loss_class.nan_to_num(), loss_box.nan_to_num()
