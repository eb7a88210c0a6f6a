"""What every operator's door asks of its inputs, and the words it refuses them with. No arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


def check_levels(value: Tensor, level_sizes: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError unless the levels add up to the tokens of a value [..., S, M, E]."""
    tokens, seen = sum(h * w for h, w in level_sizes), value.shape[-3]
    if tokens != seen:
        raise ValueError(
            f"value has {seen} tokens but level sizes {list(level_sizes)} add up to {tokens}: "
            "pass the sizes of the padded features"
        )


def check_shape(name: str, tensor: Tensor, expected: Sequence[int], to_fit: str) -> None:
    """Raise ValueError unless `tensor` has exactly this shape."""
    if tuple(tensor.shape) != tuple(expected):
        raise ValueError(f"{name} are {shape_of(tensor)}; expected {list(expected)} to fit {to_fit}")


def check_dtypes(value: Tensor, *, coordinates: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless coordinates are as wide as sums are, and the others that wide or as value is.

    A 16-bit fraction cannot name a pixel of a large map, so coordinates are float32 with every value but float64.
    """
    if not value.is_floating_point():
        raise ValueError(f"value is {value.dtype}; expected a floating-point tensor")
    wide = torch.promote_types(value.dtype, torch.float32)
    for name, tensor in coordinates.items():
        if tensor.dtype != wide:
            raise ValueError(f"dtypes differ: {name} are {tensor.dtype}; expected {wide} beside value {value.dtype}")
    for name, tensor in others.items():
        if tensor.dtype not in {wide, value.dtype}:
            fitting = f"{wide}" if wide == value.dtype else f"{wide} or {value.dtype}"
            raise ValueError(f"dtypes differ: {name} are {tensor.dtype}; expected {fitting} beside value {value.dtype}")


def check_devices(value: Tensor, others: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless all tensors are where value is."""
    for name, tensor in others.items():
        if tensor.device != value.device:
            raise ValueError(f"devices differ: value on {value.device}, {name} on {tensor.device}")


def check_numbers(name: str, tensor: Tensor, read: Tensor | None = None) -> None:
    """Refuse NaN as the extension does on the CPU; elsewhere, and while compiling, looking would stop the device.

    `read`, if given, says which entries of the leading dimensions are used at all.
    """
    if tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return
    bad = tensor.isnan()
    if read is not None:
        bad &= read.view(*read.shape, *[1] * (bad.ndim - read.ndim))
    if bad.any():
        where = bad.nonzero()
        raise ValueError(
            f"{name} are NaN at {where[0].tolist()} ({len(where)} of {tensor.numel()} numbers); "
            "expected numbers, 0 to 1 being inside the image"
        )


def shape_of(tensor: Tensor) -> list[int]:
    """Return a shape as messages write it."""
    return list(tensor.shape)
