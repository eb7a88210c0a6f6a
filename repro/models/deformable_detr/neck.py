"""From the backbone's maps to levels of equal width: convolution and group norm, no activation (spec §A)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.recipe.deformable_detr import Neck as NeckSettings


class Neck(nn.Module):
    """1×1 convolutions of every map; each level beyond by a 3×3 convolution of stride 2 (the first of the last map)."""

    def __init__(self, in_channels: Sequence[int], settings: NeckSettings) -> None:
        super().__init__()
        C = settings.out_channels
        extra = [in_channels[-1], *[C] * settings.num_outs][: settings.num_outs - len(in_channels)]
        self.lateral = nn.ModuleList(_level(nn.Conv2d(c, C, 1, bias=settings.bias), settings) for c in in_channels)
        self.extra = nn.ModuleList(
            _level(nn.Conv2d(c, C, 3, stride=2, padding=1, bias=settings.bias), settings) for c in extra
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return `num_outs` levels [B, C, h, w], finest first."""
        levels = [level(x) for level, x in zip(self.lateral, maps, strict=True)]
        last = maps[-1]
        for level in self.extra:
            last = level(last)
            levels.append(last)
        return levels


def _level(conv: nn.Conv2d, settings: NeckSettings) -> nn.Sequential:
    nn.init.xavier_uniform_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    norm = nn.GroupNorm(settings.norm_groups, settings.out_channels)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm))
