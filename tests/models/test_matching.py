"""Assignment by least cost, against trying every assignment."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from repro.models.matching import DivergedError, box_cost, focal_cost, match
from repro.recipe import load_recipe
from repro.tensors import GroundTruth

MATCHER = load_recipe("bevformer_tiny").matcher


def example(predictions: int, boxes: int) -> tuple[Tensor, Tensor, GroundTruth]:
    generator = torch.Generator().manual_seed(predictions * 10 + boxes)
    sizes = torch.rand(boxes, 3, generator=generator) + 0.5
    places = torch.randn(boxes, 3, generator=generator) * 5
    rest = torch.randn(boxes, 3, generator=generator)
    truth = GroundTruth(torch.cat([places, sizes, rest], 1), torch.randint(0, 10, (boxes,), generator=generator))
    logits = torch.randn(predictions, 10, generator=generator)
    return logits, torch.randn(predictions, 10, generator=generator) * 5, truth


def cost_of(logits: Tensor, codes: Tensor, truth: GroundTruth) -> Tensor:
    by_class = focal_cost(logits, truth.labels, alpha=MATCHER.alpha, gamma=MATCHER.gamma)
    return MATCHER.class_weight * by_class + MATCHER.box_weight * box_cost(codes, truth.boxes)


def test_no_other_assignment_costs_less() -> None:
    logits, codes, truth = example(5, 3)
    cost = cost_of(logits, codes, truth)
    found, owners = match(logits, codes, truth, MATCHER)
    best = min(sum(float(cost[row, k]) for k, row in enumerate(rows)) for rows in itertools.permutations(range(5), 3))
    assert float(cost[found, owners].sum()) == pytest.approx(best)
    assert sorted(owners.tolist()) == [0, 1, 2]


def test_more_boxes_than_predictions_leave_boxes_alone() -> None:
    found, owners = match(*example(2, 4), MATCHER)
    assert found.tolist() == [0, 1]
    assert len(set(owners.tolist())) == 2


def test_no_ground_truth_gives_no_matches() -> None:
    logits, codes, _ = example(4, 1)
    nothing = GroundTruth(torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64))
    found, owners = match(logits, codes, nothing, MATCHER)
    assert found.numel() == owners.numel() == 0
    assert found.dtype == owners.dtype == torch.int64


def test_velocity_does_not_take_part() -> None:
    _, codes, truth = example(6, 3)
    faster = codes.clone()
    faster[:, 8:] += 100
    assert torch.equal(box_cost(codes, truth.boxes), box_cost(faster, truth.boxes))


def test_the_right_class_is_cheaper_than_a_wrong_one() -> None:
    sure = torch.full((1, 10), -4.0)
    sure[0, 3] = 4.0
    cost = focal_cost(sure, torch.tensor([3, 5]), alpha=0.25, gamma=2.0)
    assert float(cost[0, 0]) < 0 < float(cost[0, 1])


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_diverged_prediction_is_named_as_such(broken: float) -> None:
    logits, codes, truth = example(3, 2)
    codes[0, 0] = broken
    with pytest.raises(DivergedError, match="a matching cost is not finite"):
        match(logits, codes, truth, MATCHER)
