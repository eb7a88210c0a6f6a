"""Half precision: what it may touch, what it must not, and that training in it works end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from repro.models.bevformer import history_of
from repro.models.deform_conv import ModulatedDeformConv
from repro.models.precision import half_precision
from repro.parity.seen import watch
from repro.recipe import load_recipe
from repro.tensors import Clip, GroundTruth
from repro.train.stage import WithLosses, clip_losses
from tests.models import tiny_world as world

if TYPE_CHECKING:
    from repro.recipe import Recipe

TRUTH = (GroundTruth(torch.tensor([[1.0, 2, 0, 1, 1, 1, 0, 0, 0]]), torch.tensor([3])),)


def nano(precision: str) -> Recipe:
    recipe = load_recipe("bevformer_nano")
    scale = 512.0 if precision == "16-mixed" else None
    return recipe.model_copy(
        update={"train": recipe.train.model_copy(update={"precision": precision, "loss_scale": scale})}
    )


def clip() -> Clip:
    return Clip((world.frame(1, history=False), world.frame(2)), TRUTH)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed"])
def test_geometry_is_the_same_in_half_precision(precision: str) -> None:
    model, frame = world.model(), world.frame(1)
    history = torch.randn(1, world.ROWS * world.COLUMNS, world.CHANNELS)
    with watch(model) as seen:
        model(frame, history)
        exact = seen.view
        with half_precision(nano(precision).train.precision, "cpu"):
            model(frame, history)
        assert torch.equal(seen.view.image_references, exact.image_references)
        assert torch.equal(seen.view.visible, exact.visible)
        assert torch.equal(seen.view.bev_references, exact.bev_references)
        assert exact.pairs is not None
        assert seen.view.pairs is not None
        assert torch.equal(seen.view.pairs[0], exact.pairs[0])  # the turned history: nearest cells, none moved


@torch.no_grad()
def test_half_precision_takes_the_products_in_16_bits_and_stays_near() -> None:
    model, frame = world.model(), world.frame(1)
    exact = model(frame, None)
    with half_precision("bf16-mixed", "cpu"):
        half = model(frame, None)
    difference = (half.bev - exact.bev).abs().max()
    assert 0 < difference < 0.2
    assert half.bev.dtype == torch.float32


@torch.no_grad()
def test_full_precision_is_no_context_at_all() -> None:
    model, frame = world.model(), world.frame(1)
    with half_precision("32-true", "cpu"):
        assert torch.equal(model(frame, None).bev, model(frame, None).bev)
        assert not torch.is_autocast_enabled("cpu")


def test_a_training_step_in_half_precision_gives_every_parameter_a_gradient() -> None:
    recipe = nano("bf16-mixed")
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    model = world.model().train()
    wrapped = fabric.setup(WithLosses(model, recipe))
    losses = clip_losses(wrapped, model, clip(), recipe, np.random.RandomState(0))
    fabric.backward(torch.stack(list(losses.values())).sum())
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_history_is_made_in_the_precision_of_the_training() -> None:
    """Upstream's second model, which makes the history, runs in half precision too (spec §G.1)."""
    model, frames = world.model(), [world.frame(1, history=False), world.frame(2)]
    recipe = nano("bf16-mixed")
    histories = []

    class Keep(WithLosses):
        def forward(self, example: object) -> dict[str, torch.Tensor]:
            histories.append(example.history)  # type: ignore[attr-defined] # an Example
            return {}

    clip_losses(Keep(model, recipe), model, Clip((*frames, world.frame(3)), TRUTH), recipe, np.random.RandomState(0))
    with half_precision("bf16-mixed", "cpu"):
        expected = history_of(model, frames)
    assert expected is not None
    assert torch.equal(histories[0], expected)
    exact = history_of(model, frames)
    assert exact is not None
    assert not torch.equal(exact, expected)


def test_deformable_convolution_follows_half_precision() -> None:
    conv = ModulatedDeformConv(16, stride=1)
    torch.nn.init.normal_(conv.conv_offset.weight, std=0.1)
    x = torch.randn(1, 16, 6, 7)
    exact = conv(x)
    with half_precision("bf16-mixed", "cpu"):
        half = conv(x)
    torch.testing.assert_close(half.float(), exact, rtol=0.1, atol=0.05)
    half.float().sum().backward()
    assert conv.conv_offset.weight.grad is not None
