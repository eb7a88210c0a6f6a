"""What is drawn of attention is what the operator samples: at the drawn places, by the drawn weights, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from repro.ops.reference import ms_deform_attn_reference
from repro.visualise.attention import Caught, watching
from tests.models.tiny_world import CAMERAS, COLUMNS, ROWS, frame, model

if TYPE_CHECKING:
    from repro.models.bevformer import BEVFormer
from repro.models.bevformer.encoder import EncoderLayer

CELLS = range(ROWS * COLUMNS)


def part(built: BEVFormer, layer: int) -> EncoderLayer:
    found = built.encoder[layer]
    assert isinstance(found, EncoderLayer)
    return found


def watched(built: BEVFormer, layer: int, *, history: bool = True) -> tuple[Caught, torch.Tensor, torch.Tensor]:
    """Return what was caught of a layer, and what its temporal and spatial attention gave [Q, C]."""
    given = dict[str, torch.Tensor]()
    parts = {"temporal": part(built, layer).temporal, "spatial": part(built, layer).spatial}
    for name, module in parts.items():
        module.register_forward_hook(lambda _m, _i, output, name=name: given.update({name: output[0]}))
    before = torch.randn(1, ROWS * COLUMNS, 32, generator=torch.Generator().manual_seed(5)) if history else None
    with torch.no_grad(), watching(built, layer) as caught:
        built(frame(1, history=history), before)
    return caught, given["temporal"], given["spatial"]


@pytest.mark.parametrize("layer", [0, 1])
def test_the_cameras_sampled_at_the_drawn_points_give_what_the_layer_gives(layer: int) -> None:
    built = model()
    caught, _, given = watched(built, layer)
    _, tokens, _, _, sizes = caught.spatial
    spatial = part(built, layer).spatial
    for cell in CELLS:
        look = caught.spatial_look(cell)
        seen = [camera for camera in range(CAMERAS) if look.looked_into[camera]]
        total = torch.zeros(32)
        for camera in seen:
            value = spatial.pillars.value_proj(tokens[camera]).view(1, tokens.shape[2], 4, 8)
            places, weights = look.places[camera][None, None], look.weights[None, None]
            total = total + ms_deform_attn_reference(value, sizes, places, weights)[0, 0]
        expected = spatial.output_proj(total / max(len(seen), 1))
        torch.testing.assert_close(given[cell], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("layer", [0, 1])
def test_both_bevs_sampled_at_the_drawn_points_give_what_the_layer_gives(layer: int, history: bool) -> None:  # noqa: FBT001
    built = model()
    caught, given, _ = watched(built, layer, history=history)
    query, _, pairs, _, size = caught.temporal
    temporal = part(built, layer).temporal
    both = torch.cat([query, query]) if pairs is None else pairs
    value = temporal.value_proj(both).view(1, -1, 4, 8)
    for cell in CELLS:
        look = caught.temporal_look(cell)
        places, weights = (part.transpose(0, 1)[None, None] for part in (look.places, look.weights))
        expected = temporal.output_proj(ms_deform_attn_reference(value, [size, size], places, weights)[0, 0])
        torch.testing.assert_close(given[cell], expected, atol=1e-5, rtol=1e-5)
        assert look.has_history is history


def test_some_cells_are_seen_by_a_camera_and_weights_of_a_head_sum_to_one() -> None:
    caught, _, _ = watched(model(), 1)
    looks = [caught.spatial_look(cell) for cell in CELLS]
    assert any(look.looked_into.any() for look in looks)
    assert not all(look.looked_into.all() for look in looks)
    sums = torch.stack([look.weights.sum((1, 2)) for look in looks])
    torch.testing.assert_close(sums, torch.ones_like(sums))
    halves = torch.stack([caught.temporal_look(cell).weights.sum((0, 2)) for cell in CELLS])
    torch.testing.assert_close(halves, torch.ones_like(halves))


def test_points_are_spread_around_the_pillar_point_they_belong_to() -> None:
    built = model()
    with torch.no_grad():  # no offsets: every point falls on its own anchor
        for looking in (part(built, 1).spatial.pillars, part(built, 1).temporal):
            looking.sampling_offsets.weight.zero_()
            looking.sampling_offsets.bias.zero_()
    caught, _, _ = watched(built, 1)
    look = caught.spatial_look(7)
    D = look.anchors.shape[1]
    for point in range(look.places.shape[3]):
        anchor = look.anchors[:, point % D, None, None]
        torch.testing.assert_close(look.places[:, :, :, point], anchor.expand_as(look.places[:, :, :, point]))
    temporal = caught.temporal_look(7)
    torch.testing.assert_close(temporal.places, temporal.anchors[:, None, None].expand_as(temporal.places))


def test_watching_leaves_no_hook_behind_even_when_the_model_fails() -> None:
    built = model()
    with pytest.raises(RuntimeError, match="stop"), watching(built, -1):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in built.modules())


def test_a_layer_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError), watching(model(), 2):
        pass
