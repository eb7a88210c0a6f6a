"""Multi-scale deformable attention in plain torch, written to be read; `ms_deform_attn.py` checks its inputs.

Shape letters beyond `tensors.py`: S value tokens of all levels together, E channels of one head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def ms_deform_attn_reference(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample each level bilinearly at P points a query and head, and sum what was seen by weight.

    value      [B, S, M, E], levels one after the other, each row-major
    locations  [B, Q, M, L, P, 2], (x, y) in 0..1 with 0 and 1 on the outer pixel edges; outside reads zero
    weights    [B, Q, M, L, P]
    returns    [B, Q, M·E]

    Source: spec §B.10; Deformable DETR (arXiv 2010.04159), equation 3.
    """
    B, S, M, E = value.shape
    _, Q, _, L, P, _ = locations.shape
    maps = value.permute(0, 2, 3, 1).reshape(B * M, E, S)
    grid = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).reshape(B * M, L, Q, P, 2)
    weight = weights.permute(0, 2, 1, 3, 4).reshape(B * M, 1, Q, L, P)
    starts = torch.tensor([0, *(h * w for h, w in level_sizes)]).cumsum(0).tolist()
    output = value.new_zeros(B * M, E, Q)
    for level, (height, width) in enumerate(level_sizes):
        seen = grid_sample(  # [B·M, E, Q, P]
            maps[..., starts[level] : starts[level + 1]].reshape(B * M, E, height, width),
            grid[:, level],
            padding_mode="zeros",
            align_corners=False,
        )
        output = output + torch.einsum("beqp,bqp->beq", seen, weight[:, 0, :, level])
    return output.reshape(B, M * E, Q).transpose(1, 2)
