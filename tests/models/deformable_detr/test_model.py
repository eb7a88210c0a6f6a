"""The whole model: what each variant returns, what padding and neighbours may change, how it starts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from repro.models.deformable_detr import DeformableDETR, build_deformable_detr, detection_losses
from repro.recipe import load_detr_recipe
from tests.models.deformable_detr import tiny_detr
from tests.models.deformable_detr.tiny_detr import CLASSES, QUERIES, VARIANTS

TWO = ((64, 96), (96, 64))
PAIR = pytest.mark.parametrize("variant", list(VARIANTS))
RECIPE = load_detr_recipe("deformable_detr")


@PAIR
def test_every_layer_predicts_classes_and_boxes(variant: str) -> None:
    found = tiny_detr.model(variant)(tiny_detr.batch(*TWO))
    assert found.class_logits.shape == (3, 2, QUERIES, CLASSES)
    assert found.boxes.shape == (3, 2, QUERIES, 4)
    assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
    first, later = found.references[0], found.references[1:]
    assert first.shape[-1] == (4 if variant == "two_stage" else 2)
    assert len(later) == 3
    assert all(points.shape[-1] == (2 if variant == "plain" else 4) for points in later)


@PAIR
@torch.no_grad()
def test_what_lies_in_the_padding_changes_no_prediction(variant: str) -> None:
    model = tiny_detr.model(variant)
    tokens = model.image_tokens(tiny_detr.batch(*TWO))
    noise = torch.where(tokens.padding[..., None], torch.randn_like(tokens.features) * 100, 0.0)
    assert noise.any()
    found = []
    for seen in (tokens, replace(tokens, features=tokens.features + noise)):
        memory = model.encode(seen)
        found.append(model.decode(memory, seen, *model.queries(memory, seen)))
    clean, noisy = found
    torch.testing.assert_close(noisy.boxes, clean.boxes)
    torch.testing.assert_close(noisy.class_logits, clean.class_logits)


@PAIR
@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(variant: str) -> None:
    model, both = tiny_detr.model(variant), tiny_detr.batch((96, 96), (64, 96), seed=1)
    turned = replace(
        both, images=both.images.flip(0), padding=both.padding.flip(0), sizes=both.sizes.flip(0), ids=both.ids[::-1]
    )
    straight, swapped = model(both), model(turned)
    torch.testing.assert_close(swapped.boxes, straight.boxes.flip(1))
    torch.testing.assert_close(swapped.class_logits, straight.class_logits.flip(1))


def test_without_refinement_references_stay_and_learn() -> None:
    model = tiny_detr.model("plain").train()
    found = model(tiny_detr.batch(*TWO))
    assert all(torch.equal(points, found.references[0]) for points in found.references)
    found.boxes[-1].sum().backward()
    gradient = model.get_parameter("reference_points.weight").grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("variant", ["refine", "two_stage"])
def test_with_refinement_a_layer_looks_where_the_last_one_pointed_without_gradient(variant: str) -> None:
    found = tiny_detr.model(variant).train()(tiny_detr.batch(*TWO))
    for boxes, points in zip(found.boxes, found.references[1:], strict=True):
        assert torch.equal(points, boxes)
        assert not points.requires_grad
    assert found.references[0].requires_grad == (variant == "refine")


def test_queries_start_from_the_tokens_that_look_most_like_an_object() -> None:
    found = tiny_detr.model("two_stage")(tiny_detr.batch(*TWO))
    assert found.proposals is not None
    best = found.proposals.class_logits[..., 0].topk(QUERIES, dim=1)
    scores = found.proposals.class_logits[..., 0].gather(1, found.proposals.chosen)
    torch.testing.assert_close(scores, best.values)
    starts = found.proposals.boxes.gather(1, found.proposals.chosen[..., None].expand(-1, -1, 4))
    torch.testing.assert_close(found.references[0], starts)


def test_an_image_with_fewer_tokens_than_queries_is_answered_with_what_to_change() -> None:
    few = tiny_detr.settings("two_stage")
    greedy = few.model_copy(update={"decoder": few.decoder.model_copy(update={"queries": 100})})
    with pytest.raises(ValueError, match=r"100 queries from 22 tokens .*: larger images, or fewer queries"):
        DeformableDETR(greedy, classes=CLASSES).eval()(tiny_detr.batch((32, 32)))


@PAIR
def test_activation_checkpointing_changes_no_gradient(variant: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = tiny_detr.model(variant, checkpointing=checkpointing, dropout=0.3).train()
        torch.manual_seed(3)
        found = model(tiny_detr.batch(*TWO))
        (found.class_logits.sum() + found.boxes.sum()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    plain, saving = gradients
    assert set(plain) == set(saving)
    for name, gradient in plain.items():
        torch.testing.assert_close(saving[name], gradient, msg=name)


@PAIR
def test_half_precision_moves_boxes_by_little_and_keeps_gradients(variant: str) -> None:
    model, batch = tiny_detr.model(variant, checkpointing=True), tiny_detr.batch(*TWO)
    full = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(batch)
        losses = detection_losses(
            half, [tiny_detr.truth(1), tiny_detr.truth(2)], batch.sizes, RECIPE.losses, RECIPE.matcher
        )
    assert {half.boxes.dtype, *(points.dtype for points in half.references)} == {torch.float32}
    if variant != "two_stage":  # there other tokens may become queries
        torch.testing.assert_close(half.boxes, full.boxes, atol=0.03, rtol=0)
        torch.testing.assert_close(half.references[0], full.references[0])  # no rounding before the first look
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("variant", ["plain", "refine"])
def test_a_fresh_model_doubts_everything_and_guesses_small_boxes_at_its_references(variant: str) -> None:
    torch.manual_seed(0)
    fresh = DeformableDETR(tiny_detr.settings(variant), classes=CLASSES).eval()
    found = fresh(tiny_detr.batch(*TWO))
    small = 1 / (1 + math.exp(2.0))
    torch.testing.assert_close(found.boxes[0, ..., :2], found.references[0])
    torch.testing.assert_close(found.boxes[0, ..., 2:], torch.full((2, QUERIES, 2), small))
    doubt = [fresh.get_parameter(f"head.classify.{layer}.bias").detach() for layer in range(3)]
    torch.testing.assert_close(torch.cat(doubt), torch.full((3 * CLASSES,), -math.log(99)))


def test_a_fresh_two_stage_model_keeps_its_proposals() -> None:
    torch.manual_seed(0)
    found = DeformableDETR(tiny_detr.settings("two_stage"), classes=CLASSES).eval()(tiny_detr.batch(*TWO))
    for boxes in found.boxes:
        torch.testing.assert_close(boxes, found.references[0], atol=1e-4, rtol=1e-4)  # but for the logit's clamp


@pytest.mark.parametrize(
    ("name", "tensors", "parameters", "trainable"),
    [
        ("deformable_detr", 610, 40_118_934, 39_843_414),
        ("deformable_detr_refine", 610, 40_884_794, 40_609_274),
        ("deformable_detr_twostage", 623, 41_213_836, 40_938_316),
    ],
)
def test_models_have_the_size_of_the_released_ones(name: str, tensors: int, parameters: int, trainable: int) -> None:
    with torch.device("meta"):
        model = build_deformable_detr(load_detr_recipe(name))
    assert len(model.state_dict()) == tensors
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trainable


@PAIR
def test_every_parameter_learns_and_the_loss_falls(variant: str) -> None:
    torch.manual_seed(0)
    model = DeformableDETR(tiny_detr.settings(variant), classes=CLASSES).train()
    batch, truth = tiny_detr.batch(*TWO), [tiny_detr.truth(1, 3), tiny_detr.truth(2, seed=1)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    totals = []
    for _ in range(12):
        optimizer.zero_grad()
        losses = detection_losses(model(batch), truth, batch.sizes, RECIPE.losses, RECIPE.matcher)
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        totals.append(total.item())
        optimizer.step()
    assert totals[-1] < 0.8 * totals[0]
    still = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not still
