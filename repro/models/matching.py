"""One-to-one assignment of predictions to ground truth by least cost; what the costs weigh is the recipe's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from repro.models.boxes import codes_from_boxes, rounded_log

if TYPE_CHECKING:
    from repro.recipe import Matcher
    from repro.tensors import GroundTruth

Matches = tuple[Tensor, Tensor]  # predictions and the boxes they are matched with
MATCHED_CODES = 8  # the velocity does not take part (spec §D)
EPS = 1e-12


class DivergedError(ValueError):
    """Predictions or boxes hold NaN or infinity; the message says where to look."""


def focal_cost(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return [K, G]: what it costs to call each prediction (logits [K, S]) by each label [G] (spec §D)."""
    p = logits[:, labels].sigmoid()
    negative = -rounded_log(1 - p + EPS) * (1 - alpha) * p.pow(gamma)
    positive = -rounded_log(p + EPS) * alpha * (1 - p).pow(gamma)
    return positive - negative


def box_cost(codes: Tensor, boxes: Tensor) -> Tensor:
    """Return [K, G]: the L1 distance of the first eight codes [K, 10] to those of boxes [G, 9]."""
    target = codes_from_boxes(boxes)[:, :MATCHED_CODES]
    return torch.cdist(codes[:, :MATCHED_CODES], target, p=1)


@torch.no_grad()
def match(logits: Tensor, codes: Tensor, truth: GroundTruth, settings: Matcher) -> Matches:
    """Return the matched predictions and their boxes, two int64 tensors [min(K, G)], for one item and layer.

    logits [K, S], codes [K, 10]; no ground truth gives no matches. Raises
    DivergedError.
    """
    if len(truth.labels) == 0:
        nothing = truth.labels.new_zeros(0)
        return nothing, nothing
    cost_class = focal_cost(logits, truth.labels, alpha=settings.alpha, gamma=settings.gamma)
    cost = settings.class_weight * cost_class + settings.box_weight * box_cost(codes, truth.boxes)
    return assign(cost)


@torch.no_grad()
def assign(cost: Tensor) -> Matches:
    """Return the matched predictions and boxes, two int64 tensors [min(K, G)], of a cost [K, G] (arXiv 2005.12872).

    Raises DivergedError.
    """
    if not torch.isfinite(cost).all():
        raise DivergedError(
            "a matching cost is not finite: predictions or boxes hold NaN or infinity "
            "(boxes need sizes above zero); look at the losses before this iteration"
        )
    predictions, boxes = linear_sum_assignment(cost.cpu().numpy())
    return torch.as_tensor(predictions, device=cost.device), torch.as_tensor(boxes, device=cost.device)
