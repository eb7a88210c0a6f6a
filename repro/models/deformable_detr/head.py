"""The two branches that read class and box off a query, and how boxes are refined (spec §F)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from repro.models.boxes import inverse_sigmoid
from repro.models.branches import box_branch, start_at_prior

SMALL = -2.0  # logit of width and height that first predictions start from


class Head(nn.Module):
    """A classification and a regression branch for each decoder layer, and one pair for the encoder's proposals.

    Without refinement all layers share one pair: it stands in every place of the lists, and so in the state dict.
    """

    def __init__(self, *, channels: int, classes: int, layers: int, refine: bool, two_stage: bool) -> None:
        super().__init__()
        count = layers + 1 if two_stage else layers
        classify, regress = start_at_prior(nn.Linear(channels, classes)), box_branch(channels, 4)
        last = regress[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.classify = nn.ModuleList(copy.deepcopy(classify) if refine else classify for _ in range(count))
        self.regress = nn.ModuleList(copy.deepcopy(regress) if refine else regress for _ in range(count))
        if not two_stage:  # the first guess has no size yet (spec §F.1)
            with torch.no_grad():
                self.regress[0].get_submodule("4").get_parameter("bias")[2:].fill_(SMALL)


def in_full_precision(layer: nn.Module, states: Tensor) -> Tensor:
    """Return what a layer that places boxes makes of states, in float32 also under autocast.

    Sixteen bits of a place in 0..1 are two pixels of a 1333 pixel image.
    """
    with torch.autocast(states.device.type, enabled=False):
        output: Tensor = layer(states.float())
    return output


def place(raw: Tensor, references: Tensor) -> Tensor:
    """Return boxes [..., 4] in 0..1 of raw codes [..., 4] relative to references [..., 2 or 4]."""
    known = references.shape[-1]
    moved = raw[..., :known] + inverse_sigmoid(references)
    return torch.cat([moved, raw[..., known:]], -1).sigmoid()
