"""What the prediction branches of both models start from."""

from __future__ import annotations

import math

from torch import nn

PRIOR = 0.01  # probability of an object before any training, for the focal loss


def start_at_prior(layer: nn.Linear) -> nn.Linear:
    """Give a classification layer the bias at which everything has the probability `PRIOR`; return the layer."""
    nn.init.constant_(layer.bias, -math.log((1 - PRIOR) / PRIOR))
    return layer


def box_branch(channels: int, codes: int) -> nn.Sequential:
    """Return [lin, ReLU]×2, lin → box codes."""
    hidden = [layer for _ in range(2) for layer in (nn.Linear(channels, channels), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(channels, codes))


def xavier_matrices(*modules: nn.Module) -> None:
    """Draw every weight of two or more dimensions Xavier-uniform, but what says where attention looks first.

    Source: BEVFormer spec §B.11, Deformable DETR spec §F.1.
    """
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 and "sampling_offsets" not in name and "attention_weights" not in name:
                nn.init.xavier_uniform_(parameter)
