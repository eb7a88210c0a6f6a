"""Small inputs of the three operators, and the gradients that the float64 reference gives for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from repro.ops.reference import (
    ms_deform_attn_from_offsets_reference,
    ms_deform_attn_reference,
    spatial_cross_attention_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

LEVELS = ((4, 7), (3, 2), (1, 1))
DOORS: dict[str, Callable[..., Tensor]] = {
    "ms_deform_attn": ms_deform_attn_reference,
    "ms_deform_attn_from_offsets": ms_deform_attn_from_offsets_reference,
    "spatial_cross_attn": spatial_cross_attention_reference,
}


@dataclass
class Case:
    """One call: the door's name, its tensors in order, value first; level sizes stand second in every door."""

    door: str
    tensors: list[Tensor]
    levels: Sequence[tuple[int, int]] = LEVELS

    def flat(self) -> list[int]:
        return [number for size in self.levels for number in size]

    def grad(self) -> Tensor:
        value, where = self.tensors[0], self.tensors[-2]
        shape = (where.shape[0], where.shape[1], value.shape[-2] * value.shape[-1])
        return torch.randn(shape, generator=torch.Generator().manual_seed(7)).to(value.dtype)

    def truth(self) -> tuple[Tensor, list[Tensor]]:
        """Output and gradients in float64, from inputs as they are rounded."""
        inputs = [t.double().requires_grad_() if t.is_floating_point() else t for t in self.tensors]
        output = DOORS[self.door](inputs[0], self.levels, *inputs[1:])
        wanted = [t for t in inputs if t.is_floating_point()]
        return output.detach(), list(torch.autograd.grad(output, wanted, self.grad().double()))


def value_of(lead: tuple[int, ...], heads: int, channels: int, dtype: torch.dtype, seed: torch.Generator) -> Tensor:
    tokens = sum(h * w for h, w in LEVELS)
    return torch.randn(*lead, tokens, heads, channels, generator=seed).to(dtype)


def wide(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.double() if dtype == torch.float64 else tensor.float()


def locations(dtype: torch.dtype, channels: int, points: int = 3, heads: int = 3) -> Case:
    """2 items, 5 queries: 30 groups, so that the last warp is not full; some places outside."""
    seed = torch.Generator().manual_seed(channels)
    where = torch.rand(2, 5, heads, len(LEVELS), points, 2, generator=seed) * 1.6 - 0.3
    weights = torch.rand(2, 5, heads, len(LEVELS), points, generator=seed)
    return Case(
        "ms_deform_attn", [value_of((2,), heads, channels, dtype, seed), wide(where, dtype), wide(weights, dtype)]
    )


def offsets(dtype: torch.dtype, channels: int, width: int = 2, points: int = 5) -> Case:
    seed = torch.Generator().manual_seed(channels + width)
    references = torch.rand(2, 5, len(LEVELS), width, generator=seed)
    where = torch.randn(2, 5, 3, len(LEVELS), points, 2, generator=seed) * 2
    logits = torch.randn(2, 5, 3, len(LEVELS) * points, generator=seed)
    value = value_of((2,), 3, channels, dtype, seed)
    return Case("ms_deform_attn_from_offsets", [value, *(wide(t, dtype) for t in (references, where, logits))])


def spatial(dtype: torch.dtype, channels: int, points: int = 8) -> Case:
    """3 cameras, 2 items, 6 queries with 4 anchors: seen by none, one, two or all, otherwise in each item."""
    seed = torch.Generator().manual_seed(channels)
    references = torch.rand(3, 2, 6, 4, 2, generator=seed) * 1.2 - 0.1
    visible = torch.rand(3, 2, 6, 4, generator=seed) < 0.2
    visible[:, 0, 0] = False
    visible[:, 1, 0] = True
    where = torch.randn(2, 6, 3, len(LEVELS), points, 2, generator=seed) * 2
    logits = torch.randn(2, 6, 3, len(LEVELS) * points, generator=seed)
    value = value_of((3, 2), 3, channels, dtype, seed)
    return Case(
        "spatial_cross_attn",
        [value, wide(references, dtype), visible, wide(where, dtype), wide(logits, dtype)],
    )
