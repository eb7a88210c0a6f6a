"""The compiled extension: where it is, its loading, its gradients and its shapes for the compiler. No arithmetic here.

Which implementation runs is a fact of the process, settled when this file is imported and named by `IMPLEMENTATION`:
the extension at `BEVREADY_EXTENSION` ("none" for none), else the last one that `invoke build-ext` made, else the slow
twins of `reference.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

REFERENCE = "reference (plain torch, grid_sample)"
OPERATORS = ("ms_deform_attn", "ms_deform_attn_from_offsets", "spatial_cross_attn")


def serves(tensor: Tensor) -> bool:
    """Return whether the extension runs where `tensor` is; meta tensors follow, so that shapes can be asked for."""
    return tensor.device.type in _DEVICES


def ms_deform_attn(value: Tensor, level_sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Run the extension; shapes as in `ms_deform_attn.py`."""
    seen: Tensor = torch.ops.bevready.ms_deform_attn(value, _flat(level_sizes), locations, weights)
    return seen


def ms_deform_attn_from_offsets(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Run the extension with softmax and locations inside, and return [B, Q, M·E].

    value       [B, S, M, E]
    references  [B, Q, L, 2], (x, y) in 0..1, or [B, Q, L, 4] with the box's width and height behind
    offsets     [B, Q, M, L, P, 2], in pixels of the level, or in half extents of the box over P
    logits      [B, Q, M, L·P]
    """
    seen: Tensor = torch.ops.bevready.ms_deform_attn_from_offsets(
        value, _flat(level_sizes), references, offsets, logits
    )
    return seen


def spatial_cross_attn(
    value: Tensor,
    level_sizes: Sequence[tuple[int, int]],
    references: Tensor,
    visible: Tensor,
    offsets: Tensor,
    logits: Tensor,
) -> Tensor:
    """Run the extension over the cameras that see each query, and return their mean [B, Q, M·E].

    value       [N, B, S, M, E]
    references  [N, B, Q, D, 2], in image fractions; point p belongs to anchor p mod D
    visible     [N, B, Q, D] bool; a camera sees a query if it sees any of its anchors
    offsets     [B, Q, M, L, P, 2], in pixels of the level
    logits      [B, Q, M, L·P]
    """
    seen: Tensor = torch.ops.bevready.spatial_cross_attn(
        value, _flat(level_sizes), references, visible, offsets, logits
    )
    return seen


def _flat(level_sizes: Sequence[tuple[int, int]]) -> list[int]:
    return [size for pair in level_sizes for size in pair]


def _load() -> tuple[str, frozenset[str]]:
    """Load the extension if there is one, and return the name of what runs and the devices that it serves."""
    asked = os.environ.get("BEVREADY_EXTENSION", "")
    if asked == "none":
        return f"{REFERENCE}, as BEVREADY_EXTENSION asks", frozenset()
    file = Path(asked) if asked else _last_built()
    if file is None:
        return REFERENCE, frozenset()
    try:
        operators: Any = torch.ops  # untyped
        operators.load_library(str(file))
    except OSError as error:
        if asked:
            raise RuntimeError(f"BEVREADY_EXTENSION is {asked}, which does not load: {error}") from error
        return f"{REFERENCE}; {file.name} does not load: {error}", frozenset()
    for name in OPERATORS:
        _register(name)
    kernels = {name for name in ("cpu", "cuda") if _has_kernel(name.upper())}
    images = torch.ops.bevready.device_images() if "cuda" in kernels else "none"
    if images == "none":  # the host side is there, the device code is not
        kernels.discard("cuda")
    words = f"extension (cpu {torch.ops.bevready.cpu_instructions()}"
    words += f", cuda {images})" if "cuda" in kernels else f"); on cuda {REFERENCE}"
    return words, frozenset({*kernels, "meta"})


def _last_built() -> Path | None:
    """Return the file that the last successful build left for this torch, if any."""
    if importlib.util.find_spec("repro.ops.built") is None:
        return None
    found: Path | None = importlib.import_module("repro.ops.built").current()
    return found


def _has_kernel(key: str) -> bool:
    return all(torch._C._dispatch_has_kernel_for_dispatch_key(f"bevready::{name}", key) for name in OPERATORS)  # noqa: SLF001 — torch offers no public way to ask


def _register(name: str) -> None:
    """Give one operator its fake functions and its gradient: a call of `<name>_backward` on the saved inputs."""
    torch.library.register_fake(f"bevready::{name}", _fake_output)
    torch.library.register_fake(f"bevready::{name}_backward", _fake_gradients)
    backward = getattr(torch.ops.bevready, f"{name}_backward")

    def gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, *others = ctx.saved_tensors
        found = iter(
            backward(grad, value, ctx.level_sizes, *others, torch.are_deterministic_algorithms_enabled())
        )  # one for each floating-point input, in the order of the inputs
        into: list[Tensor | None] = [next(found) if tensor.is_floating_point() else None for tensor in (value, *others)]
        into.insert(1, None)  # level_sizes
        return tuple(one if wanted else None for one, wanted in zip(into, ctx.needs_input_grad, strict=True))

    def refuse(ctx: Any, *grads: Tensor) -> tuple[None, ...]:  # noqa: ARG001 — autograd's signature
        raise RuntimeError(f"{name} has no second derivative: detach its gradient, or use its twin in reference.py")

    torch.library.register_autograd(f"bevready::{name}", gradients, setup_context=_save)
    torch.library.register_autograd(f"bevready::{name}_backward", refuse)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 — torch passes three
    value, ctx.level_sizes, *others = inputs
    ctx.save_for_backward(value, *others)


def _fake_output(value: Tensor, level_sizes: list[int], *others: Tensor) -> Tensor:  # noqa: ARG001 — the schema's names
    offsets = next(tensor for tensor in others if tensor.ndim == 6)  # [B, Q, …], or locations of the same shape
    return value.new_empty(offsets.shape[0], offsets.shape[1], value.shape[-2] * value.shape[-1])


def _fake_gradients(
    grad: Tensor,  # noqa: ARG001 — the schema's names
    value: Tensor,
    level_sizes: list[int],  # noqa: ARG001
    *others: Any,
) -> tuple[Tensor, ...]:
    tensors = (value, *others[:-1])  # without `deterministic`
    return tuple(tensor.new_empty(tensor.shape) for tensor in tensors if tensor.is_floating_point())


IMPLEMENTATION, _DEVICES = _load()
