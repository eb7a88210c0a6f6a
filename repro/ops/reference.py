"""The slow twins of every operator in plain torch, written to be read; the doors beside this file check their inputs.

Shape letters beyond `tensors.py`: S value tokens of all levels together, E channels of one head. Values in 16 bits are
widened first: coordinates, weights and sums are 32 bits wide (64 with a float64 value), the result has value's dtype.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import grid_sample
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    B, _, M, E = value.shape
    _, Q, _, L, P, _ = locations.shape
    wide = wide_dtype(value)
    maps = torch.split(value.to(wide), [h * w for h, w in level_sizes], dim=1)  # L × [B, h·w, M, E]
    grids = (2 * locations.to(wide) - 1).permute(3, 0, 2, 1, 4, 5).reshape(L, B * M, Q, P, 2).unbind()
    shares = weights.to(wide).permute(3, 0, 2, 1, 4).reshape(L, B * M, Q, P).unbind()
    output = value.new_zeros(B * M, E, Q, dtype=wide)
    for (height, width), level, grid, share in zip(level_sizes, maps, grids, shares, strict=True):
        image = level.permute(0, 2, 3, 1).reshape(B * M, E, height, width)
        seen = grid_sample(image, grid, padding_mode="zeros", align_corners=False)  # [B·M, E, Q, P]
        output = output + torch.einsum("beqp,bqp->beq", seen, share)
    return output.reshape(B, M * E, Q).transpose(1, 2).to(value.dtype)


def ms_deform_attn_from_offsets_reference(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Attend as `ms_deform_attn_reference`, from what the linear layers say: offsets in pixels, weights as logits.

    value       [B, S, M, E]
    references  [B, Q, L, 2] as (x, y) in 0..1, or [B, Q, L, 4]: a box, whose half width and height scale the offsets
    offsets     [B, Q, M, L, P, 2] in pixels of their level, or in units of P offsets to the half box
    logits      [B, Q, M, L·P], made weights by one softmax over levels and points
    returns     [B, Q, M·E]

    Source: Deformable DETR, appendix A.3 and A.4; spec §B.9.
    """
    return ms_deform_attn_reference(
        value, level_sizes, *sampling_places(value, level_sizes, references, offsets, logits)
    )


def sampling_places(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the locations [B, Q, M, L, P, 2] and weights [B, Q, M, L, P] that offsets and logits stand for."""
    B, Q, M, L, P, _ = offsets.shape
    wide = wide_dtype(value)
    weights = logits.to(wide).softmax(-1).view(B, Q, M, L, P)
    at = references.to(wide)[:, :, None, :, None, :]  # [B, Q, 1, L, 1, 2 or 4]
    if references.shape[-1] == 2:
        return at + offsets.to(wide) / sizes_xy(level_sizes, at), weights
    return at[..., :2] + offsets.to(wide) / P * at[..., 2:] * 0.5, weights


def spatial_cross_attention_reference(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
) -> Tensor:
    """Let each query look into the cameras that see it, around its D pillar points there; the mean over those cameras.

    value       [N, B, S, M, E], one row of levels a camera
    references  [N, B, Q, D, 2] pillar points in image fractions
    visible     [N, B, Q, D] bool; a camera sees a query if it sees any of its D points, and then looks at all of them
    offsets     [B, Q, M, L, P, 2] in pixels, the same for every camera; point p belongs to pillar point p mod D
    logits      [B, Q, M, L·P]
    returns     [B, Q, M·E]; zero where no camera sees the query

    Source: spec §B.8.3; BEVFormer (arXiv 2203.17270), equation 4. Only pairs that see each other are computed.
    """
    N, B, _, M, E = value.shape
    Q, L, P = offsets.shape[1], *offsets.shape[3:5]
    D = references.shape[3]
    wide = wide_dtype(value)
    hit = visible.any(-1)  # [N, B, Q]
    weights = logits.to(wide).softmax(-1).view(B, Q, M, L, P)
    shifts = (offsets.to(wide) / sizes_xy(level_sizes, weights)).view(B, Q, M, L, P // D, D, 2)
    slots = weights.new_zeros(B * Q, M * E)
    for camera, item in itertools.product(range(N), range(B)):
        seen = hit[camera, item].nonzero().squeeze(-1)  # [K], of the Q queries
        around = references[camera, item, seen].to(wide)[:, None, None, None]  # [K, 1, 1, 1, D, 2]
        locations = (around + shifts[item, seen]).flatten(3, 4)  # [K, M, L, P, 2]
        looked = ms_deform_attn_reference(
            value[camera, item : item + 1].to(wide), level_sizes, locations[None], weights[item, seen][None]
        )  # [1, K, M·E]
        slots = slots.index_add(0, item * Q + seen, looked[0])
    count = hit.sum(0).clamp(min=1)  # [B, Q]
    return (slots.view(B, Q, M * E) / count[..., None]).to(value.dtype)


def spatial_cross_attention_padded_reference(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
    attend: Callable[..., Tensor] = ms_deform_attn_reference,
) -> Tensor:
    """Return what `spatial_cross_attention_reference` returns, the way upstream computes it.

    The queries of every camera are copied into rows of one length, padded with zeros up to the busiest camera; one
    call of `attend` serves all B·N rows; what padding looked at is dropped on the way back. Needs B·N >= 1.
    """
    N, B, S, M, E = value.shape
    Q, L, P = offsets.shape[1], *offsets.shape[3:5]
    D = references.shape[3]
    hit = visible.any(-1)  # [N, B, Q]
    pairs = list(itertools.product(range(N), range(B)))
    seen = [hit[camera, item].nonzero().squeeze(-1) for camera, item in pairs]  # N·B × [≤ K]

    def rebatched(rows: list[Tensor]) -> Tensor:  # N·B × [≤ K, …] to [N·B, K, …]
        return pad_sequence(rows, batch_first=True)

    around = rebatched([references[camera, item, kept] for (camera, item), kept in zip(pairs, seen, strict=True)])
    shifts = rebatched([offsets[item, kept] for (_, item), kept in zip(pairs, seen, strict=True)])
    scores = rebatched([logits[item, kept] for (_, item), kept in zip(pairs, seen, strict=True)])
    wide = wide_dtype(value)
    K = scores.shape[1]
    weights = scores.to(wide).softmax(-1).view(N * B, K, M, L, P)
    shifts = (shifts.to(wide) / sizes_xy(level_sizes, weights)).view(N * B, K, M, L, P // D, D, 2)
    locations = (around.to(wide)[:, :, None, None, None] + shifts).flatten(4, 5)  # [N·B, K, M, L, P, 2]
    looked = attend(value.reshape(N * B, S, M, E), level_sizes, locations, weights).to(wide)  # [N·B, K, M·E]
    slots = weights.new_zeros(B * Q, M * E)
    for row, ((_, item), kept) in enumerate(zip(pairs, seen, strict=True)):
        slots = slots.index_add(0, item * Q + kept, looked[row, : len(kept)])
    count = hit.sum(0).clamp(min=1)  # [B, Q]
    return (slots.view(B, Q, M * E) / count[..., None]).to(value.dtype)


def temporal_self_attention_reference(
    value: Tensor, size: tuple[int, int], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Attend to the history and to the present, each with weights of its own, and return the mean of the two.

    value       [2B, Q, M, E], rows 2b the history and 2b + 1 the present of item b, both maps of `size` (Y, X)
    references  [2B, Q, 2], rows as in value
    offsets     [B, Q, M, 2, P, 2] in pixels, history first
    logits      [B, Q, M, 2, P], made weights by a softmax over the P points of each half
    returns     [B, Q, M·E]

    The way upstream computes it: halves become rows of the batch, and the mean comes last. Source: spec §B.8.1.
    """
    B, Q, M, halves, P, _ = offsets.shape
    wide = wide_dtype(value)
    weights = logits.to(wide).softmax(-1).permute(0, 3, 1, 2, 4).reshape(halves * B, Q, M, 1, P)
    shifts = offsets.to(wide).permute(0, 3, 1, 2, 4, 5).reshape(halves * B, Q, M, 1, P, 2)
    locations = references.to(wide)[:, :, None, None, None] + shifts / sizes_xy([size], shifts)
    looked = ms_deform_attn_reference(value.to(wide), [size], locations, weights)  # [2B, Q, M·E]
    return looked.view(B, halves, Q, -1).mean(1).to(value.dtype)


def sizes_xy(level_sizes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Return the levels' (width, height) as [L, 1, 2], to divide offsets given in pixels."""
    return like.new_tensor([[(w, h)] for h, w in level_sizes])


def wide_dtype(value: Tensor) -> torch.dtype:
    """Return the dtype of coordinates and sums: float64 with a float64 value, else float32."""
    return torch.promote_types(value.dtype, torch.float32)
