"""Backbone, neck, codes, matching, losses and decoding on values small enough to check by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from repro.models.backbone import Backbone, ModulatedDeformConv
from repro.models.bevformer.coder import decode_item
from repro.models.boxes import boxes_from_codes, codes_from_boxes, inverse_sigmoid
from repro.models.fpn import FPN
from repro.models.losses import detection_losses, focal_loss
from repro.models.matching import DivergedError, box_cost, focal_cost, match
from repro.recipe import load_recipe
from repro.tensors import GroundTruth, Prediction

if TYPE_CHECKING:
    from repro.recipe.schema import Backbone as BackboneSettings

TINY = load_recipe("bevformer_tiny")
NOTHING = GroundTruth(torch.zeros(0, 9), torch.zeros(0, dtype=torch.int64))


def settings(**changes: object) -> BackboneSettings:
    return TINY.model.backbone.model_copy(update=changes)


def boxes(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    values = torch.rand(count, 9, generator=generator)
    return values * torch.tensor([40, 40, 2, 1, 3, 1, 6, 2, 2]) + torch.tensor([-20, -20, -1, 0.5, 1, 1, -3, -1, -1])


def prediction(items: int, queries: int = 20) -> Prediction:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, items, queries, 10, generator=generator).requires_grad_()
    codes = torch.randn(2, items, queries, 10, generator=generator).requires_grad_()
    return Prediction(bev=torch.zeros(0), cls_logits=logits, box_codes=codes, references=torch.zeros(0))


def test_norms_and_frozen_stages_stay_in_evaluation_while_training() -> None:
    backbone = Backbone(settings())
    backbone.train()
    assert not any(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert [stage.training for stage in backbone.stages] == [False, True, True, True]
    frozen = {name.split(".")[0] for name, p in backbone.named_parameters() if not p.requires_grad and "conv" in name}
    assert frozen == {"conv1", "layer1"}


def test_without_norm_eval_norms_learn() -> None:
    backbone = Backbone(settings(depth=18, norm_eval=False, frozen_stages=-1)).train()
    assert all(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_both_styles_halve_the_map_at_each_stage(style: str) -> None:
    backbone = Backbone(settings(style=style, out_stages=(0, 1, 2, 3)))
    maps = backbone(torch.randn(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [(256, 16, 24), (512, 8, 12), (1024, 4, 6), (2048, 2, 3)]
    first = backbone.stages[1][0]
    assert isinstance(first, Bottleneck)
    assert (first.conv1.stride, first.conv2.stride) == (((1, 1), (2, 2)) if style == "pytorch" else ((2, 2), (1, 1)))


def test_deformable_stages_start_as_ordinary_convolutions_at_half_strength() -> None:
    backbone = Backbone(settings(style="caffe", dcn_stages=(2, 3)))
    conv = backbone.get_submodule("layer3.1.conv2")
    assert isinstance(conv, ModulatedDeformConv)
    x = torch.randn(1, 256, 5, 6)
    plain = nn.functional.conv2d(x, conv.weight, padding=1)
    torch.testing.assert_close(conv(x), plain * 0.5, atol=1e-4, rtol=1e-4)


def test_activation_checkpoints_change_no_gradient() -> None:
    torch.manual_seed(0)
    plain = Backbone(settings(depth=18, frozen_stages=-1))
    saving = Backbone(settings(depth=18, frozen_stages=-1, activation_checkpointing=True))
    saving.load_state_dict(plain.state_dict())
    for backbone in (plain, saving):
        backbone(torch.ones(1, 3, 64, 64))[0].square().sum().backward()
    torch.testing.assert_close(plain.conv1.weight.grad, saving.conv1.weight.grad)


def test_a_small_resnet_has_no_caffe_style() -> None:
    with pytest.raises(ValueError, match="ResNet-18 has no bottlenecks: style must be pytorch"):
        Backbone(settings(depth=18, style="caffe"))


def test_the_pyramid_adds_levels_by_stride_two() -> None:
    maps = [torch.randn(1, c, s, s) for c, s in ((8, 16), (16, 8), (32, 4))]
    assert [m.shape[-1] for m in FPN([8, 16, 32], 4, 5)(maps)] == [16, 8, 4, 2, 1]


def test_coarse_maps_reach_the_fine_level() -> None:
    fpn = FPN([2, 2], 2, 2)
    fine, coarse = torch.zeros(1, 2, 5, 5), torch.ones(1, 2, 3, 3)
    assert float((fpn([fine, coarse])[0] - fpn([fine, coarse * 0])[0]).detach().abs().sum()) > 0


def test_boxes_survive_their_codes() -> None:
    torch.testing.assert_close(boxes_from_codes(codes_from_boxes(boxes(9))), boxes(9), atol=1e-5, rtol=1e-5)


def test_the_inverse_sigmoid_is_finite_at_the_ends() -> None:
    assert inverse_sigmoid(torch.tensor([0.0, 1.0, 2.0, -1.0])).isfinite().all()
    torch.testing.assert_close(inverse_sigmoid(torch.tensor([0.2])).sigmoid(), torch.tensor([0.2]))


def test_matching_is_the_cheapest_assignment() -> None:
    logits, codes = torch.randn(20, 10), torch.randn(20, 10) * 3
    truth = GroundTruth(boxes(6), torch.arange(6))
    cost = 2.0 * focal_cost(logits, truth.labels, alpha=0.25, gamma=2.0) + 0.25 * box_cost(codes, truth.boxes)
    rows, columns = linear_sum_assignment(cost.numpy())
    chosen, owner = match(logits, codes, truth, TINY.matcher)
    assert (chosen.tolist(), owner.tolist()) == (rows.tolist(), columns.tolist())


def test_a_cost_that_is_not_finite_says_what_to_look_at() -> None:
    with pytest.raises(DivergedError, match="a matching cost is not finite: predictions or boxes hold NaN"):
        match(
            torch.full((3, 10), float("nan")),
            torch.zeros(3, 10),
            GroundTruth(boxes(1), torch.tensor([0])),
            TINY.matcher,
        )


def test_focal_loss_of_a_sure_right_answer_is_nothing_and_of_a_sure_wrong_one_is_large() -> None:
    logits = torch.tensor([[20.0, -20.0], [20.0, -20.0]])
    each = focal_loss(logits, torch.tensor([0, 2]), alpha=0.25, gamma=2.0)
    assert float(each[0].sum()) < 1e-12
    assert float(each[1, 0]) == pytest.approx(0.75 * 20, rel=1e-4)


def test_losses_carry_upstreams_names_and_reach_every_layer() -> None:
    found = prediction(2)
    losses = detection_losses(found, [GroundTruth(boxes(3), torch.arange(3)), NOTHING], TINY.losses, TINY.matcher)
    assert set(losses) == {"loss_cls", "loss_bbox", "d0.loss_cls", "d0.loss_bbox"}
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert found.cls_logits.grad is not None
    assert (found.cls_logits.grad.abs().sum((1, 2, 3)) > 0).all()


def test_no_ground_truth_at_all_is_background_and_no_crash() -> None:
    losses = detection_losses(prediction(1), [NOTHING], TINY.losses, TINY.matcher)
    assert float(losses["loss_bbox"].detach()) == 0
    assert float(losses["loss_cls"].detach()) > 0


def test_decoding_keeps_the_best_pairs_in_order_and_drops_what_is_out_of_range() -> None:
    logits, codes = torch.full((3, 10), -9.0), torch.zeros(3, 10)
    logits[0, 4], logits[0, 7], logits[1, 2] = 3.0, 1.0, 2.0
    codes[1, 0] = 61.3  # metres: beyond the post-processing range
    found = decode_item(logits, codes, TINY.coder.model_copy(update={"max_boxes": 3}))
    assert found.labels.tolist() == [4, 7]
    assert found.scores.tolist() == pytest.approx([0.9526, 0.7311], abs=1e-4)
