"""The losses by hand on small numbers, their names, and the cases upstream never meets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repro.models.boxes import codes_from_boxes
from repro.models.losses import box_distance, detection_losses, focal_loss
from repro.recipe import load_recipe
from repro.tensors import GroundTruth, Prediction

RECIPE = load_recipe("bevformer_tiny")
BOX = [5.0, -3.0, 0.5, 2.0, 4.0, 1.5, 0.3, 1.0, 0.0]
NOTHING = GroundTruth(torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64))


def truth_of(*labels: int) -> GroundTruth:
    boxes = torch.tensor([[BOX[0] + 7 * i, *BOX[1:]] for i in range(len(labels))])
    return GroundTruth(boxes, torch.tensor(labels))


def prediction(layers: int, items: int, *, queries: int = 6, seed: int = 0) -> Prediction:
    generator = torch.Generator().manual_seed(seed)
    return Prediction(
        bev=torch.zeros(items, 1, 1),
        cls_logits=torch.randn(layers, items, queries, 10, generator=generator).requires_grad_(),
        box_codes=torch.randn(layers, items, queries, 10, generator=generator).requires_grad_(),
        references=torch.zeros(layers + 1, items, queries, 3),
    )


def losses_of(found: Prediction, *truth: GroundTruth) -> dict[str, Tensor]:
    return detection_losses(found, truth, RECIPE.losses, RECIPE.matcher)


def test_focal_loss_is_the_formula_of_its_paper() -> None:
    logits = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    p = [1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(1.0))]
    right = -0.25 * (1 - p[0]) ** 2 * math.log(p[0])
    wrong = -0.75 * p[1] ** 2 * math.log(1 - p[1])
    seen = focal_loss(logits, torch.tensor([0]), alpha=0.25, gamma=2.0)
    torch.testing.assert_close(seen, torch.tensor([[right, wrong]], dtype=torch.float64))


def test_background_has_no_positive_class() -> None:
    logits = torch.zeros(1, 3)
    seen = focal_loss(logits, torch.tensor([3]), alpha=0.25, gamma=2.0)
    torch.testing.assert_close(seen, torch.full((1, 3), 0.75 * 0.25 * math.log(2)))


def test_names_are_upstreams() -> None:
    named = losses_of(prediction(3, 1), truth_of(1))
    assert list(named) == ["d0.loss_cls", "d0.loss_bbox", "d1.loss_cls", "d1.loss_bbox", "loss_cls", "loss_bbox"]


def test_a_perfect_box_costs_nothing_and_a_metre_costs_a_quarter() -> None:
    truth = truth_of(2)
    codes = codes_from_boxes(truth.boxes)[None, None]
    exact = Prediction(
        bev=torch.zeros(1, 1, 1),
        cls_logits=torch.zeros(1, 1, 1, 10),
        box_codes=codes,
        references=torch.zeros(2, 1, 1, 3),
    )
    off = Prediction(
        bev=exact.bev,
        cls_logits=exact.cls_logits,
        box_codes=codes + torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        references=exact.references,
    )
    assert float(losses_of(exact, truth)["loss_bbox"]) == 0
    assert float(losses_of(off, truth)["loss_bbox"]) == pytest.approx(0.25)


def test_velocity_counts_a_fifth() -> None:
    weights = torch.tensor(RECIPE.losses.code_weights)
    still, fast = torch.zeros(1, 10), torch.zeros(1, 10)
    fast[0, 8:] = 1.0
    assert float(box_distance(fast, still, weights)) == pytest.approx(0.4)


def test_a_target_that_is_not_finite_does_not_count() -> None:
    target = torch.zeros(2, 10)
    target[0, 2] = -math.inf
    assert float(box_distance(torch.ones(2, 10), target, torch.ones(10))) == 10


# differs from upstream: it crashes on an item without ground truth (quirk 19)
def test_no_ground_truth_at_all_is_background_everywhere() -> None:
    found = prediction(2, 1)
    named = losses_of(found, NOTHING)
    background = focal_loss(found.cls_logits[-1], torch.full((1, 6), 10), alpha=0.25, gamma=2.0).sum()
    assert named["loss_bbox"].item() == named["d0.loss_bbox"].item() == 0
    torch.testing.assert_close(named["loss_cls"], RECIPE.losses.class_weight * background)
    torch.stack(list(named.values())).sum().backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert found.cls_logits.grad is not None
    assert found.box_codes.grad is not None
    assert not found.box_codes.grad.any()
    assert found.cls_logits.grad.isfinite().all()


def test_an_empty_item_beside_a_full_one_adds_its_background_only() -> None:
    both = prediction(1, 2)
    first = Prediction(
        bev=both.bev[:1], cls_logits=both.cls_logits[:, :1], box_codes=both.box_codes[:, :1], references=both.references
    )
    truth = truth_of(1, 4)
    alone, together = losses_of(first, truth), losses_of(both, truth, NOTHING)
    background = focal_loss(both.cls_logits[0, 1], torch.full((6,), 10), alpha=0.25, gamma=2.0).sum()
    torch.testing.assert_close(together["loss_bbox"], alone["loss_bbox"])
    torch.testing.assert_close(together["loss_cls"], alone["loss_cls"] + RECIPE.losses.class_weight * background / 2)


def test_the_normaliser_is_the_mean_over_ranks() -> None:
    found, truth = prediction(1, 1), truth_of(1, 2)
    alone = losses_of(found, truth)
    beside_an_empty_rank = detection_losses(
        found, [truth], RECIPE.losses, RECIPE.matcher, mean_over_ranks=lambda count: count / 2
    )
    torch.testing.assert_close(beside_an_empty_rank["loss_bbox"], 2 * alone["loss_bbox"])
    torch.testing.assert_close(beside_an_empty_rank["loss_cls"], 2 * alone["loss_cls"])


def test_a_given_assignment_replaces_the_matching() -> None:
    found, truth = prediction(1, 1), truth_of(1)
    for query in (2, 4):
        given = [[(torch.tensor([query]), torch.tensor([0]))]]
        named = detection_losses(found, [truth], RECIPE.losses, RECIPE.matcher, assigned=given)
        distance = (found.box_codes[0, 0, query] - codes_from_boxes(truth.boxes)[0]).abs()
        expected = RECIPE.losses.box_weight * (distance * torch.tensor(RECIPE.losses.code_weights)).sum()
        torch.testing.assert_close(named["loss_bbox"], expected)
