"""Feature pyramid (arXiv 1612.03144), as mmdet builds it (spec §B.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Sequence


class FPN(nn.Module):
    """Lateral 1×1 convs, nearest upsampling and addition, 3×3 convs; one stride-2 conv for each level beyond."""

    def __init__(self, in_channels: Sequence[int], channels: int, num_outs: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        extra = num_outs - len(in_channels)
        strides = [1] * len(in_channels) + [2] * extra
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=s, padding=1) for s in strides)
        for conv in (*self.lateral, *self.output):
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return `num_outs` maps [I, C, h, w], finest first."""
        merged = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        for level in range(len(merged) - 1, 0, -1):
            size = merged[level - 1].shape[-2:]
            merged[level - 1] = merged[level - 1] + interpolate(merged[level], size=size, mode="nearest")
        outputs = [conv(x) for conv, x in zip(self.output, merged, strict=False)]
        for conv in self.output[len(merged) :]:
            outputs.append(conv(outputs[-1].relu() if len(outputs) > len(merged) else outputs[-1]))
        return outputs
