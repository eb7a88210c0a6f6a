"""The decoder layer of both models: object queries look at each other, then into the feature maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from repro.models.attention import DeformableAttention
from repro.models.feed_forward import FeedForward

if TYPE_CHECKING:
    from collections.abc import Sequence


class DecoderLayer(nn.Module):
    """Self-attention among queries, deformable attention into the maps, feed-forward; norm after each.

    Source: BEVFormer spec §B.9, Deformable DETR spec §F.
    """

    def __init__(self, *, channels: int, heads: int, levels: int, points: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.cross_attention = DeformableAttention(channels=channels, heads=heads, levels=levels, points=points)
        self.feed_forward = FeedForward(channels, hidden, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        value: Tensor,
        references: Tensor,
        level_sizes: Sequence[tuple[int, int]],
        padding: Tensor | None = None,
    ) -> Tensor:
        """Return [B, K, C].

        query, position [B, K, C]; value [B, tokens, C]; references [B, K, L, 2 or 4]; padding [B, tokens] bool.
        """
        both = query + position
        told, _ = self.self_attention(both, both, query, need_weights=False)
        query = self.norms[0](query + self.dropout(told))
        seen = self.cross_attention(query + position, value, references, level_sizes, padding)
        query = self.norms[1](query + self.dropout(seen))
        output: Tensor = self.norms[2](self.feed_forward(query))
        return output
