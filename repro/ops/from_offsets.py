"""The door to deformable attention from raw offsets and logits: softmax and location arithmetic happen inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.ops import library
from repro.ops.checks import check_devices, check_dtypes, check_levels, check_numbers, check_shape, shape_of
from repro.ops.reference import ms_deform_attn_from_offsets_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def ms_deform_attn_from_offsets(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Attend to P points a query, head and level around the references; shapes as in `reference.py`.

    Returns [B, Q, M·E]. Raises ValueError when shapes, dtypes or devices do not fit together, and on the
    CPU for references or offsets that are NaN.
    """
    _check(value, level_sizes, references, offsets, logits)
    return _run(value, level_sizes, references, offsets, logits)


def _run(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Run what `IMPLEMENTATION` names: the one place where a built extension takes over."""
    if library.serves(value):
        return library.ms_deform_attn_from_offsets(value, level_sizes, references, offsets, logits)
    check_numbers("references", references)
    check_numbers("offsets", offsets)
    return ms_deform_attn_from_offsets_reference(value, level_sizes, references, offsets, logits)


def _check(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> None:
    if value.ndim != 4:
        raise ValueError(f"value is {shape_of(value)}; expected [batch, tokens, heads, channels]")
    if offsets.ndim != 6 or offsets.shape[-1] != 2:
        raise ValueError(f"offsets are {shape_of(offsets)}; expected [batch, queries, heads, levels, points, 2]")
    B, _, M, _ = value.shape
    _, Q, _, L, P, _ = offsets.shape
    if (offsets.shape[0], *offsets.shape[2:4]) != (B, M, len(level_sizes)):
        raise ValueError(
            f"offsets are {shape_of(offsets)}; expected {B} items, {M} heads and {len(level_sizes)} levels "
            f"to fit value {shape_of(value)} and level sizes {list(level_sizes)}"
        )
    if references.ndim != 4 or references.shape[:3] != (B, Q, L) or references.shape[3] not in {2, 4}:
        raise ValueError(
            f"references are {shape_of(references)}; expected {[B, Q, L, 2]} (points) or {[B, Q, L, 4]} (boxes) "
            "to fit the offsets"
        )
    check_shape("logits", logits, (B, Q, M, L * P), "the offsets")
    check_levels(value, level_sizes)
    check_dtypes(value, coordinates={"references": references}, others={"offsets": offsets, "logits": logits})
    check_devices(value, {"references": references, "offsets": offsets, "logits": logits})
