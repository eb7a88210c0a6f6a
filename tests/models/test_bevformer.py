"""The whole model at small sizes: items of a batch, history as an argument, quirks, initial weights, gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from repro.models.bevformer import BEVFormer, build_bevformer, history_of
from repro.recipe import load_recipe
from tests.models import tiny_world as world

if TYPE_CHECKING:
    from repro.recipe import Quirks
    from repro.tensors import Prediction


def bev(seed: int, items: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(items, world.ROWS * world.COLUMNS, world.CHANNELS, generator=generator)


def close(one: Tensor, other: Tensor) -> None:
    """Ten times the difference seen between one item alone and beside another (other kernels for other sizes)."""
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def same(one: Prediction, other: Prediction, item: int) -> None:
    close(one.bev, other.bev[item : item + 1])
    close(one.cls_logits, other.cls_logits[:, item : item + 1])
    torch.testing.assert_close(one.box_codes, other.box_codes[:, item : item + 1], rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_two_items_together_are_two_items_alone() -> None:
    model = world.model(world.FIXED)
    first, second = world.frame(1), world.frame(2)
    together = model(world.beside(first, second), torch.cat([bev(1), bev(2)]))
    same(model(first, bev(1)), together, 0)
    same(model(second, bev(2)), together, 1)


@torch.no_grad()
def test_an_item_without_history_does_not_see_its_neighbours() -> None:
    model = world.model(world.FIXED)
    with_it, without = world.frame(1), world.frame(2, history=False)
    rubbish = torch.full_like(bev(2), torch.nan)
    together = model(world.beside(with_it, without), torch.cat([bev(1), rubbish]))
    same(model(with_it, bev(1)), together, 0)
    same(model(without, None), together, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    "quirks",
    [
        world.FIXED.model_copy(update={"temporal_rows": "upstream"}),
        world.FIXED.model_copy(update={"camera_hits": "first_item"}),
        world.FIXED.model_copy(update={"history_exists": "first_item"}),
    ],
    ids=["temporal rows", "camera hits", "history of the first item"],
)
def test_each_batch_quirk_alone_mixes_items_and_spares_a_batch_of_one(quirks: Quirks) -> None:
    quirky, fixed = world.model(quirks), world.model(world.FIXED)
    starting, moving = world.frame(1, history=False), world.frame(2)
    pair, histories = world.beside(moving, starting), torch.cat([bev(2), bev(1)])
    assert (quirky(pair, histories).bev - fixed(pair, histories).bev).abs().max() > 1e-3
    torch.testing.assert_close(quirky(moving, bev(2)).bev, fixed(moving, bev(2)).bev)


@torch.no_grad()
def test_history_matters_and_is_left_as_it_was() -> None:
    model, frame = world.model(), world.frame(1)
    history = bev(1)
    kept = history.clone()
    assert (model(frame, history).bev - model(frame, None).bev).abs().max() > 1e-3
    assert torch.equal(history, kept)


@torch.no_grad()
def test_the_frame_is_left_as_it_was() -> None:
    given, kept = world.frame(1), world.frame(1)
    world.model()(given, bev(1))
    assert torch.equal(given.images, kept.images)
    assert torch.equal(given.can_bus, kept.can_bus)
    assert torch.equal(given.img_from_lidar, kept.img_from_lidar)


@torch.no_grad()
def test_nothing_is_remembered_between_frames() -> None:
    model = world.model()
    before = model(world.frame(1), None)
    model(world.frame(2), bev(2))
    assert torch.equal(model(world.frame(1), None).cls_logits, before.cls_logits)


@torch.no_grad()
def test_history_is_ignored_where_the_frame_starts_a_scene_or_the_recipe_says_so() -> None:
    starts = world.frame(1, history=False)
    model = world.model(world.UPSTREAM)
    assert torch.equal(model(starts, bev(1)).bev, model(starts, None).bev)
    still = world.model()
    still.settings = still.settings.model_copy(update={"use_history": False})
    frame = world.frame(1)
    assert torch.equal(still(frame, bev(1)).bev, still(frame, None).bev)


@torch.no_grad()
def test_the_aliased_shift_moves_the_current_half_too() -> None:
    aliased = world.model(world.FIXED.model_copy(update={"shift_current_ref": True}))
    frame = world.frame(1)
    assert (aliased(frame, bev(1)).bev - world.model()(frame, bev(1)).bev).abs().max() > 1e-3
    assert torch.equal(aliased(frame, None).bev, world.model()(frame, None).bev)


def test_a_history_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"history is \[1, 4, 32\]; expected \[1, 30, 32\]"):
        world.model()(world.frame(1), torch.zeros(1, 4, 32))


@torch.no_grad()
def test_the_history_of_a_clip_is_one_frame_after_the_other() -> None:
    model = world.model()
    first, second = world.frame(1, history=False), world.frame(2)
    step = model(first, None).bev
    expected = model(second, step).bev
    seen = history_of(model, [first, second])
    assert seen is not None
    close(seen, expected)


@torch.no_grad()
def test_a_scene_border_inside_a_clip_drops_what_came_before() -> None:
    model = world.model(world.UPSTREAM)
    after_border = world.frame(2, history=False)
    seen = history_of(model, [world.frame(1), after_border])
    assert seen is not None
    close(seen, model(after_border, None).bev)


def test_making_history_needs_no_gradient_no_dropout_and_restores_the_mode() -> None:
    model = world.model(dropout=0.5).train()
    frames = [world.frame(1, history=False), world.frame(2)]
    one, other = history_of(model, frames), history_of(model, frames)
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)
    assert not one.requires_grad
    assert model.training
    assert dict(model.named_modules())["encoder.0.dropout"].training
    model.eval()
    history_of(model, frames)
    assert not model.training


def test_no_frames_no_history() -> None:
    assert history_of(world.model(), []) is None


def test_every_trainable_parameter_takes_part_in_training() -> None:
    model = world.model().train()
    prediction = model(world.frame(1), bev(1))
    (prediction.cls_logits.square().mean() + prediction.box_codes.square().mean()).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_references_are_detached_between_layers_but_not_before_the_first() -> None:
    model = world.model()
    prediction = model(world.frame(1), None)
    prediction.references[1:].sum().backward()
    assert model.reference_points.weight.grad is None or not model.reference_points.weight.grad.any()
    prediction = model(world.frame(1), None)
    prediction.references[0].sum().backward()
    assert model.reference_points.weight.grad is not None
    assert model.reference_points.weight.grad.any()


def test_shapes_are_those_of_the_nouns() -> None:
    prediction = world.model()(world.frame(1, items=2), None)
    assert prediction.bev.shape == (2, 30, 32)
    assert prediction.cls_logits.shape == (2, 2, 12, 10)
    assert prediction.box_codes.shape == (2, 2, 12, 10)
    assert prediction.references.shape == (3, 2, 12, 3)
    assert ((prediction.references >= 0) & (prediction.references <= 1)).all()


def test_training_starts_as_upstream_starts() -> None:
    torch.manual_seed(0)
    fresh = BEVFormer(world.settings(), cameras=2, classes=10).state_dict()
    offsets = fresh["encoder.0.temporal.sampling_offsets.bias"].view(4, 2, 1, 4, 2)  # heads, queue, level, points, xy
    first_head = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    torch.testing.assert_close(offsets[0, 0, 0], first_head)
    torch.testing.assert_close(offsets[0, 1, 0], first_head)
    zero = ("sampling_offsets.weight", "attention_weights.weight", "attention_weights.bias", "output_proj.bias")
    assert not any(fresh[f"encoder.0.temporal.{name}"].any() for name in zero)
    bound = math.sqrt(6 / (64 + 32))
    expand = fresh["encoder.0.feed_forward.expand.weight"]
    assert expand.abs().max() <= bound
    assert expand.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert fresh["encoder.0.feed_forward.expand.bias"].any()  # default nn.Linear biases stay (spec §B.11)
    assert fresh["can_bus_mlp.0.bias"].any()
    for name in ("bev_queries", "row_positions", "column_positions", "object_queries"):
        assert fresh[f"{name}.weight"].std().item() == pytest.approx(1.0, abs=0.15)  # quirk 15: normal, not uniform
    for layer in range(2):
        torch.testing.assert_close(fresh[f"head.classify.{layer}.6.bias"], torch.full((10,), -math.log(99)))


def test_pillar_attention_starts_looking_one_to_eight_pixels_away() -> None:
    torch.manual_seed(0)
    state = BEVFormer(world.settings(), cameras=2, classes=10).state_dict()
    offsets = state["encoder.0.spatial.pillars.sampling_offsets.bias"].view(4, 1, 8, 2)
    assert offsets[0, 0, :, 0].tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    assert not state["reference_points.bias"].any()


def test_tiny_has_the_parameters_that_upstream_counts() -> None:
    tiny = build_bevformer(load_recipe("bevformer_tiny"))
    everything = sum(p.numel() for p in tiny.parameters())
    trainable = sum(p.numel() for p in tiny.parameters() if p.requires_grad)
    assert (everything, trainable) == (33_521_157 - 10, 33_245_627)  # the ten are upstream's constant code weights


def test_branches_start_equal_and_share_nothing() -> None:
    state = world.model().head.state_dict(keep_vars=True)
    for branches in ("classify", "regress"):
        first, second = state[f"{branches}.0.0.weight"], state[f"{branches}.1.0.weight"]
        assert torch.equal(first, second)
        assert first.data_ptr() != second.data_ptr()
