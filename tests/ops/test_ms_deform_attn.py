"""The operator against a twin in loops: values and gradients in float64, borders, emptiness, and its messages."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from repro.ops import ms_deform_attn

LEVELS = ((3, 5), (2, 1))
TOKENS = 17
B, Q, M, E, L, P = 2, 3, 2, 4, 2, 3


def twin(value: Tensor, level_sizes: tuple[tuple[int, int], ...], locations: Tensor, weights: Tensor) -> Tensor:
    """Equation 3 of Deformable DETR, one sample at a time."""
    items, queries, heads, levels, points = weights.shape
    out = value.new_zeros(items, queries, heads, value.shape[-1])
    starts = [0, *itertools.accumulate(h * w for h, w in level_sizes)]
    for b, q, m, level, p in itertools.product(*map(range, (items, queries, heads, levels, points))):
        height, width = level_sizes[level]
        x, y = locations[b, q, m, level, p] * locations.new_tensor([width, height]) - 0.5
        left, top = math.floor(x.item()), math.floor(y.item())
        for row, column in itertools.product((top, top + 1), (left, left + 1)):
            if 0 <= row < height and 0 <= column < width:
                near = (1 - (x - column).abs()) * (1 - (y - row).abs())
                pixel = value[b, starts[level] + row * width + column, m]
                out[b, q, m] = out[b, q, m] + weights[b, q, m, level, p] * near * pixel
    return out.flatten(2)


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    value = torch.randn(B, TOKENS, M, E, dtype=torch.float64, generator=generator)
    locations = torch.rand(B, Q, M, L, P, 2, dtype=torch.float64, generator=generator) * 1.6 - 0.3  # some outside
    weights = torch.randn(B, Q, M, L, P, dtype=torch.float64, generator=generator)
    return value, locations, weights


def test_values_are_those_of_the_loops() -> None:
    value, locations, weights = inputs()
    torch.testing.assert_close(
        ms_deform_attn(value, LEVELS, locations, weights), twin(value, LEVELS, locations, weights)
    )


def test_gradients_are_those_of_the_loops() -> None:
    noise = torch.randn(B, Q, M * E, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = [tensor.requires_grad_() for tensor in inputs()]
    theirs = [tensor.requires_grad_() for tensor in inputs()]
    ours_out = ms_deform_attn(ours[0], LEVELS, ours[1], ours[2])
    theirs_out = twin(theirs[0], LEVELS, theirs[1], theirs[2])
    for one, other in zip(
        torch.autograd.grad((ours_out * noise).sum(), ours),
        torch.autograd.grad((theirs_out * noise).sum(), theirs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_gradients_are_the_differences_of_the_values() -> None:
    value, locations, weights = (tensor.requires_grad_() for tensor in inputs(2))
    assert torch.autograd.gradcheck(lambda v, at, w: ms_deform_attn(v, LEVELS, at, w), (value, locations, weights))


@pytest.mark.parametrize("x", [0.0, 0.1, 0.2, 0.5, 1.0, -0.1, 1.1, -3.0, 1e6])
@pytest.mark.parametrize("y", [0.0, 1 / 6, 1 / 3, 0.5, 1.0, 7.0])
def test_borders_and_pixel_centres_read_what_the_loops_read(x: float, y: float) -> None:
    value, _, weights = inputs(3)
    locations = torch.tensor([x, y], dtype=torch.float64).expand(B, Q, M, L, P, 2)
    torch.testing.assert_close(
        ms_deform_attn(value, LEVELS, locations, weights), twin(value, LEVELS, locations, weights)
    )


def test_a_pixel_centre_reads_the_pixel() -> None:
    value = torch.arange(15, dtype=torch.float64).view(1, 15, 1, 1)
    centre = torch.tensor([(3 + 0.5) / 5, (1 + 0.5) / 3], dtype=torch.float64).view(1, 1, 1, 1, 1, 2)
    seen = ms_deform_attn(value, [(3, 5)], centre, torch.ones(1, 1, 1, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(seen, torch.tensor([[[8.0]]], dtype=torch.float64))


def test_heads_do_not_mix() -> None:
    value, locations, weights = inputs(4)
    other = value.clone()
    other[:, :, 1] = 0
    changed = ms_deform_attn(other, LEVELS, locations, weights)
    torch.testing.assert_close(changed[..., :E], ms_deform_attn(value, LEVELS, locations, weights)[..., :E])
    assert not changed[..., E:].any()


def test_non_contiguous_inputs_give_the_same() -> None:
    value, locations, weights = inputs(5)
    strided = value.transpose(1, 2).contiguous().transpose(1, 2)
    turned = locations.permute(5, 0, 1, 2, 3, 4).contiguous().permute(1, 2, 3, 4, 5, 0)
    assert not strided.is_contiguous()
    assert not turned.is_contiguous()
    torch.testing.assert_close(
        ms_deform_attn(strided, LEVELS, turned, weights), ms_deform_attn(value, LEVELS, locations, weights)
    )


def test_a_point_on_the_outer_edge_reads_half_of_the_border_pixel() -> None:
    value = torch.arange(1, 16, dtype=torch.float64).view(1, 15, 1, 1)
    edge = torch.tensor([0.0, 0.5 / 3], dtype=torch.float64).view(1, 1, 1, 1, 1, 2)
    seen = ms_deform_attn(value, [(3, 5)], edge, torch.ones(1, 1, 1, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(seen, torch.tensor([[[0.5]]], dtype=torch.float64))


@pytest.mark.parametrize(("batch", "queries"), [(2, 0), (0, 3), (1, 1)])
def test_no_query_no_item_and_one_query_are_fine(batch: int, queries: int) -> None:
    value, locations, weights = (tensor[:batch] for tensor in inputs(6))
    locations, weights = locations[:, :queries], weights[:, :queries]
    seen = ms_deform_attn(value, LEVELS, locations, weights)
    assert seen.shape == (batch, queries, M * E)
    torch.testing.assert_close(seen, twin(value, LEVELS, locations, weights))


def test_inputs_are_left_as_they_were() -> None:
    given, kept = inputs(7), inputs(7)
    ms_deform_attn(given[0], LEVELS, given[1], given[2])
    assert all(torch.equal(one, other) for one, other in zip(given, kept, strict=True))


def refused(value: Tensor, locations: Tensor, weights: Tensor) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is what each test looks at
        ms_deform_attn(value, LEVELS, locations, weights)
    return str(caught.value)


def test_a_flat_value_is_refused() -> None:
    value, locations, weights = inputs()
    assert refused(value.flatten(2), locations, weights) == (
        "value is [2, 17, 8]; expected [batch, tokens, heads, channels]"
    )


def test_locations_without_points_are_refused() -> None:
    value, locations, weights = inputs()
    assert "expected [batch, queries, heads, levels, points, 2]" in refused(value, locations[..., 0], weights)


def test_another_number_of_levels_is_refused() -> None:
    value, locations, weights = inputs()
    assert "expected 2 items, 2 heads and 2 levels" in refused(value, locations[:, :, :, :1], weights)


def test_weights_of_another_shape_are_refused() -> None:
    value, locations, weights = inputs()
    assert "weights are [2, 3, 2, 2, 2]; expected [2, 3, 2, 2, 3]" in refused(value, locations, weights[..., :2])


def test_tokens_that_do_not_add_up_are_refused() -> None:
    value, locations, weights = inputs()
    message = refused(value[:, :-1], locations, weights)
    assert message.startswith("value has 16 tokens but level sizes [(3, 5), (2, 1)] add up to 17")
    assert "padded" in message


def test_mixed_precision_inputs_are_refused() -> None:
    value, locations, weights = inputs()
    assert refused(value.float(), locations, weights).startswith("dtypes differ: value torch.float32")


def test_inputs_on_two_devices_are_refused() -> None:
    value, locations, weights = inputs()
    assert refused(value.to("meta"), locations, weights).startswith("devices differ: value on meta")
