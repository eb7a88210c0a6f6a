"""The ways to compute one operator call: the door as the models use it, and the baselines that it is measured against.

A way is a function and the tensors it takes. What a baseline wants in another layout gets it before the clock runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from repro.ops import ms_deform_attn, ms_deform_attn_from_offsets, spatial_cross_attn
from repro.ops.reference import (
    ms_deform_attn_from_offsets_reference,
    ms_deform_attn_reference,
    sampling_places,
    spatial_cross_attention_padded_reference,
    spatial_cross_attention_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from repro.bench.calls import Call

OURS, TWIN = "ours", "grid_sample"
DOORS: dict[str, Callable[..., Tensor]] = {
    "plain": ms_deform_attn,
    "from_offsets": ms_deform_attn_from_offsets,
    "spatial": spatial_cross_attn,
}
TWINS: dict[str, Callable[..., Tensor]] = {
    "plain": ms_deform_attn_reference,
    "from_offsets": ms_deform_attn_from_offsets_reference,
    "spatial": spatial_cross_attention_reference,
}
COORDINATES = 1  # which tensor of every door is never narrower than float32: locations, or references
FIXED = {"plain": (), "from_offsets": (1,), "spatial": (1, 2)}  # which get no gradient: references and `visible`


@dataclass(frozen=True)
class Way:
    """One way to compute a call: `run(value, *others)` on these tensors, of which some want gradients."""

    run: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]

    @property
    def wanted(self) -> list[Tensor]:
        """The tensors whose gradients a training step would ask for."""
        return [tensor for tensor in self.tensors if tensor.requires_grad]

    def forward(self) -> Tensor:
        """Run without recording anything for gradients."""
        with torch.no_grad():
            return self.run(*self.tensors)

    def both(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Run forward and backward, and return the gradients of `wanted`."""
        return torch.autograd.grad(self.run(*self.tensors), self.wanted, grad)


def through(attend: Callable[..., Tensor], call: Call, tensors: Sequence[Tensor]) -> Way:
    """Return the way through a function with the signature of the call's door, on copies of these tensors."""
    fixed = FIXED[call.door]
    leaves = tuple(
        tensor.detach().requires_grad_(tensor.is_floating_point() and number not in fixed)
        for number, tensor in enumerate(tensors)
    )
    return Way(lambda value, *others: attend(value, call.levels, *others), leaves)


def narrowed(tensors: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> list[Tensor]:
    """Return the tensors on the device, as a model of that dtype would pass them: coordinates stay float32."""
    wide = torch.promote_types(dtype, torch.float32)
    return [
        tensor.to(device, (wide if number == COORDINATES else dtype) if tensor.is_floating_point() else None)
        for number, tensor in enumerate(tensors)
    ]


def ways(call: Call, tensors: Sequence[Tensor]) -> dict[str, Way]:
    """Return ours first, then every baseline that fits the call, its dtype and its device."""
    found = {OURS: through(DOORS[call.door], call, tensors), TWIN: through(TWINS[call.door], call, tensors)}
    value = tensors[0]
    wide = [tensor.float() if tensor.is_floating_point() else tensor for tensor in tensors]
    if call.door == "from_offsets":
        found["unfused"] = through(unfused, call, tensors)
    if call.door == "spatial":
        found["padded"] = through(_padded_on(ms_deform_attn), call, tensors)
    if value.device.type == "cuda" and hasattr(torch.ops.bevready, "plain2020") and call.door != "from_offsets":
        attend = plain2020 if call.door == "plain" else _padded_on(plain2020)
        found["plain2020"] = through(attend, call, wide)  # float32 only: the public kernels have no bfloat16
    fits = call.door == "plain" and call.queries == "cells" and len(call.levels) == 1
    if fits and value.dtype == torch.float32:
        found["deform_conv2d"] = deform_conv2d(call, tensors)
    return found


def unfused(
    value: Tensor, level_sizes: Sequence[tuple[int, int]], references: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Make places and weights in plain torch, then go through the plain door: what fusing saves."""
    places, weights = sampling_places(value, level_sizes, references, offsets, logits)
    return ms_deform_attn(value, level_sizes, places, weights)


def _padded_on(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return upstream's re-batched spatial cross-attention on this operator."""

    def padded(
        value: Tensor,
        level_sizes: Sequence[tuple[int, int]],
        references: Tensor,
        visible: Tensor,
        offsets: Tensor,
        logits: Tensor,
    ) -> Tensor:
        return spatial_cross_attention_padded_reference(
            value, level_sizes, references, visible, offsets, logits, attend=attend
        )

    return padded


class _Plain2020(torch.autograd.Function):
    """The extension's copy of the algorithm of 2020 with its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, sizes: list[int], places: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(value, places, weights)
        ctx.sizes = sizes
        seen: Tensor = torch.ops.bevready.plain2020(value, sizes, places, weights)
        return seen

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, places, weights = ctx.saved_tensors
        to_value, to_places, to_weights = torch.ops.bevready.plain2020_backward(
            grad.contiguous(), value, ctx.sizes, places, weights
        )
        return to_value, None, to_places, to_weights


def plain2020(value: Tensor, level_sizes: Sequence[tuple[int, int]], places: Tensor, weights: Tensor) -> Tensor:
    """Run the algorithm of the public CUDA kernels, one thread a channel, in float32 (CUDA only)."""
    sizes = [size for pair in level_sizes for size in pair]
    seen: Tensor = _Plain2020.apply(value.contiguous(), sizes, places.contiguous(), weights.contiguous())  # type: ignore[no-untyped-call]
    return seen


def deform_conv2d(call: Call, tensors: Sequence[Tensor]) -> Way:
    """Return torchvision's modulated deformable convolution, set up to compute the same, in its own layout.

    Every cell of the one level is a query, so the call is a depth-wise convolution with a row of P ones. They stand two
    cells apart, so that the map keeps its width; the offsets cancel that. Returns [B, C, H, W] instead of [B, Q, C].
    """
    from torchvision.ops import deform_conv2d as convolve  # noqa: PLC0415 — slow to import

    value, places, weights = tensors
    (H, W), P = call.levels[0], call.points
    B, Q, M = places.shape[:3]
    pixels = places[:, :, :, 0] * places.new_tensor([W, H]) - 0.5  # [B, Q, M, P, 2] as (x, y)
    cell = torch.arange(Q, device=value.device)
    own_x = (cell % W)[:, None] - (P - 1) + 2 * torch.arange(P, device=value.device)  # [Q, P], a tap each
    own_y = (cell // W)[:, None].expand(-1, P)
    shifts = pixels.flip(-1) - torch.stack([own_y, own_x], -1)[:, None]  # [B, Q, M, P, 2] as (y, x)
    image = value.flatten(2).transpose(1, 2).reshape(B, -1, H, W)
    offsets = shifts.permute(0, 2, 3, 4, 1).reshape(B, M * P * 2, H, W)
    mask = weights[:, :, :, 0].permute(0, 2, 3, 1).reshape(B, M * P, H, W)
    ones = value.new_ones(image.shape[1], 1, 1, P)
    leaves = tuple(tensor.detach().contiguous().requires_grad_() for tensor in (image, offsets, mask))

    def run(image: Tensor, offsets: Tensor, mask: Tensor) -> Tensor:
        seen: Tensor = convolve(image, offsets, ones, padding=(0, P - 1), dilation=(1, 2), mask=mask)
        return seen

    return Way(run, leaves)
