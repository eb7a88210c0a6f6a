"""The one door to multi-scale deformable attention: inputs are checked here, the arithmetic is behind it.

`library.py` settles for the whole process whether the extension or the slow twin runs; never a choice per call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from repro.ops import library
from repro.ops.checks import check_numbers
from repro.ops.reference import ms_deform_attn_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def ms_deform_attn(value: Tensor, level_sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Attend to P sampled points a query, head and level; shapes as in `reference.py`, returns [B, Q, M·E].

    value may be stored in 16 bits: locations are float32 then, weights either; sums are float32 and rounded once.
    Raises ValueError when shapes, dtypes or devices do not fit together, and on the CPU for locations that are NaN.
    """
    _check(value, level_sizes, locations, weights)
    if library.serves(value):
        return library.ms_deform_attn(value, level_sizes, locations, weights)
    check_numbers("locations", locations)
    wide = locations.dtype
    return ms_deform_attn_reference(value.to(wide), level_sizes, locations, weights.to(wide)).to(value.dtype)


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
    wide = torch.float64 if value.dtype == torch.float64 else torch.float32
    if locations.dtype != wide or weights.dtype not in {wide, value.dtype} or not value.is_floating_point():
        raise ValueError(
            f"dtypes differ: value {value.dtype}, locations {locations.dtype}, weights {weights.dtype}; expected "
            f"locations {wide} and weights {wide} or as value, which is float32, float64, float16 or bfloat16"
        )
    if value.device != locations.device or value.device != weights.device:
        raise ValueError(
            f"devices differ: value on {value.device}, locations on {locations.device}, weights on {weights.device}"
        )


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
