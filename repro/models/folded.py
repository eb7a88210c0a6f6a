"""Residual blocks whose batch norms are fixed, run as convolutions with a bias: one pass over memory instead of two.

A norm in evaluation is a factor and a term per channel, so both go into the convolution before it; the sums round
differently in the last bit. Gradients flow through the factor into the unfolded weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torchvision.models.resnet import BasicBlock, Bottleneck

from repro.models.deform_conv import ModulatedDeformConv

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_block(block: nn.Module, x: Tensor) -> Tensor:
    """Return what a residual block of torchvision's makes of x [I, C, H, W]."""
    if isinstance(block, Bottleneck):
        pairs = ((block.conv1, block.bn1), (block.conv2, block.bn2), (block.conv3, block.bn3))
    else:
        assert isinstance(block, BasicBlock), f"{type(block).__name__} is no residual block"
        pairs = ((block.conv1, block.bn1), (block.conv2, block.bn2))  # type: ignore[assignment] # two instead of three
    shortcut = x if block.downsample is None else conv_norm(x, *_pair(block.downsample))
    return _chain(x, pairs).add_(shortcut).relu_()


def conv_norm(x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
    """Return norm(conv(x)); folded into one convolution where the norm uses its running statistics."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, (nn.Conv2d, ModulatedDeformConv))
    if norm.training or norm.running_var is None or norm.running_mean is None:
        normed: Tensor = norm(conv(x))
        return normed
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    term = norm.bias - norm.running_mean * factor
    weight = conv.weight * factor[:, None, None, None]
    if isinstance(conv, ModulatedDeformConv):
        deformed: Tensor = conv(x, weight)
        return deformed + term[:, None, None]
    return conv2d(x, weight, term, stride=conv.stride, padding=cast("tuple[int, int]", conv.padding))


def _chain(x: Tensor, pairs: Sequence[tuple[nn.Module, nn.Module]]) -> Tensor:
    *first, last = pairs
    for conv, norm in first:
        x = conv_norm(x, conv, norm).relu_()
    return conv_norm(x, *last)


def _pair(downsample: nn.Module) -> tuple[nn.Module, nn.Module]:
    conv, norm = cast("nn.Sequential", downsample)
    return conv, norm
