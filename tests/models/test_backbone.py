"""The ResNet in its variants: strides, frozen parts, deformable stages, and saved activations."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from repro.models.backbone import Backbone
from repro.models.deform_conv import ModulatedDeformConv
from repro.models.fpn import FPN
from repro.recipe import load_recipe

TINY = load_recipe("bevformer_tiny").model.backbone


def backbone(**changes: object) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Backbone(TINY.model_copy(update=changes))


def images(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_features_are_torchvisions_with_its_weights() -> None:
    ours = backbone(out_stages=(0, 1, 2, 3), frozen_stages=-1).eval()
    theirs = torchvision.models.resnet50(weights=None).eval()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images()))))
    for stage, seen in zip((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), ours(images()), strict=True):
        x = stage(x)
        torch.testing.assert_close(seen, x)


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
@pytest.mark.parametrize("size", [(64, 96), (33, 65)])
def test_maps_have_the_strides_of_their_stages(style: str, size: tuple[int, int]) -> None:
    maps = backbone(style=style, out_stages=(1, 2, 3)).eval()(images(*size))
    expected = [(-(-size[0] // s), -(-size[1] // s)) for s in (8, 16, 32)]
    assert [tuple(m.shape[-2:]) for m in maps] == expected
    assert [m.shape[1] for m in maps] == [512, 1024, 2048]


def test_caffe_strides_where_pytorch_does_not() -> None:
    def strides(style: str) -> list[tuple[int, ...]]:
        block = backbone(style=style).get_submodule("layer2.0")
        return [
            conv.stride
            for conv in (block.get_submodule("conv1"), block.get_submodule("conv2"))
            if isinstance(conv, nn.Conv2d)
        ]

    assert strides("pytorch") == [(1, 1), (2, 2)]
    assert strides("caffe") == [(2, 2), (1, 1)]


@pytest.mark.parametrize(("frozen", "trainable"), [(-1, "conv1"), (0, "layer1"), (1, "layer2"), (3, "layer4")])
def test_frozen_stages_have_no_trainable_parameter(frozen: int, trainable: str) -> None:
    names = [name for name, p in backbone(frozen_stages=frozen).named_parameters() if p.requires_grad]
    assert names[0].split(".")[0] == trainable


def test_norms_stay_in_evaluation_when_the_recipe_says_so() -> None:
    norms = [m for m in backbone(norm_eval=True).train().modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 53
    assert not any(norm.training for norm in norms)
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())


def test_norms_of_trained_stages_learn_otherwise() -> None:
    model = backbone(norm_eval=False, frozen_stages=1).train()
    learns = {name: norm.training for name, norm in model.named_modules() if isinstance(norm, nn.BatchNorm2d)}
    assert not learns["bn1"]
    assert not learns["layer1.0.bn1"]
    assert learns["layer2.0.bn1"]
    assert model.get_parameter("layer2.0.bn1.weight").requires_grad


def test_convolutions_and_maps_lie_channels_last_in_memory() -> None:
    model = backbone(out_stages=(2, 3)).eval()
    four = [p for p in model.parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in four)
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in model(images()))


@pytest.mark.parametrize("norm_eval", [True, False])
def test_folding_the_norms_changes_neither_features_nor_gradients(norm_eval: bool) -> None:  # noqa: FBT001 — pytest's
    torch.manual_seed(0)
    ours = backbone(out_stages=(0, 1), frozen_stages=-1, norm_eval=norm_eval).double()  # float32 moves ReLU's kinks
    theirs = torchvision.models.resnet50(weights=None).double()
    for norm in (m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.normal_(norm.weight, std=0.5)
        nn.init.normal_(norm.bias)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    theirs.train(not norm_eval)
    seen_images = images().double()
    x = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(seen_images)))))
    expected, seen = [x, theirs.layer2(x)], ours(seen_images)
    for mine, golden in zip(seen, expected, strict=True):
        torch.testing.assert_close(mine, golden, rtol=1e-10, atol=1e-10)
    for maps in (seen, expected):
        torch.stack([m.square().mean() for m in maps]).sum().backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    golden_gradients = dict(theirs.named_parameters())
    compared = [(name, p.grad) for name, p in ours.named_parameters() if p.grad is not None and p.ndim == 4]
    assert len(compared) > 20
    for name, gradient in compared:
        golden = golden_gradients[name].grad
        assert golden is not None
        assert (gradient - golden).norm() < 1e-9 * golden.norm(), name


def test_stages_behind_the_last_output_do_not_exist() -> None:
    assert not any(name.startswith("layer4") for name in backbone(out_stages=(1, 2)).state_dict())


def test_saving_activations_changes_no_gradient() -> None:
    gradients = []
    for saving in (False, True):
        model = backbone(activation_checkpointing=saving, frozen_stages=-1)
        model(images())[0].square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_deformable_stages_have_upstreams_keys_and_start_without_offsets() -> None:
    state = backbone(depth=101, style="caffe", dcn_stages=(2, 3)).state_dict()
    assert state["layer3.0.conv2.conv_offset.weight"].shape == (27, 256, 3, 3)
    assert "layer2.0.conv2.conv_offset.weight" not in state
    assert not state["layer4.2.conv2.conv_offset.weight"].any()
    assert not state["layer4.2.conv2.conv_offset.bias"].any()


def test_without_offsets_dcn_is_half_a_convolution() -> None:
    conv, x = ModulatedDeformConv(4, stride=2), torch.randn(1, 4, 9, 11)
    plain = nn.functional.conv2d(x, conv.weight, stride=2, padding=1)
    torch.testing.assert_close(conv(x), plain / 2)  # the mask's logit 0 is one half


def test_offsets_and_mask_come_from_their_channels() -> None:
    conv, x = ModulatedDeformConv(4, stride=1), torch.randn(1, 4, 5, 6)
    nn.init.normal_(conv.conv_offset.weight, std=0.3)
    raw = conv.conv_offset(x)
    expected = deform_conv2d(x, raw[:, :18], conv.weight, padding=1, mask=raw[:, 18:].sigmoid())
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize("changes", [{"style": "caffe"}, {"dcn_stages": (3,)}])
def test_resnet_18_has_no_bottlenecks_to_change(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="ResNet-18 has no bottlenecks"):
        backbone(depth=18, **changes)


def test_the_pyramid_adds_coarse_to_fine_and_levels_beyond() -> None:
    neck = FPN([2, 3], 4, 4)
    maps = [torch.randn(1, 2, 5, 7), torch.randn(1, 3, 3, 4)]
    coarse = neck.lateral[1](maps[1])
    upsampled = coarse[:, :, torch.tensor([0, 0, 1, 1, 2])][:, :, :, torch.tensor([0, 0, 1, 1, 2, 2, 3])]
    outputs = neck(maps)
    torch.testing.assert_close(outputs[0], neck.output[0](neck.lateral[0](maps[0]) + upsampled))
    torch.testing.assert_close(outputs[1], neck.output[1](coarse))
    torch.testing.assert_close(outputs[2], neck.output[2](outputs[1]))  # the first one beyond: no ReLU (spec §B.3)
    torch.testing.assert_close(outputs[3], neck.output[3](outputs[2].relu()))
    assert [tuple(o.shape[-2:]) for o in outputs] == [(5, 7), (3, 4), (2, 2), (1, 1)]
