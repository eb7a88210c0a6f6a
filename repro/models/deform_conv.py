"""DCNv2, modulated deformable convolution (arXiv 1811.11168): the convolution itself and the module that steers it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import deform_conv2d

from repro.ops import ms_deform_attn

WIDEST_HEAD = 256  # channels that one head of the deformable attention may have
TAPS = 3  # a side of the kernel


class ModulatedDeformConv(nn.Module):
    """A 3×3 convolution that learns where to sample and how much to trust it."""

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, channels, TAPS, TAPS))
        self.conv_offset = nn.Conv2d(channels, 27, TAPS, stride=stride, padding=1)
        bound = (channels * TAPS**2) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)  # type: ignore[arg-type] # it has one

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return [I, C, H / stride, W / stride] of x [I, C, H, W]: 18 offset channels (y, x a tap), 9 mask logits.

        `weight` stands in for the module's own, where a norm was folded into it.
        """
        offsets, mask = self.conv_offset(x).split([18, 9], dim=1)
        return deform_conv(x, offsets, mask.sigmoid(), self.weight if weight is None else weight, stride=self.stride)


def deform_conv(
    x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, *, stride: int = 1, dilation: int = 1
) -> Tensor:
    """Return the modulated deformable 3×3 convolution [I, O, h, w], padded by its dilation (spec §B.2).

    x [I, C, H, W]; offsets [I, G·18, h, w] in pixels, (y, x) a tap, taps row-major, G groups of channels one after
    the other; mask [I, G·9, h, w]; weight [O, C, 3, 3].
    On the CPU the taps are sampled by the deformable attention, a head a group: it reads the channels of a pixel
    side by side, where torchvision's operator gathers them one by one.
    """
    if x.device.type != "cpu":
        seen: Tensor = deform_conv2d(x, offsets, weight, stride=stride, padding=dilation, dilation=dilation, mask=mask)
        return seen
    inputs = (x, offsets, mask, weight)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        # nine times the input in samples is not worth keeping until the backward pass
        saved: Tensor = checkpoint(_sampled, *inputs, stride, dilation, use_reentrant=False)
        return saved
    return _sampled(*inputs, stride, dilation)


def _sampled(x: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    images, channels, height, width = x.shape
    rows, columns = offsets.shape[-2:]
    groups = offsets.shape[1] // (2 * TAPS**2)
    split = -(-channels // groups // WIDEST_HEAD)  # heads that a group of channels is cut into
    heads = groups * split
    size = (_power_of_two(height), _power_of_two(width))
    padded = nn.functional.pad(x, (0, size[1] - width, 0, size[0] - height))  # outside is zero anyway
    value = padded.permute(0, 2, 3, 1).reshape(images, size[0] * size[1], heads, -1)
    where = _locations(offsets, size, stride=stride, dilation=dilation)  # [I, h, w, 9, G, 2]
    where = where.repeat_interleave(split, 4).view(images, -1, heads, 1, 1, 2)
    trust = mask.view(images, groups, TAPS**2, rows, columns).permute(0, 3, 4, 2, 1)  # [I, h, w, 9, G]
    trust = trust.repeat_interleave(split, 4).reshape(images, -1, heads, 1, 1).to(value.dtype)
    taps = ms_deform_attn(value, [size], where, trust)  # [I, h·w·9, C]
    kernel = weight.permute(2, 3, 1, 0).reshape(TAPS**2 * channels, -1)  # [9·C, O]
    mixed = taps.reshape(images, rows * columns, -1) @ kernel
    return mixed.view(images, rows, columns, -1).permute(0, 3, 1, 2)  # lies channels last


def _power_of_two(number: int) -> int:
    """Return the next power of two: fractions of such a size are exact, so that no location is rounded by them."""
    return 1 << (number - 1).bit_length()


def _locations(offsets: Tensor, size: tuple[int, int], *, stride: int, dilation: int) -> Tensor:
    """Return where each tap samples, [I, h, w, 9, G, 2], (x, y) in 0..1 with 0 and 1 on the outer pixel edges."""
    images, _, rows, columns = offsets.shape
    height, width = size
    exact = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
    moved = exact.view(images, -1, TAPS**2, 2, rows, columns).permute(0, 4, 5, 2, 1, 3)  # [I, h, w, 9, G, (y, x)]
    y = torch.arange(rows, dtype=exact.dtype) * stride
    x = torch.arange(columns, dtype=exact.dtype) * stride
    tap = (torch.arange(TAPS, dtype=exact.dtype) - 1) * dilation
    tap_y, tap_x = tap.repeat_interleave(TAPS), tap.repeat(TAPS)
    at_y = y[:, None, None, None] + tap_y[:, None] + moved[..., 0]
    at_x = x[:, None, None] + tap_x[:, None] + moved[..., 1]
    return torch.stack([(at_x + 0.5) / width, (at_y + 0.5) / height], -1)
