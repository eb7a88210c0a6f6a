"""ResNet as mmdet runs it, out of torchvision's blocks: strides of both styles, frozen stages, DCNv2 (spec §B.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import deform_conv2d

if TYPE_CHECKING:
    from typing_extensions import Self

    from repro.recipe.tables import Backbone as BackboneSettings

BLOCKS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3)), 101: (Bottleneck, (3, 4, 23, 3))}


class Backbone(nn.Module):
    """Feature maps of the chosen stages, finest first. State keys are torchvision's (and so upstream's)."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        self._settings = settings
        block, depths = BLOCKS[settings.depth]
        if block is BasicBlock and (settings.style == "caffe" or settings.dcn_stages):
            raise ValueError(f"ResNet-{settings.depth} has no bottlenecks: style must be pytorch, dcn_stages empty")
        resnet = ResNet(block, list(depths), zero_init_residual=True)  # the classifier it brings is dropped here
        self.conv1, self.bn1, self.maxpool = resnet.conv1, resnet.bn1, resnet.maxpool
        for number in range(settings.out_stages[-1] + 1):  # what lies beyond would never learn
            setattr(self, f"layer{number + 1}", getattr(resnet, f"layer{number + 1}"))
        self.channels = tuple(64 * 2**stage * block.expansion for stage in settings.out_stages)
        if settings.style == "caffe":
            _stride_on_first_conv(self.stages)
        for stage in settings.dcn_stages:
            if stage < len(self.stages):
                _deform(self.stages[stage])
        for parameter in self._frozen_parameters():
            parameter.requires_grad_(False)
        # Convolutions want channels last: on two CPU cores a tiny frame takes 8.0 s this way and 11.2 s the other.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs know it positionally
        self.train()

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The residual stages, up to the last one that the neck reads."""
        names = (f"layer{number + 1}" for number in range(self._settings.out_stages[-1] + 1))
        return tuple(cast("nn.Sequential", getattr(self, name)) for name in names)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return [I, C_stage, H / stride, W / stride] of each chosen stage for images [I, 3, H, W], channels last."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        maps = []
        for number, stage in enumerate(self.stages):
            for block in stage:
                saving = self._settings.activation_checkpointing and x.requires_grad
                x = checkpoint(block, x, use_reentrant=False) if saving else block(x)
            if number in self._settings.out_stages:
                maps.append(x)
        return maps

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 — nn.Module's signature
        """Set the mode, but keep frozen stages (and with `norm_eval` every norm) in evaluation."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        if self._settings.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def _frozen_modules(self) -> list[nn.Module]:
        if self._settings.frozen_stages < 0:
            return []
        return [self.conv1, self.bn1, *self.stages[: self._settings.frozen_stages]]

    def _frozen_parameters(self) -> list[nn.Parameter]:
        modules = self._frozen_modules()
        if self._settings.norm_eval:
            modules += [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        return [parameter for module in modules for parameter in module.parameters()]


class ModulatedDeformConv(nn.Module):
    """DCNv2: a 3×3 convolution that learns where to sample and how much to trust it (arXiv 1811.11168)."""

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.conv_offset = nn.Conv2d(channels, 27, 3, stride=stride, padding=1)
        bound = (channels * 9) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)  # type: ignore[arg-type] # it has one

    def forward(self, x: Tensor) -> Tensor:
        """Return [I, C, H / stride, W / stride] of x [I, C, H, W]: 18 offset channels (y, x a tap), 9 mask logits."""
        offset, mask = self.conv_offset(x).split([18, 9], dim=1)
        output: Tensor = deform_conv2d(x, offset, self.weight, stride=self.stride, padding=1, mask=mask.sigmoid())
        return output


def _stride_on_first_conv(stages: tuple[nn.Sequential, ...]) -> None:
    for stage in stages[1:]:
        first = stage[0]
        assert isinstance(first, Bottleneck)
        first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)


def _deform(stage: nn.Sequential) -> None:
    for block in stage:
        assert isinstance(block, Bottleneck)
        plain = block.conv2
        block.conv2 = ModulatedDeformConv(plain.out_channels, stride=plain.stride[0])
