"""BEVFormer at toy size: what it promises about history, batches, quirks and its own initial weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from repro.models.bevformer import BEVFormer, build_bevformer, history_of
from repro.models.bevformer.geometry import ego_shift, turn_history
from repro.recipe import Quirks, Recipe, load_recipe
from repro.tensors import Frame

FIXED = Quirks(temporal_rows="fixed", camera_hits="each_item", history_exists="each_item", rotate_center="middle")


def toy(quirks: Quirks = FIXED) -> Recipe:
    nano = load_recipe("bevformer_nano")
    model = nano.model.model_copy(
        update={
            "embed_dims": 32,
            "heads": 4,
            "ffn_dims": 64,
            "use_history": True,
            "neck": nano.model.neck.model_copy(update={"out_channels": 32}),
            "bev": nano.model.bev.model_copy(update={"rows": 6, "columns": 5}),
            "encoder": nano.model.encoder.model_copy(update={"layers": 2}),
            "decoder": nano.model.decoder.model_copy(update={"layers": 2, "queries": 7}),
            "quirks": quirks,
        }
    )
    return nano.model_copy(update={"model": model})


def build(recipe: Recipe) -> BEVFormer:
    torch.manual_seed(0)
    model = build_bevformer(recipe).eval()
    for parameter in model.parameters():  # the initial offsets are symmetric; break that
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def frame(seed: int, *, has_history: bool = True, dx: float = 2.0) -> Frame:
    generator = torch.Generator().manual_seed(seed)
    looking = torch.tensor([[10.0, 40.0, 3.0, 8.0], [4.0, 0.0, -30.0, 20.0], [0.2, 1.0, 0.0, 0.5], [0, 0, 0, 1.0]])
    turned = torch.stack([looking @ turn_about_z(camera) for camera in range(6)])
    can_bus = torch.randn(1, 18, generator=generator, dtype=torch.float64) * 0.1
    can_bus[0, :2] = torch.tensor([dx, 0.5])
    can_bus[0, 16:] = torch.tensor([0.3 + seed, 4.0 * seed])
    if not has_history:
        can_bus[0, :3] = can_bus[0, 17] = 0
    return Frame(
        images=torch.randn(1, 6, 3, 64, 96, generator=generator),
        img_from_lidar=turned[None].double(),
        can_bus=can_bus,
        has_history=torch.tensor([has_history]),
        tokens=(f"frame {seed}",),
    )


def turn_about_z(camera: int) -> Tensor:
    angle = camera * math.pi / 3
    matrix = torch.eye(4)
    matrix[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return matrix


def together(*frames: Frame) -> Frame:
    return Frame(
        images=torch.cat([f.images for f in frames]),
        img_from_lidar=torch.cat([f.img_from_lidar for f in frames]),
        can_bus=torch.cat([f.can_bus for f in frames]),
        has_history=torch.cat([f.has_history for f in frames]),
        tokens=tuple(token for f in frames for token in f.tokens),
    )


def history(seed: int) -> Tensor:
    return torch.randn(1, 30, 32, generator=torch.Generator().manual_seed(100 + seed))


@torch.no_grad()
@pytest.mark.parametrize("second_has_history", [True, False])
def test_under_fixed_quirks_a_batch_of_two_is_two_batches_of_one(second_has_history: bool) -> None:  # noqa: FBT001
    model = build(toy())
    one, two = frame(1), frame(2, has_history=second_has_history)
    alone = [model(one, history(1)), model(two, history(2))]
    both = model(together(one, two), torch.cat([history(1), history(2)]))
    for item in range(2):
        torch.testing.assert_close(both.bev[item], alone[item].bev[0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(both.cls_logits[:, item], alone[item].cls_logits[:, 0], atol=2e-4, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("quirk", ["temporal_rows", "camera_hits"])
def test_upstreams_batch_quirks_change_the_second_item_only(quirk: str) -> None:
    upstream = {"temporal_rows": "upstream", "camera_hits": "first_item"}[quirk]
    model = build(toy(FIXED.model_copy(update={quirk: upstream})))
    far = replace(frame(2), img_from_lidar=frame(2).img_from_lidar.roll(1, dims=1) * 1.1)
    both = model(together(frame(1), far), torch.cat([history(1), history(2)]))
    torch.testing.assert_close(both.bev[0], model(frame(1), history(1)).bev[0], atol=2e-5, rtol=1e-4)
    assert not torch.allclose(both.bev[1], model(far, history(2)).bev[0], atol=1e-3)


@torch.no_grad()
def test_the_callers_history_is_not_touched() -> None:
    model, given = build(toy()), history(1)
    kept = given.clone()
    model(frame(1), given)
    assert torch.equal(given, kept)


@torch.no_grad()
def test_history_matters_and_is_ignored_where_the_frame_or_the_recipe_says_so() -> None:
    model = build(toy())
    with_history = model(frame(1), history(1)).bev
    assert not torch.allclose(with_history, model(frame(1), None).bev, atol=1e-3)
    first = frame(1, has_history=False)
    assert torch.equal(model(first, history(1)).bev, model(first, None).bev)
    model.settings = model.settings.model_copy(update={"use_history": False})
    assert torch.equal(model(frame(1), history(1)).bev, model(frame(1), None).bev)


@torch.no_grad()
def test_the_first_item_decides_about_history_for_all_under_the_quirk() -> None:
    model = build(toy(FIXED.model_copy(update={"history_exists": "first_item"})))
    both = together(frame(1, has_history=False), frame(2))
    assert torch.equal(model(both, torch.cat([history(1), history(2)])).bev, model(both, None).bev)


@torch.no_grad()
def test_the_released_quirk_shifts_the_current_half_as_well() -> None:
    head, released = build(toy()), build(toy(FIXED.model_copy(update={"shift_current_ref": True})))
    assert not torch.allclose(head(frame(1), history(1)).bev, released(frame(1), history(1)).bev, atol=1e-4)
    assert torch.equal(head(frame(1), None).bev, released(frame(1), None).bev)


def test_a_history_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"history is \[1, 29, 32\]; expected \[1, 30, 32\]"):
        build(toy())(frame(1), history(1)[:, :29])


def test_history_is_made_without_gradient_in_evaluation_mode_and_training_goes_on() -> None:
    model = build(toy())
    model.train()
    past = history_of(model, [frame(1, has_history=False), frame(2)])
    assert past is not None
    assert not past.requires_grad
    assert model.training
    model.eval()
    with torch.no_grad():
        expected = model(frame(2), model(frame(1, has_history=False), None).bev).bev
    torch.testing.assert_close(past, expected, atol=2e-5, rtol=1e-4)


def test_no_past_frames_make_no_history() -> None:
    assert history_of(build(toy()), []) is None


def test_every_trainable_parameter_gets_a_gradient() -> None:
    model = build(toy())
    prediction = model(frame(1), history(1))
    (prediction.cls_logits.sum() + prediction.box_codes.sum()).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_tiny_has_the_parameters_that_upstream_counts() -> None:
    tiny = build_bevformer(load_recipe("bevformer_tiny"))
    everything = sum(p.numel() for p in tiny.parameters())
    trainable = sum(p.numel() for p in tiny.parameters() if p.requires_grad)
    assert (everything, trainable) == (33_521_157 - 10, 33_245_627)  # the ten are upstream's constant code weights


def test_initial_weights_follow_the_specification() -> None:
    torch.manual_seed(0)
    tiny = build_bevformer(load_recipe("bevformer_tiny"))
    state = tiny.state_dict()
    assert all(float(state[f"head.classify.{layer}.6.bias"][0]) == pytest.approx(-math.log(99)) for layer in range(6))
    assert torch.equal(state["head.regress.0.0.weight"], state["head.regress.5.0.weight"])
    offsets = "encoder.0.spatial.pillars.sampling_offsets"
    assert float(state[f"{offsets}.weight"].abs().sum()) == 0
    assert state[f"{offsets}.bias"].view(8, 1, 8, 2)[0, 0, :, 0].tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])
    assert float(state["row_positions.weight"].std()) == pytest.approx(1, abs=0.05)  # quirk 15
    assert float(state["reference_points.bias"].abs().sum()) == 0


def test_forward_motion_shifts_the_bev_along_y() -> None:
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, :2] = torch.tensor([math.cos(0.7), math.sin(0.7)]) * 2.0  # two metres where the car looks
    can_bus[0, 16] = 0.7
    shift = ego_shift(can_bus, bev_range=(-51.2, -51.2, -5, 51.2, 51.2, 3), rows=50, columns=50)
    torch.testing.assert_close(shift, torch.tensor([[0.0, 2.0 / 102.4]], dtype=torch.float64))


def test_a_quarter_turn_moves_whole_cells() -> None:
    cells = torch.arange(16.0).view(1, 16, 1)
    turned = turn_history(cells, torch.tensor([90.0]), size=(4, 4), center=(2, 2))
    assert torch.equal(turned.view(4, 4), torch.rot90(cells.view(4, 4)))


def test_cells_from_outside_are_filled_with_zeros() -> None:
    turned = turn_history(torch.ones(1, 16, 1), torch.tensor([45.0]), size=(4, 4), center=(2, 2)).view(4, 4)
    assert float(turned[0, 0]) == 0
    assert float(turned[1, 1]) == 1
