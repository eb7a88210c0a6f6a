"""The door to spatial cross-attention: queries look into the cameras that see them, and into no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from repro.ops import library
from repro.ops.checks import check_devices, check_dtypes, check_levels, check_numbers, check_shape, shape_of
from repro.ops.reference import spatial_cross_attention_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def spatial_cross_attn(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
) -> Tensor:
    """Return the mean over the cameras that see a query of what it sees there; shapes as in `reference.py`.

    Returns [B, Q, M·E]. Raises ValueError when shapes, dtypes or devices do not fit together, and on the
    CPU for references or offsets that are NaN where a camera sees the query.
    """
    _check(value, level_sizes, references, visible, offsets, logits)
    return _run(value, level_sizes, references, visible, offsets, logits)


def _run(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
) -> Tensor:
    """Run what `IMPLEMENTATION` names: the one place where a built extension takes over."""
    if library.serves(value):
        return library.spatial_cross_attn(value, level_sizes, references, visible, offsets, logits)
    hit = visible.any(-1)
    check_numbers("references", references, hit)
    check_numbers("offsets", offsets, hit.any(0))
    return spatial_cross_attention_reference(value, level_sizes, references, visible, offsets, logits)


def _check(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
) -> None:
    if value.ndim != 5:
        raise ValueError(f"value is {shape_of(value)}; expected [cameras, batch, tokens, heads, channels]")
    if references.ndim != 5 or references.shape[-1] != 2:
        raise ValueError(f"references are {shape_of(references)}; expected [cameras, batch, queries, anchors, 2]")
    if offsets.ndim != 6 or offsets.shape[-1] != 2:
        raise ValueError(f"offsets are {shape_of(offsets)}; expected [batch, queries, heads, levels, points, 2]")
    N, B, _, M, _ = value.shape
    Q, D = references.shape[2:4]
    L, P = len(level_sizes), offsets.shape[4]
    check_shape("references", references, (N, B, Q, D, 2), f"value {shape_of(value)}")
    check_shape("visible", visible, (N, B, Q, D), "the references")
    check_shape(
        "offsets", offsets, (B, Q, M, L, P, 2), f"value {shape_of(value)}, {Q} queries and levels {list(level_sizes)}"
    )
    check_shape("logits", logits, (B, Q, M, L * P), "the offsets")
    if D == 0 or P % D:
        raise ValueError(f"{P} points for {D} anchors; expected as many points for every anchor")
    if visible.dtype != torch.bool:
        raise ValueError(f"visible are {visible.dtype}; expected torch.bool")
    check_levels(value, level_sizes)
    check_dtypes(value, coordinates={"references": references}, others={"offsets": offsets, "logits": logits})
    check_devices(value, {"references": references, "visible": visible, "offsets": offsets, "logits": logits})
