"""Spatial cross-attention (BEVFormer, arXiv 2203.17270, §3.3): each BEV query looks into the cameras that see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.attention import init_projections, init_sampling, widened
from repro.ops import spatial_cross_attn

if TYPE_CHECKING:
    from collections.abc import Sequence


class PillarAttention(nn.Module):
    """Deformable attention around the D projected points of a pillar; no output projection (spec §B.8.3).

    Upstream's MSDeformableAttention3D. Point p belongs to pillar point p mod D.
    """

    def __init__(self, *, channels: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        init_sampling(self.sampling_offsets, self.attention_weights, heads=heads, groups=levels, points=points)
        init_projections(self.value_proj)

    def forward(
        self, query: Tensor, value: Tensor, references: Tensor, level_sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Return [B, K, C] of one camera that sees every query: value [B, S, C], references [B, K, D, 2] in 0..1."""
        seen = torch.ones(references.shape[:-1], dtype=torch.bool, device=references.device)
        return self.look(query, value[None], references[None], seen[None], level_sizes)

    def look(
        self,
        query: Tensor,
        value: Tensor,
        references: Tensor,
        visible: Tensor,
        level_sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Return the mean [B, Q, C] over the cameras that see a query; shapes as in `SpatialCrossAttention`.

        Where a query looks and how much it weighs that is the same for all cameras, so it is computed once.
        """
        B, Q, _ = query.shape
        M, L, P = self.heads, self.levels, self.points
        values = self.value_proj(value)
        values = values.view(*value.shape[:-1], M, -1)  # [N, B, S, M, E]
        offsets = self.sampling_offsets(query).view(B, Q, M, L, P, 2)
        logits = self.attention_weights(query).view(B, Q, M, L * P)
        return spatial_cross_attn(values, level_sizes, widened(references, values), visible, offsets, logits)


class SpatialCrossAttention(nn.Module):
    """Mean over the cameras that see a query of what the query sees there, projected."""

    def __init__(self, *, channels: int, heads: int, levels: int, points: int, hits: str) -> None:
        """`hits` says whose visibility selects the queries of a camera: "first_item" (quirk 6) or "each_item"."""
        super().__init__()
        self.hits = hits
        self.pillars = PillarAttention(channels=channels, heads=heads, levels=levels, points=points)
        self.output_proj = nn.Linear(channels, channels)
        init_projections(self.output_proj)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        references: Tensor,
        visible: Tensor,
        level_sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Return [B, Q, C], without the residual.

        query [B, Q, C]; value [N, B, S, C]; references [N, B, Q, D, 2] in image fractions; visible [N, B, Q, D] bool.
        """
        selects = visible  # differs from upstream under "each_item": each item looks where it is visible itself
        if self.hits == "first_item":
            selects = visible[:, :1].expand_as(visible)
        slots = self.pillars.look(query, value, references, selects, level_sizes)
        if self.hits == "first_item" and len(query) > 1:  # each item counts its own cameras, under the quirk too
            slots = slots * (_cameras(selects) / _cameras(visible)).to(slots.dtype)
        output: Tensor = self.output_proj(slots)
        return output


def _cameras(visible: Tensor) -> Tensor:
    """Return how many cameras see each query, at least 1, as [B, Q, 1]: visible [N, B, Q, D] bool."""
    return visible.any(-1).sum(0).clamp(min=1)[..., None]
