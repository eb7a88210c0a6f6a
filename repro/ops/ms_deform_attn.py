"""The one door to multi-scale deformable attention: inputs are checked here, the arithmetic is behind it.

Which implementation runs is a fact of the process, never a silent choice per call: `IMPLEMENTATION` names it and
every run records it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.ops.reference import ms_deform_attn_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

IMPLEMENTATION = "reference (plain torch, grid_sample)"


def ms_deform_attn(value: Tensor, level_sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Attend to P sampled points a query, head and level; shapes as in `reference.py`, returns [B, Q, M·E].

    Raises ValueError when shapes, dtypes or devices do not fit together.
    """
    _check(value, level_sizes, locations, weights)
    return ms_deform_attn_reference(value, level_sizes, locations, weights)


def _check(value: Tensor, level_sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> None:
    if value.ndim != 4:
        raise ValueError(f"value is {_shape(value)}; expected [batch, tokens, heads, channels]")
    if locations.ndim != 6 or locations.shape[-1] != 2:
        raise ValueError(f"locations are {_shape(locations)}; expected [batch, queries, heads, levels, points, 2]")
    B, S, M, _ = value.shape
    _, Q, _, L, P, _ = locations.shape
    if locations.shape[:4] != (B, Q, M, len(level_sizes)):
        raise ValueError(
            f"locations are {_shape(locations)}; expected {B} items, {M} heads and {len(level_sizes)} levels "
            f"to fit value {_shape(value)} and level sizes {list(level_sizes)}"
        )
    if weights.shape != (B, Q, M, L, P):
        raise ValueError(f"weights are {_shape(weights)}; expected {[B, Q, M, L, P]} to fit the locations")
    tokens = sum(h * w for h, w in level_sizes)
    if tokens != S:
        raise ValueError(
            f"value has {S} tokens but level sizes {list(level_sizes)} add up to {tokens}: "
            "pass the sizes of the padded features"
        )
    if len({value.dtype, locations.dtype, weights.dtype}) > 1:
        raise ValueError(f"dtypes differ: value {value.dtype}, locations {locations.dtype}, weights {weights.dtype}")
    if len({value.device, locations.device, weights.device}) > 1:
        raise ValueError(
            f"devices differ: value on {value.device}, locations on {locations.device}, weights on {weights.device}"
        )


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
