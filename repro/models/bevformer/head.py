"""The two branches of each decoder layer, and the step from their raw outputs to box codes (spec §B.9)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.boxes import CODE_SIZE, inverse_sigmoid
from repro.models.branches import box_branch, start_at_prior

if TYPE_CHECKING:
    from collections.abc import Sequence


def classification_branch(channels: int, classes: int) -> nn.Sequential:
    """Return [lin, LN, ReLU]×2, lin → classes."""
    hidden = [layer for _ in range(2) for layer in (nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU())]
    return nn.Sequential(*hidden, start_at_prior(nn.Linear(channels, classes)))


def regression_branch(channels: int) -> nn.Sequential:
    """Return [lin, ReLU]×2, lin → 10 codes."""
    return box_branch(channels, CODE_SIZE)


class Head(nn.Module):
    """One classification and one regression branch a layer: equal at the start, shared by none."""

    def __init__(self, *, channels: int, classes: int, layers: int) -> None:
        super().__init__()
        classify, regress = classification_branch(channels, classes), regression_branch(channels)
        self.classify = nn.ModuleList(copy.deepcopy(classify) for _ in range(layers))
        self.regress = nn.ModuleList(copy.deepcopy(regress) for _ in range(layers))

    def logits(self, states: Tensor) -> Tensor:
        """Return class logits [L, B, K, S] of decoder states [L, B, K, C]."""
        return torch.stack([branch(state) for branch, state in zip(self.classify, states, strict=True)])


def place_codes(raw: Tensor, references: Tensor, bev_range: Sequence[float]) -> Tensor:
    """Return box codes in metres, [..., 10], of raw codes and the references [..., 3] they are relative to."""
    low, high = raw.new_tensor(bev_range[:3]), raw.new_tensor(bev_range[3:])
    centre = (raw[..., (0, 1, 4)] + inverse_sigmoid(references)).sigmoid() * (high - low) + low
    return torch.cat([centre[..., :2], raw[..., 2:4], centre[..., 2:], raw[..., 5:]], -1)
