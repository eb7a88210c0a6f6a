"""The encoder layer: every token of every level attends to all levels around itself (spec §D)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from repro.models.attention import DeformableAttention
from repro.models.feed_forward import FeedForward

if TYPE_CHECKING:
    from repro.models.deformable_detr.positions import Tokens
    from repro.recipe import DetrModel


class EncoderLayer(nn.Module):
    """Deformable self-attention and feed-forward, norm after each."""

    def __init__(self, model: DetrModel) -> None:
        super().__init__()
        C, levels, points = model.embed_dims, model.neck.num_outs, model.encoder.points
        self.attention = DeformableAttention(channels=C, heads=model.heads, levels=levels, points=points)
        self.feed_forward = FeedForward(C, model.ffn_dims, model.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in range(2))
        self.dropout = nn.Dropout(model.dropout)

    def forward(self, x: Tensor, tokens: Tokens, references: Tensor) -> Tensor:
        """Return [B, T, C]: x [B, T, C], where its tokens lie, and references [B, T, L, 2]."""
        seen = self.attention(x + tokens.position, x, references, tokens.level_sizes, tokens.padding)
        x = self.norms[0](x + self.dropout(seen))
        output: Tensor = self.norms[1](self.feed_forward(x))
        return output
