"""Multi-scale deformable attention as a module (Deformable DETR, arXiv 2010.04159): both models attend through it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.ops import ms_deform_attn_from_offsets

if TYPE_CHECKING:
    from collections.abc import Sequence


class DeformableAttention(nn.Module):
    """Each query looks at `points` places a head and level, around its reference point.

    The residual connection and its dropout belong to the caller.
    """

    def __init__(self, *, channels: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        init_sampling(self.sampling_offsets, self.attention_weights, heads=heads, groups=levels, points=points)
        init_projections(self.value_proj, self.output_proj)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        references: Tensor,
        level_sizes: Sequence[tuple[int, int]],
        padding: Tensor | None = None,
    ) -> Tensor:
        """Return [B, K, C].

        query [B, K, C]; value [B, S, C]; references [B, K, L, 2] as (x, y) in 0..1, or [B, K, L, 4] with the box's
        width and height behind, which then scale the offsets; padding [B, S] bool, True where there is no image.
        """
        B, K, C = query.shape
        M, L, P = self.heads, self.levels, self.points
        values = self.value_proj(value)
        if padding is not None:
            values = values.masked_fill(padding[..., None], 0.0)
        offsets = self.sampling_offsets(query).view(B, K, M, L, P, 2)
        logits = self.attention_weights(query).view(B, K, M, L * P)
        values = values.view(B, -1, M, C // M)
        attended = ms_deform_attn_from_offsets(values, level_sizes, widened(references, values), offsets, logits)
        output: Tensor = self.output_proj(attended)
        return output


def widened(numbers: Tensor, values: Tensor) -> Tensor:
    """Return the numbers as wide as the operator's arithmetic: float32, or float64 with float64 values."""
    return numbers.to(torch.promote_types(values.dtype, torch.float32))


def init_sampling(offsets: nn.Linear, weights: nn.Linear, *, heads: int, groups: int, points: int) -> None:
    """Start with head k looking in direction 2πk/heads, point p at p + 1 pixels, all weights equal (spec §B.11).

    `groups` counts what lies between heads and points: levels, or queue entries times levels.
    """
    angle = torch.arange(heads) * (2.0 * math.pi / heads)
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    direction = direction / direction.abs().max(-1, keepdim=True).values  # onto the unit square
    steps = torch.arange(1, points + 1, dtype=direction.dtype)
    grid = direction[:, None, None, :] * steps[None, None, :, None]  # [M, 1, P, 2]
    with torch.no_grad():
        offsets.weight.zero_()
        offsets.bias.copy_(grid.expand(heads, groups, points, 2).reshape(-1))
        weights.weight.zero_()
        weights.bias.zero_()


def init_projections(*layers: nn.Linear) -> None:
    """Xavier-uniform weights, zero biases."""
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
