"""Temporal self-attention (BEVFormer, arXiv 2203.17270, §3.4): the BEV looks at itself and at its history."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repro.models.attention import init_projections, init_sampling, widened
from repro.ops import ms_deform_attn_from_offsets

QUEUE = 2  # history and current


class TemporalSelfAttention(nn.Module):
    """Deformable attention whose offsets come from the history and the query side by side (spec §B.8.1)."""

    def __init__(self, *, channels: int, heads: int, points: int, rows: str) -> None:
        """`rows` says which rows join the query when B > 1: "upstream" (quirk 5) or "fixed"."""
        super().__init__()
        self.heads, self.points, self.rows = heads, points, rows
        self.sampling_offsets = nn.Linear(QUEUE * channels, heads * QUEUE * points * 2)
        self.attention_weights = nn.Linear(QUEUE * channels, heads * QUEUE * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        init_sampling(self.sampling_offsets, self.attention_weights, heads=heads, groups=QUEUE, points=points)
        init_projections(self.value_proj, self.output_proj)

    def forward(
        self, query: Tensor, position: Tensor, pairs: Tensor | None, references: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Return [B, Q, C], without the residual.

        query, position [B, Q, C]; pairs [2B, Q, C], rows 2b the history and 2b + 1 the current half of item b, None
        without history; references [2B, Q, 2] in 0..1, rows as in `pairs`; size (Y, X).
        """
        B, Q, C = query.shape
        M, P = self.heads, self.points
        if pairs is None:
            pairs = interleave(query, query)
        assert pairs.shape == (QUEUE * B, Q, C), f"pairs {list(pairs.shape)}, expected {[QUEUE * B, Q, C]}"
        # differs from upstream under "fixed": rows 0..B-1 of an interleaved stack are the histories only if B = 1
        beside = pairs[:B] if self.rows == "upstream" else pairs[0::2]
        both = torch.cat([beside, query + position], -1)  # [B, Q, 2C]
        offsets = self.sampling_offsets(both).view(B, Q, M, QUEUE, P, 2)
        logits = self.attention_weights(both).view(B, Q, M, QUEUE, P)
        # The two maps of an item lie one after the other: two levels of one value. A softmax over all 2P points whose
        # logits were normalised half by half gives each half's own weights, divided by two: the mean over the queue.
        values = self.value_proj(pairs).view(B, QUEUE * Q, M, C // M)
        at = widened(references, values).reshape(B, QUEUE, Q, 2).transpose(1, 2)  # [B, Q, QUEUE, 2]
        scores = widened(logits, values).log_softmax(-1).flatten(-2)  # wide: 16 bits would round the weights twice
        attended = ms_deform_attn_from_offsets(values, [size] * QUEUE, at, offsets, scores)
        output: Tensor = self.output_proj(attended)
        return output


def interleave(history: Tensor, current: Tensor) -> Tensor:
    """Return [2B, Q, C] with history in the even rows and current in the odd ones."""
    return torch.stack([history, current], 1).flatten(0, 1)
