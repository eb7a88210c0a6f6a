"""The decoder: object queries look at each other and at the BEV, and refine their reference points (spec §B.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.boxes import inverse_sigmoid
from repro.models.decoder_layer import DecoderLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.recipe import Model

REFERENCE_DIMS = (0, 1, 4)  # the codes that move a reference point in x, y, z


class Decoder(nn.Module):
    """Layers, each followed by a step of its regression branch that moves the reference points."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(
                channels=model.embed_dims,
                heads=model.heads,
                levels=1,
                points=model.decoder.points,
                hidden=model.ffn_dims,
                dropout=model.dropout,
            )
            for _ in range(model.decoder.layers)
        )

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
            query = layer(query, position, bev, points[-1][:, :, None, :2], [size])
            states.append(query)
            codes.append(branch(query))
            moved = codes[-1][..., REFERENCE_DIMS] + inverse_sigmoid(points[-1])
            points.append(moved.sigmoid().detach())
        return torch.stack(states), torch.stack(codes), torch.stack(points)
