"""Multi-scale deformable attention against nested loops, in values and gradients; and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repro.ops import ms_deform_attn

LEVELS = [(3, 4), (2, 5)]
TOKENS = 22


def by_loops(value: Tensor, level_sizes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Return the same as the operator, one sample at a time, as equation 3 of Deformable DETR reads."""
    B, _, M, E = value.shape
    _, Q, _, L, P, _ = locations.shape
    output = value.new_zeros(B, Q, M, E)
    for b in range(B):
        for q in range(Q):
            for m in range(M):
                start = 0
                for level in range(L):
                    height, width = level_sizes[level]
                    for p in range(P):
                        x = float(locations[b, q, m, level, p, 0]) * width - 0.5
                        y = float(locations[b, q, m, level, p, 1]) * height - 0.5
                        for row in (math.floor(y), math.floor(y) + 1):
                            for column in (math.floor(x), math.floor(x) + 1):
                                if 0 <= row < height and 0 <= column < width:
                                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                                    token = start + row * width + column
                                    output[b, q, m] += weights[b, q, m, level, p] * share * value[b, token, m]
                    start += height * width
    return output.flatten(2)


def inputs(batch: int = 2, queries: int = 3, *, spread: float = 1.6) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(batch, TOKENS, 2, 3, generator=generator, dtype=torch.float64)
    locations = torch.rand(batch, queries, 2, 2, 4, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(batch, queries, 2, 2, 4, generator=generator, dtype=torch.float64)
    return value, (locations - 0.5) * spread + 0.5, weights


def test_it_equals_nested_loops_inside_and_outside_the_images() -> None:
    value, locations, weights = inputs()
    torch.testing.assert_close(
        ms_deform_attn(value, LEVELS, locations, weights), by_loops(value, LEVELS, locations, weights)
    )


def test_a_point_on_a_pixel_centre_reads_that_pixel_alone() -> None:
    value, locations, weights = inputs(1, 1)
    locations[...] = torch.tensor([1.5 / 4, 0.5 / 3])  # column 1, row 0 of the first level
    weights[...] = 0
    weights[..., 0, 0] = 1
    torch.testing.assert_close(ms_deform_attn(value, LEVELS, locations, weights)[0, 0], value[0, 1].flatten())


def test_a_point_on_the_outer_edge_reads_half_of_the_border_pixel() -> None:
    value, locations, weights = inputs(1, 1)
    locations[...] = torch.tensor([0.0, 0.5 / 3])
    weights[...] = 0
    weights[..., 0, 0] = 1
    torch.testing.assert_close(ms_deform_attn(value, LEVELS, locations, weights)[0, 0], value[0, 0].flatten() / 2)


def test_its_gradients_are_those_of_finite_differences() -> None:
    tensors = [tensor.requires_grad_() for tensor in inputs(1, 2, spread=0.9)]
    assert torch.autograd.gradcheck(lambda v, loc, w: ms_deform_attn(v, LEVELS, loc, w), tensors)


def test_no_queries_and_no_items_give_empty_results() -> None:
    value, locations, weights = inputs()
    assert ms_deform_attn(value, LEVELS, locations[:, :0], weights[:, :0]).shape == (2, 0, 6)
    assert ms_deform_attn(value[:0], LEVELS, locations[:0], weights[:0]).shape == (0, 3, 6)


def test_memory_layout_does_not_matter() -> None:
    value, locations, weights = inputs()
    strided = value.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert torch.equal(
        ms_deform_attn(strided, LEVELS, locations, weights), ms_deform_attn(value, LEVELS, locations, weights)
    )


def test_shapes_that_do_not_fit_are_named_with_what_was_expected() -> None:
    value, locations, weights = inputs()
    with pytest.raises(ValueError, match=r"value is \[2, 22, 6\]; expected \[batch, tokens, heads, channels\]"):
        ms_deform_attn(value.flatten(2), LEVELS, locations, weights)
    with pytest.raises(ValueError, match=r"locations are \[2, 3, 2, 2, 4\]; expected \[batch, queries, heads"):
        ms_deform_attn(value, LEVELS, locations[..., 0], weights)
    with pytest.raises(ValueError, match=r"locations are \[2, 3, 2, 1, 4, 2\]; expected 2 items, 2 heads and 2 levels"):
        ms_deform_attn(value, LEVELS, locations[:, :, :, :1], weights)
    with pytest.raises(ValueError, match=r"weights are \[2, 3, 2, 2, 3\]; expected \[2, 3, 2, 2, 4\]"):
        ms_deform_attn(value, LEVELS, locations, weights[..., :3])
    with pytest.raises(
        ValueError, match=r"22 tokens but level sizes \[\(3, 4\), \(2, 4\)\] add up to 20: pass the sizes"
    ):
        ms_deform_attn(value, [(3, 4), (2, 4)], locations, weights)


def test_mixed_dtypes_and_devices_are_refused() -> None:
    value, locations, weights = inputs()
    with pytest.raises(ValueError, match=r"dtypes differ: value torch\.float32, locations torch\.float64"):
        ms_deform_attn(value.float(), LEVELS, locations, weights)
    with pytest.raises(ValueError, match=r"devices differ: value on meta, locations on cpu"):
        ms_deform_attn(value.to("meta"), LEVELS, locations, weights)
