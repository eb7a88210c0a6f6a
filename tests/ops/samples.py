"""Calls of the three operators to test with: inputs in float64, doors, slow twins, and how far apart they are.

Every call is written as (name of the operator, its tensors by name): the doors take them in the order of the schema.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from repro.ops import IMPLEMENTATION, ms_deform_attn, ms_deform_attn_from_offsets, spatial_cross_attn
from repro.ops.reference import (
    ms_deform_attn_from_offsets_reference,
    ms_deform_attn_reference,
    spatial_cross_attention_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ((7, 9), (4, 5), (1, 3))
TOKENS = 86
L = len(LEVELS)
OPERATORS = ("ms_deform_attn", "ms_deform_attn_from_offsets", "spatial_cross_attn")
OURS: dict[str, Callable[..., Tensor]] = {
    "ms_deform_attn": ms_deform_attn,
    "ms_deform_attn_from_offsets": ms_deform_attn_from_offsets,
    "spatial_cross_attn": spatial_cross_attn,
}
TWINS: dict[str, Callable[..., Tensor]] = {
    "ms_deform_attn": ms_deform_attn_reference,
    "ms_deform_attn_from_offsets": ms_deform_attn_from_offsets_reference,
    "spatial_cross_attn": spatial_cross_attention_reference,
}
COORDINATES = ("locations", "references")  # never stored in 16 bits
Inputs = dict[str, Tensor]

needs_extension = pytest.mark.skipif(
    not IMPLEMENTATION.startswith("extension"),
    reason=f"{IMPLEMENTATION} runs; make the extension: ./bevready build-ext",
)


def made(
    operator: str,
    *,
    items: int = 2,
    queries: int = 11,
    heads: int = 2,
    channels: int = 8,
    points: int = 4,
    columns: int = 2,
    seed: int = 0,
) -> Inputs:
    """Return float64 inputs of an operator over `LEVELS`: some points outside; three cameras, of which few see much.

    Coordinates are numbers of float32, so that no test measures their rounding.
    """
    B, Q, M, E, P = items, queries, heads, channels, points
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    def fractions(*shape: int) -> Tensor:
        return (torch.rand(*shape, dtype=torch.float64, generator=random) * 1.4 - 0.2).float().double()

    if operator == "ms_deform_attn":
        locations = fractions(B, Q, M, L, P, 2)
        return {"value": normal(B, TOKENS, M, E), "locations": locations, "weights": normal(B, Q, M, L, P)}
    raw = {"offsets": normal(B, Q, M, L, P, 2).float().double(), "logits": normal(B, Q, M, L * P)}
    if operator == "ms_deform_attn_from_offsets":
        return {"value": normal(B, TOKENS, M, E), "references": fractions(B, Q, L, columns)} | raw
    N, D = 3, 2
    visible = torch.rand(N, B, Q, D, generator=random) < 0.25
    value = normal(N, B, TOKENS, M, E)
    return {"value": value, "references": fractions(N, B, Q, D, 2), "visible": visible} | raw


def stored(given: Inputs, dtype: torch.dtype) -> Inputs:
    """Return the inputs as `dtype`, coordinates at least as float32, and ask for their gradients."""
    wide = torch.promote_types(dtype, torch.float32)
    kept: Inputs = {}
    for name, tensor in given.items():
        to = torch.bool if name == "visible" else wide if name in COORDINATES else dtype
        kept[name] = tensor.detach().clone().to(to).requires_grad_(name != "visible")
    return kept


def attend(
    functions: dict[str, Callable[..., Tensor]],
    operator: str,
    given: Inputs,
    levels: tuple[tuple[int, int], ...] = LEVELS,
) -> Tensor:
    """Call `operator` of `functions`, which are `OURS` or `TWINS`."""
    value, *others = given.values()
    return functions[operator](value, levels, *others)


def gradients(output: Tensor, given: Inputs, noise: Tensor | None = None) -> dict[str, Tensor]:
    """Return the gradients of a noisy sum of the output, by input."""
    if noise is None:
        noise = noise_like(output)
    wanted = {name: tensor for name, tensor in given.items() if tensor.requires_grad}
    if not output.requires_grad:  # the twin of cameras that see nothing
        return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
    found = torch.autograd.grad(output, list(wanted.values()), noise.to(output.dtype), materialize_grads=True)
    return dict(zip(wanted, found, strict=True))


def noise_like(output: Tensor) -> Tensor:
    """Return noise that bfloat16 can hold, so that it is the same in every dtype."""
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(99))
    return noise.bfloat16().double()


def everything(functions: dict[str, Callable[..., Tensor]], operator: str, given: Inputs) -> dict[str, Tensor]:
    """Return the output and all gradients, by name."""
    output = attend(functions, operator, given)
    return {"output": output.detach()} | gradients(output, given)


def error(seen: Tensor, truth: Tensor) -> float:
    """Return ‖seen - truth‖ / ‖truth‖ in float64."""
    return float((seen.double() - truth).norm() / truth.norm())


def loops(value: Tensor, levels: tuple[tuple[int, int], ...], x: float, y: float) -> Tensor:
    """Return what a point (x, y) of weight 1 reads of a value [S, E] in each level, [L, E]: bilinear, zero outside."""
    out, first = [], 0
    for height, width in levels:
        column, row = x * width - 0.5, y * height - 0.5
        seen = torch.zeros(value.shape[-1], dtype=torch.float64)
        for at, down in itertools.product(range(width), range(height)):
            near = max(0.0, 1 - abs(column - at)) * max(0.0, 1 - abs(row - down))
            seen += near * value[first + down * width + at]
        out.append(seen)
        first += height * width
    return torch.stack(out)
