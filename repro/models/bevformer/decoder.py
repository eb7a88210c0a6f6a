"""The decoder: object queries look at each other and at the BEV, and refine their reference points (spec §B.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.attention import DeformableAttention
from repro.models.boxes import inverse_sigmoid
from repro.models.feed_forward import FeedForward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.recipe import Model

REFERENCE_DIMS = (0, 1, 4)  # the codes that move a reference point in x, y, z


class DecoderLayer(nn.Module):
    """Self-attention among queries, deformable attention into the BEV, feed-forward; norm after each."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        C = model.embed_dims
        self.self_attention = nn.MultiheadAttention(C, model.heads, dropout=model.dropout, batch_first=True)
        self.cross_attention = DeformableAttention(channels=C, heads=model.heads, levels=1, points=model.decoder.points)
        self.feed_forward = FeedForward(C, model.ffn_dims, model.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in range(3))
        self.dropout = nn.Dropout(model.dropout)

    def forward(
        self, query: Tensor, position: Tensor, bev: Tensor, references: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Return [B, K, C]: query, position [B, K, C], bev [B, Q, C], references [B, K, 2 or more] (x, y first)."""
        both = query + position
        told, _ = self.self_attention(both, both, query, need_weights=False)
        query = self.norms[0](query + self.dropout(told))
        seen = self.cross_attention(query + position, bev, references[:, :, None, :2], [size])
        query = self.norms[1](query + self.dropout(seen))
        output: Tensor = self.norms[2](self.feed_forward(query))
        return output


class Decoder(nn.Module):
    """Layers, each followed by a step of its regression branch that moves the reference points."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(model) for _ in range(model.decoder.layers))

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        bev: Tensor,
        references: Tensor,
        size: tuple[int, int],
        regress: Sequence[nn.Module],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return states [L, B, K, C], raw codes [L, B, K, 10] and references [L + 1, B, K, 3].

        References after a layer are detached, the initial ones are not. A regression branch runs once a layer: its
        codes refine the reference and are the layer's prediction (quirk 16: upstream computes them twice).
        """
        states, codes, points = [], [], [references]
        for layer, branch in zip(self.layers, regress, strict=True):
            query = layer(query, position, bev, points[-1], size)
            states.append(query)
            codes.append(branch(query))
            moved = codes[-1][..., REFERENCE_DIMS] + inverse_sigmoid(points[-1])
            points.append(moved.sigmoid().detach())
        return torch.stack(states), torch.stack(codes), torch.stack(points)
