"""The BEV encoder: layers of temporal self-attention, spatial cross-attention and feed-forward (spec §B.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.bevformer.spatial import SpatialCrossAttention
from repro.models.bevformer.temporal import TemporalSelfAttention, interleave
from repro.models.feed_forward import FeedForward

if TYPE_CHECKING:
    from repro.recipe import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class BevView:
    """What every encoder layer looks at; the layers change only the query.

    position [B, Q, C]; pairs [2B, Q, C] or None (quirk 4: the current half stays the encoder's input in all layers);
    has_history [B] bool, which items of `pairs` count; bev_references [2B, Q, 2]; tokens [N, B, S, C];
    image_references [N, B, Q, D, 2]; visible [N, B, Q, D]; bev_size (Y, X); level_sizes of the L feature levels.
    """

    position: Tensor
    pairs: Tensor | None
    has_history: Tensor
    bev_references: Tensor
    tokens: Tensor
    image_references: Tensor
    visible: Tensor
    bev_size: tuple[int, int]
    level_sizes: tuple[tuple[int, int], ...]


class EncoderLayer(nn.Module):
    """Temporal self-attention, spatial cross-attention, feed-forward, each with residual and norm after it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        C = model.embed_dims
        self.temporal = TemporalSelfAttention(
            channels=C, heads=model.heads, points=model.encoder.temporal_points, rows=model.quirks.temporal_rows
        )
        self.spatial = SpatialCrossAttention(
            channels=C,
            heads=model.heads,
            levels=model.neck.num_outs,
            points=model.encoder.spatial_points,
            hits=model.quirks.camera_hits,
        )
        self.feed_forward = FeedForward(C, model.ffn_dims, model.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in range(3))
        self.dropout = nn.Dropout(model.dropout)

    def forward(self, query: Tensor, view: BevView) -> Tensor:
        """Return the query [B, Q, C] after one layer."""
        pairs = view.pairs
        if pairs is not None and not bool(view.has_history.all()):  # an item without history attends to itself twice
            rows = view.has_history.repeat_interleave(2)[:, None, None]
            pairs = torch.where(rows, pairs, interleave(query, query))
        seen = self.temporal(query, view.position, pairs, view.bev_references, view.bev_size)
        query = self.norms[0](query + self.dropout(seen))
        seen = self.spatial(query, view.tokens, view.image_references, view.visible, view.level_sizes)
        query = self.norms[1](query + self.dropout(seen))
        output: Tensor = self.norms[2](self.feed_forward(query))
        return output
