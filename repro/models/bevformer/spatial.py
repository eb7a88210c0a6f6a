"""Spatial cross-attention (BEVFormer, arXiv 2203.17270, §3.3): each BEV query looks into the cameras that see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.attention import init_projections, init_sampling, sizes_xy
from repro.ops import ms_deform_attn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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
        """Return [B, K, C] of one camera: query [B, K, C], value [B, S, C], references [B, K, D, 2] in 0..1."""
        offsets, weights = self.where_to_look(query, level_sizes)
        return self.look(self.heads_of(value), references, offsets, weights, level_sizes)

    def where_to_look(self, query: Tensor, level_sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Return offsets [B, K, M, L, P, 2] in image fractions and weights [B, K, M, L, P]: no camera matters here."""
        B, K, _ = query.shape
        M, L, P = self.heads, self.levels, self.points
        offsets = self.sampling_offsets(query).view(B, K, M, L, P, 2)
        weights = self.attention_weights(query).view(B, K, M, L * P).softmax(-1).view(B, K, M, L, P)
        return offsets / sizes_xy(level_sizes, offsets), weights

    def heads_of(self, value: Tensor) -> Tensor:
        """Return the projected value [..., S, M, E] of [..., S, C]."""
        projected: Tensor = self.value_proj(value)
        return projected.view(*value.shape[:-1], self.heads, -1)

    def look(
        self,
        values: Tensor,
        references: Tensor,
        offsets: Tensor,
        weights: Tensor,
        level_sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Return what the queries see: values [B, S, M, E], references [B, K, D, 2], the rest as `where_to_look`."""
        B, K, D, _ = references.shape
        by_anchor = offsets.view(*offsets.shape[:-2], -1, D, 2)  # [B, K, M, L, P/D, D, 2]
        locations = (references[:, :, None, None, None] + by_anchor).flatten(-3, -2)
        assert locations.shape[:2] == (B, K), f"{list(offsets.shape)} offsets for {list(references.shape)} references"
        return ms_deform_attn(values, level_sizes, locations, weights)


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
        B, Q, C = query.shape
        hit = visible.any(-1)  # [N, B, Q]
        offsets, weights = self.pillars.where_to_look(query, level_sizes)
        values = self.pillars.heads_of(value)  # [N, B, S, M, E]
        slots = query.new_zeros(B * Q, C)
        for camera, items, seen in self._visits(hit):  # `seen` [K] of the Q queries
            attended = self.pillars.look(
                values[camera, items],
                references[camera, items][:, seen],
                offsets[items][:, seen],
                weights[items][:, seen],
                level_sizes,
            )  # [items, K, C]
            first_row = torch.arange(B, device=query.device)[items, None] * Q
            slots = slots.index_add(0, (first_row + seen).flatten(), attended.flatten(0, 1))
        count = hit.sum(0).clamp(min=1)  # [B, Q]: each item counts its own cameras, under the quirk too
        output: Tensor = self.output_proj(slots.view(B, Q, C) / count[..., None])
        return output

    def _visits(self, hit: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
        """Yield (camera, items, visible queries) to look at together; no padding rows anywhere."""
        N, B, _ = hit.shape
        for camera in range(N):
            if self.hits == "first_item":
                yield camera, slice(None), hit[camera, 0].nonzero().squeeze(-1)
            else:  # differs from upstream: each item looks where it is visible itself
                for item in range(B):
                    yield camera, slice(item, item + 1), hit[camera, item].nonzero().squeeze(-1)
