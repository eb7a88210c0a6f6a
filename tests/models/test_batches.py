"""Batches and quirks of the whole model: upstream's mixing of items exactly, and the two ages of the shifted grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from repro.models.bevformer.geometry import bev_references, ego_shift
from repro.parity.seen import watch
from tests.models import tiny_world as world

if TYPE_CHECKING:
    from repro.recipe import Quirks

CPU = torch.device("cpu")


def bev(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, world.ROWS * world.COLUMNS, world.CHANNELS, generator=generator)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_upstreams_first_item_of_a_batch_is_the_item_alone() -> None:
    model = world.model(world.UPSTREAM)
    first, second = world.frame(1), world.frame(2)
    together = model(world.beside(first, second), torch.cat([bev(1), bev(2)]))
    close(together.bev[:1], model(first, bev(1)).bev)
    assert (together.bev[1:] - model(second, bev(2)).bev).abs().max() > 1e-3


@torch.no_grad()
def test_upstreams_second_item_takes_the_first_ones_query_for_its_history() -> None:
    """Quirk 5 said in one-by-one runs: T[1] of the interleaved rows is item 0's encoder input, not item 1's history."""
    quirky = world.model(world.FIXED.model_copy(update={"temporal_rows": "upstream"}))
    first, second = world.frame(1), world.frame(2)
    both = world.beside(first, second)
    together = quirky(both, torch.cat([bev(1), bev(2)])).bev[1:]
    alone = world.model(world.FIXED)
    with watch(alone) as seen:
        alone(first, bev(1))
    assert seen.view.pairs is not None
    query_of_first = seen.view.pairs[1:2]
    for name, steering in alone.named_modules():
        if name.endswith(("temporal.sampling_offsets", "temporal.attention_weights")):
            steering.register_forward_pre_hook(
                lambda _module, inputs: (torch.cat([query_of_first, inputs[0][..., world.CHANNELS :]], -1),)
            )
    close(alone(second, bev(2)).bev, together)


@torch.no_grad()
def test_upstreams_second_item_looks_where_the_first_one_is_visible() -> None:
    """Quirk 6: with the cameras of the first item, the second one is as if alone."""
    model = world.model(world.FIXED.model_copy(update={"camera_hits": "first_item"}))
    first, second = world.frame(1), world.frame(2)
    together = model(world.beside(first, second), torch.cat([bev(1), bev(2)])).bev[1:]
    assert (together - model(second, bev(2)).bev).abs().max() > 1e-3
    same_cameras = type(second)(
        images=second.images,
        img_from_lidar=first.img_from_lidar,
        can_bus=second.can_bus,
        has_history=second.has_history,
        tokens=second.tokens,
    )
    together = model(world.beside(first, same_cameras), torch.cat([bev(1), bev(2)])).bev[1:]
    close(together, model(same_cameras, bev(2)).bev)


@torch.no_grad()
@pytest.mark.parametrize("items", [2, 3])
def test_many_items_together_are_the_items_alone_when_quirks_are_fixed(items: int) -> None:
    model = world.model(world.FIXED)
    frames = [world.frame(seed) for seed in range(1, items + 1)]
    batch = frames[0]
    for frame in frames[1:]:
        batch = world.beside(batch, frame)
    together = model(batch, torch.cat([bev(seed) for seed in range(1, items + 1)]))
    for item, frame in enumerate(frames):
        alone = model(frame, bev(item + 1))
        close(together.bev[item : item + 1], alone.bev)
        close(together.cls_logits[:, item : item + 1], alone.cls_logits)


@torch.no_grad()
@pytest.mark.parametrize(("quirks", "current_moves"), [(world.FIXED, False), (world.FIXED.released(), True)])
def test_the_ego_shift_moves_the_history_and_in_released_checkpoints_the_current_half_too(
    quirks: Quirks,
    current_moves: bool,  # noqa: FBT001 — pytest hands it over
) -> None:
    model, frame = world.model(quirks), world.frame(1)
    cells = bev_references(world.ROWS, world.COLUMNS, device=CPU)
    shift = ego_shift(frame.can_bus, bev_range=model.settings.bev.range, rows=world.ROWS, columns=world.COLUMNS)
    moved = cells + shift.float()
    with watch(model) as seen:
        model(frame, bev(1))
        torch.testing.assert_close(seen.view.bev_references[0], moved)
        torch.testing.assert_close(seen.view.bev_references[1], moved if current_moves else cells)
        model(world.frame(1, history=False), None)
        assert torch.equal(seen.view.bev_references, cells.expand(2, -1, -1))
