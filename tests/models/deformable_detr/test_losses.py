"""The losses and the matching of Deformable DETR, by hand on small numbers."""

from __future__ import annotations

import itertools

import pytest
import torch

from repro.models.deformable_detr.losses import detection_losses, match, matching_cost
from repro.models.losses import focal_loss
from repro.models.matching import DivergedError
from repro.recipe import load_detr_recipe
from repro.tensors import ImagePrediction, ImageTruth, Proposals
from tests.models.deformable_detr.tiny_detr import truth as some_truth

RECIPE = load_detr_recipe("deformable_detr")
SIZE = torch.tensor([100, 200])  # rows, columns
BOX = [0.5, 0.5, 0.2, 0.4]
NOTHING = ImageTruth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def prediction(layers: int, items: int, *, queries: int = 6, seed: int = 0, proposals: bool = False) -> ImagePrediction:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, items, queries, 5, generator=generator).requires_grad_()
    boxes = torch.rand(layers, items, queries, 4, generator=generator).requires_grad_()
    proposed = Proposals(
        class_logits=torch.randn(items, 9, 5, generator=generator).requires_grad_(),
        boxes=torch.rand(items, 9, 4, generator=generator).requires_grad_(),
        chosen=torch.zeros(items, queries, dtype=torch.int64),
    )
    return ImagePrediction(
        class_logits=logits, boxes=boxes, references=(boxes[0].detach(),), proposals=proposed if proposals else None
    )


def only(box: list[float], *, label: int = 1) -> ImagePrediction:
    """Return one query of one layer that predicts `box`, sure of `label`."""
    logits = torch.full((1, 1, 1, 5), -20.0)
    logits[..., label] = 20.0
    boxes = torch.tensor(box).view(1, 1, 1, 4)
    return ImagePrediction(class_logits=logits, boxes=boxes, references=(boxes[0],), proposals=None)


def losses_of(found: ImagePrediction, *truth: ImageTruth) -> dict[str, torch.Tensor]:
    sizes = SIZE.expand(len(truth), -1)
    return detection_losses(found, truth, sizes, RECIPE.losses, RECIPE.matcher)


def test_names_are_upstreams() -> None:
    parts = ("loss_cls", "loss_bbox", "loss_iou")
    named = losses_of(prediction(2, 1, proposals=True), some_truth(1))
    assert set(named) == {*parts, *(f"d0.{part}" for part in parts), *(f"enc_{part}" for part in parts)}


def test_a_perfect_box_costs_nothing() -> None:
    named = losses_of(only(BOX), ImageTruth(torch.tensor([BOX]), torch.tensor([1])))
    assert {name: float(loss) for name, loss in named.items()} == pytest.approx(
        {"loss_cls": 0, "loss_bbox": 0, "loss_iou": 0}, abs=1e-6
    )


def test_a_shifted_box_costs_its_distance_in_fractions_and_its_overlap() -> None:
    named = losses_of(only([0.6, 0.5, 0.2, 0.4]), ImageTruth(torch.tensor([BOX]), torch.tensor([1])))
    # 20 of 40 pixels of width remain shared; union 60, hull 60 pixels wide, all 40 high
    assert float(named["loss_bbox"]) == pytest.approx(5 * 0.1, abs=1e-5)
    assert float(named["loss_iou"]) == pytest.approx(2 * (1 - 20 / 60), abs=1e-5)


def test_a_tiny_box_is_measured_in_pixels_where_upstream_clamps_areas() -> None:
    speck = [0.5, 0.5, 1e-4, 1e-4]  # 0.02 × 0.01 pixels: 2e-4 of area stay above the clamp, 1e-8 would not
    named = losses_of(only(speck), ImageTruth(torch.tensor([speck]), torch.tensor([1])))
    assert float(named["loss_iou"]) == pytest.approx(0, abs=1e-3)


def test_proposals_are_judged_as_objects_of_class_zero() -> None:
    found, truth = prediction(1, 1, proposals=True), some_truth(3, 4)
    assert found.proposals is not None
    named = losses_of(found, truth)
    objects = ImageTruth(truth.boxes, torch.zeros_like(truth.labels))
    as_layer = ImagePrediction(
        class_logits=found.proposals.class_logits[None],
        boxes=found.proposals.boxes[None],
        references=(),
        proposals=None,
    )
    wanted = losses_of(as_layer, objects)
    assert all(torch.equal(named[f"enc_{name}"], loss) for name, loss in wanted.items())
    assert not torch.equal(named["enc_loss_cls"], losses_of(as_layer, truth)["loss_cls"])


def test_tokens_that_propose_nothing_keep_the_losses_and_gradients_finite() -> None:
    found = prediction(1, 1, proposals=True)
    assert found.proposals is not None
    raw = torch.zeros(1, 9, 4).requires_grad_()
    anchors = torch.zeros(1, 9, 4)
    anchors[:, 3:] = torch.inf
    proposals = Proposals(
        class_logits=found.proposals.class_logits, boxes=(raw + anchors).sigmoid(), chosen=found.proposals.chosen
    )
    named = losses_of(
        ImagePrediction(
            class_logits=found.class_logits, boxes=found.boxes, references=found.references, proposals=proposals
        ),
        some_truth(*range(5)),  # more boxes than tokens that propose something
    )
    total = torch.stack(list(named.values())).sum()
    total.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert total.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_images_without_boxes_are_background_everywhere() -> None:
    found = prediction(2, 2, proposals=True)
    named = losses_of(found, NOTHING, NOTHING)
    background = focal_loss(found.class_logits[-1], torch.full((2, 6), 5), alpha=0.25, gamma=2.0).sum()
    torch.testing.assert_close(named["loss_cls"], RECIPE.losses.class_weight * background)
    boxes = {name for name in named if not name.endswith("cls")}
    assert len(boxes) == 6
    assert all(named[name].item() == 0 for name in boxes)
    torch.stack(list(named.values())).sum().backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert found.boxes.grad is not None
    assert not found.boxes.grad.any()


def test_losses_are_per_box_of_the_whole_batch() -> None:
    both, truth = prediction(1, 2), some_truth(1, 4)
    first = ImagePrediction(
        class_logits=both.class_logits[:, :1], boxes=both.boxes[:, :1], references=(), proposals=None
    )
    alone, together = losses_of(first, truth), losses_of(both, truth, NOTHING)
    torch.testing.assert_close(together["loss_bbox"], alone["loss_bbox"])
    assert together["loss_cls"].item() > alone["loss_cls"].item()


def test_the_normaliser_is_the_mean_over_ranks() -> None:
    found, truth = prediction(1, 1), some_truth(1, 2)
    alone = losses_of(found, truth)
    beside_an_empty_rank = detection_losses(
        found, [truth], SIZE[None], RECIPE.losses, RECIPE.matcher, mean_over_ranks=lambda count: count / 2
    )
    for name, loss in alone.items():
        torch.testing.assert_close(beside_an_empty_rank[name], 2 * loss)


def test_no_other_assignment_costs_less() -> None:
    found, truth = prediction(1, 1, queries=5), some_truth(0, 2, 2)
    logits, boxes = found.class_logits[0, 0].detach(), found.boxes[0, 0].detach()
    cost = matching_cost(logits, boxes, truth, SIZE, RECIPE.matcher)
    chosen, owner = match(logits, boxes, truth, SIZE, RECIPE.matcher)
    best = min(sum(float(cost[row, k]) for k, row in enumerate(rows)) for rows in itertools.permutations(range(5), 3))
    assert float(cost[chosen, owner].sum()) == pytest.approx(best)
    assert sorted(owner.tolist()) == [0, 1, 2]


def test_the_cost_is_the_sum_of_class_distance_and_overlap() -> None:
    logits, boxes = torch.zeros(1, 5), torch.tensor([[0.6, 0.5, 0.2, 0.4]])
    cost = matching_cost(logits, boxes, ImageTruth(torch.tensor([BOX]), torch.tensor([2])), SIZE, RECIPE.matcher)
    by_class = 0.25 * 0.25 * 0.6931472 - 0.75 * 0.25 * 0.6931472
    assert float(cost) == pytest.approx(2 * by_class + 5 * 0.1 - 2 * (20 / 60), abs=1e-5)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_diverged_prediction_is_named_as_such(broken: float) -> None:
    found = prediction(1, 1)
    with torch.no_grad():
        found.boxes[0, 0, 0, 0] = broken
    with pytest.raises(DivergedError, match="a matching cost is not finite"):
        losses_of(found, some_truth(1))
