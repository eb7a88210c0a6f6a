"""The feed-forward block of every transformer layer here; its norm belongs to the layer."""

from __future__ import annotations

from torch import Tensor, nn


class FeedForward(nn.Module):
    """x + drop(lin(drop(relu(lin x)))) (spec §B.8.5)."""

    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, hidden)
        self.contract = nn.Linear(hidden, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return x [..., C] with what the block adds."""
        hidden = self.dropout(self.expand(x).relu())
        output: Tensor = x + self.dropout(self.contract(hidden))
        return output
