"""The calls that the benchmark times: as large as in the models, points where they claim to be, every way the same."""

from __future__ import annotations

import pytest
import torch

from repro.bench.calls import CALLS, QUICK, RIGS, SPREAD_PX, TARGET, Call, Rig, inputs, pillars
from repro.bench.exactness import errors, thinned
from repro.bench.ways import DOORS, OURS, TWIN, deform_conv2d, narrowed, through, ways
from repro.models.bevformer.geometry import bev_references
from repro.ops import ms_deform_attn

SMALL = {
    "plain": Call("cells", "plain", 2, ((5, 6),), 4, "cells"),
    "levels": Call("pixels", "plain", 1, ((5, 6), (2, 3)), 3, "pixels"),
    "from_offsets": Call("fused", "from_offsets", 2, ((5, 6), (5, 6)), 4, "cells"),
    "spatial": Call("pillars", "spatial", 1, ((5, 8), (3, 4)), 8, "pillars", rig=Rig(9, (480, 800), 0.5)),
}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("tiny-tsa", (2, 2500, 2500, 1, 4)),
        ("tiny-decoder", (1, 900, 2500, 1, 4)),
        ("small-tsa", (2, 22500, 22500, 1, 4)),
        ("detr-encoder", (1, 22223, 22223, 4, 4)),
        ("detr-decoder-b2", (2, 300, 22223, 4, 4)),
        ("tiny-sca-padded", (6, 590, 375, 1, 8)),
    ],
)
def test_a_call_is_as_large_as_in_its_model(name: str, shape: tuple[int, ...]) -> None:
    value, places, weights = inputs(CALLS[name], locations="realistic", seed=0)
    B, Q, S, L, P = shape
    assert value.shape == (B, S, 8, 32)
    assert places.shape == (B, Q, 8, L, P, 2)
    assert weights.shape == (B, Q, 8, L, P)


def test_a_fused_temporal_call_has_both_maps_in_one_value() -> None:
    value, references, offsets, logits = inputs(CALLS["tiny-tsa-fused"], locations="realistic", seed=0)
    assert value.shape == (1, 5000, 8, 32)
    assert references.shape == (1, 2500, 2, 2)
    assert offsets.shape == (1, 2500, 8, 2, 4, 2)
    assert logits.shape == (1, 2500, 8, 8)


@pytest.mark.parametrize(
    ("size", "visible"),
    [
        ("tiny", [385, 469, 466, 590, 442, 450]),
        ("small", [3452, 4241, 4213, 5371, 3988, 4055]),
        ("base", [6138, 7533, 7489, 9544, 7090, 7210]),
    ],
)
def test_cameras_see_as_many_queries_as_on_a_real_car(size: str, visible: list[int]) -> None:
    counts = pillars(RIGS[size])[1].any(-1)[:, 0].sum(1)
    assert all(abs(int(seen) - expected) <= 1 for seen, expected in zip(counts, visible, strict=True))


def test_realistic_points_lie_a_few_pixels_from_their_cell() -> None:
    _, places, _ = inputs(CALLS["tiny-tsa"], locations="realistic", seed=0)
    cells = bev_references(50, 50, device=torch.device("cpu"))[None, :, None, None, None]
    pixels = (places - cells) * 50
    assert abs(float(pixels.std()) - SPREAD_PX) < 0.05
    assert abs(float(pixels.mean())) < 0.05


@pytest.mark.parametrize("door", SMALL)
def test_uniform_points_are_all_over_the_map(door: str) -> None:
    call = SMALL[door]
    tensors = inputs(call, locations="uniform", seed=0)
    if call.door == "plain":
        assert 0 <= float(tensors[1].min()) <= float(tensors[1].max()) <= 1
        return
    widths = torch.tensor([[(w, h)] for h, w in call.levels])
    places = 0.5 + tensors[-2] / widths
    assert 0 <= float(places.min()) < 0.02
    assert 0.98 < float(places.max()) <= 1


def test_the_same_seed_makes_the_same_inputs() -> None:
    one, other = (inputs(SMALL["spatial"], locations="realistic", seed=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("door", SMALL)
def test_every_way_computes_what_ours_computes(door: str) -> None:
    call = SMALL[door]
    found = ways(call, inputs(call, locations="realistic", seed=0))
    expected = found[OURS].forward()
    for name, way in found.items():
        seen = way.forward()
        seen = seen.flatten(2).transpose(1, 2) if name == "deform_conv2d" else seen
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4, msg=name)
        assert len(way.both(torch.ones_like(way.forward()))) == 3, name


def test_the_baselines_that_fit_a_call_take_part() -> None:
    names = {door: set(ways(call, inputs(call, locations="uniform", seed=0))) for door, call in SMALL.items()}
    assert names["plain"] == {OURS, TWIN, "deform_conv2d"}
    assert names["levels"] == {OURS, TWIN}
    assert names["from_offsets"] == {OURS, TWIN, "unfused"}
    assert names["spatial"] == {OURS, TWIN, "padded"}


def test_the_convolution_gets_the_gradients_of_the_operator() -> None:
    call = SMALL["plain"]
    tensors = [t.double() for t in inputs(call, locations="realistic", seed=0)]
    theirs, ours = deform_conv2d(call, tensors), through(ms_deform_attn, call, tensors)
    grad = torch.randn(2, 256, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    image = theirs.both(grad)[0]
    value = ours.both(grad.flatten(2).transpose(1, 2).contiguous())[0]
    torch.testing.assert_close(image.flatten(2).transpose(1, 2).reshape(value.shape), value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("door", SMALL)
def test_what_runs_is_exact_enough_to_be_timed(door: str, dtype: torch.dtype) -> None:
    call = SMALL[door]
    found = errors(call, narrowed(inputs(call, locations="realistic", seed=0), dtype, "cpu"))
    assert [one.name for one in found if not one.ok] == []
    assert len(found) == 4


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_an_operator_that_is_off_by_a_thousandth_is_caught(wrong: float) -> None:
    call = SMALL["plain"]
    tensors = inputs(call, locations="realistic", seed=0)
    found = errors(call, tensors, lambda *given: DOORS["plain"](*given) * wrong)
    assert [one.name for one in found if not one.ok] == ["output", "value", "locations", "weights"]


def test_a_gradient_that_is_wrong_everywhere_is_caught_though_the_worst_numbers_are_left_out() -> None:
    call = SMALL["levels"]
    tensors = inputs(call, locations="realistic", seed=0)

    def leaning(value: torch.Tensor, levels: object, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return DOORS["plain"](value, levels, places * 1.0001 - places.detach() * 0.0001, weights)

    found = {one.name: one.ok for one in errors(call, tensors, leaning)}
    assert not found["locations"]


def test_thinning_keeps_queries_of_all_inputs_alike() -> None:
    call = SMALL["spatial"]
    value, references, visible, offsets, logits = thinned(call, inputs(call, locations="realistic", seed=0), most=7)
    assert value.shape[2] == call.tokens
    assert references.shape[:3] == visible.shape[:3] == (6, 1, 7)
    assert offsets.shape[:2] == logits.shape[:2] == (1, 7)


def test_the_named_selections_are_calls() -> None:
    assert set(TARGET) <= set(QUICK) <= set(CALLS)
