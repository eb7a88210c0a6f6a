"""DCNv2 against torchvision's operator: values and gradients, also in shapes that no recipe uses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

from repro.models.deform_conv import deform_conv


def inputs(channels: int, groups: int, size: tuple[int, int], stride: int, dilation: int) -> list[Tensor]:
    """Return x, offsets (some far outside), mask and weight in float64, all wanting gradients."""
    generator = torch.Generator().manual_seed(channels + stride)
    rows, columns = (-(-side // stride) for side in size)
    shapes = (
        (2, channels, *size),
        (2, groups * 18, rows, columns),
        (2, groups * 9, rows, columns),
        (6, channels, 3, 3),
    )
    x, offsets, mask, weight = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    offsets *= 3.0 * dilation
    return [tensor.requires_grad_() for tensor in (x, offsets, mask, weight)]


@pytest.mark.parametrize(
    ("channels", "groups", "size", "stride", "dilation"),
    [
        (4, 1, (9, 11), 1, 1),
        (4, 1, (9, 11), 2, 1),
        (4, 2, (8, 8), 1, 2),
        (512, 1, (3, 4), 1, 1),  # wider than one head of the attention
        (320, 1, (3, 2), 1, 1),  # wider, and no multiple of it
        (4, 1, (1, 1), 1, 1),
    ],
)
def test_values_and_gradients_are_torchvisions(
    channels: int, groups: int, size: tuple[int, int], stride: int, dilation: int
) -> None:
    x, offsets, mask, weight = inputs(channels, groups, size, stride, dilation)
    steps = {"stride": stride, "dilation": dilation}
    ours = deform_conv(x, offsets, mask, weight, **steps)
    theirs = deform_conv2d(x, offsets, weight, padding=dilation, mask=mask, **steps)
    torch.testing.assert_close(ours, theirs)
    noise = torch.randn_like(ours)
    mine = torch.autograd.grad((ours * noise).sum(), (x, offsets, mask, weight))
    golden = torch.autograd.grad((theirs * noise).sum(), (x, offsets, mask, weight))
    for one, other in zip(mine, golden, strict=True):
        torch.testing.assert_close(one, other)


def test_single_precision_rounds_no_more_than_torchvision_does() -> None:
    """A recipe stacks 26 of these: locations must not lose bits on their way through fractions of the image."""
    exact = [tensor.detach() for tensor in inputs(16, 1, (29, 50), 1, 1)]
    x, offsets, mask, weight = (tensor.float() for tensor in exact)
    truth = deform_conv2d(*exact[:2], exact[3], padding=1, mask=exact[2])
    ours = (deform_conv(x, offsets, mask, weight) - truth).abs().max()
    theirs = (deform_conv2d(x, offsets, weight, padding=1, mask=mask) - truth).abs().max()
    assert ours < 3 * theirs


def test_the_samples_of_all_taps_are_not_kept_for_the_backward_pass() -> None:
    x, offsets, mask, weight = inputs(8, 1, (16, 16), 1, 1)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        deform_conv(x, offsets, mask, weight)
    assert max(kept, default=0) <= max(tensor.numel() for tensor in (x, offsets, mask, weight))


def test_the_map_lies_channels_last() -> None:
    x, offsets, mask, weight = (tensor.detach() for tensor in inputs(8, 1, (5, 6), 1, 1))
    assert deform_conv(x, offsets, mask, weight).is_contiguous(memory_format=torch.channels_last)
