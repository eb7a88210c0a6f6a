"""ResNet as mmdet runs it, out of torchvision's blocks: strides of both styles, frozen stages, DCNv2 (spec §B.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from repro.models.deform_conv import ModulatedDeformConv
from repro.models.folded import conv_norm, run_block

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
        x = self.maxpool(conv_norm(x, self.conv1, self.bn1).relu_())
        maps = []
        for number, stage in enumerate(self.stages):
            for block in stage:
                saving = self._settings.activation_checkpointing and x.requires_grad
                x = checkpoint(run_block, block, x, use_reentrant=False) if saving else run_block(block, x)
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
