"""How exact the doors are against float64: sums, gradients, storage in 16 bits, and points where errors hide.

With the extension built these are tests of the extension; without it, of the slow twins in the narrower dtype.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from repro.ops import ms_deform_attn, spatial_cross_attn
from tests.ops.samples import (
    COORDINATES,
    LEVELS,
    OPERATORS,
    OURS,
    TOKENS,
    TWINS,
    L,
    attend,
    error,
    everything,
    loops,
    made,
    needs_extension,
    stored,
)

FORWARD, BACKWARD = 5e-6, 2e-5
SHAPES = [
    {"channels": 32, "heads": 8, "items": 1, "points": 8},
    {"channels": 32, "columns": 4},
    {"channels": 21, "points": 6},
    {"channels": 64, "columns": 4, "points": 2},
    {"channels": 256, "heads": 1, "points": 2},
    {"channels": 1, "heads": 1, "points": 2},
    {"channels": 16, "heads": 3, "queries": 1},
    {"channels": 4, "heads": 16, "items": 3},
]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_is_within_the_errors_that_are_promised(operator: str, shape: dict[str, int]) -> None:
    given = made(operator, **shape)
    given = {name: tensor.float().double() if name != "visible" else tensor for name, tensor in given.items()}
    truth = everything(TWINS, operator, stored(given, torch.float64))
    seen = everything(OURS, operator, stored(given, torch.float32))
    assert seen.keys() == truth.keys()
    for name in truth:
        assert seen[name].dtype == torch.float32
        assert error(seen[name], truth[name]) <= (FORWARD if name == "output" else BACKWARD), name


@needs_extension
@pytest.mark.parametrize("operator", ["ms_deform_attn", "ms_deform_attn_from_offsets"])
@pytest.mark.parametrize("side", [5, 150, 200])
def test_a_large_map_costs_no_digits(operator: str, side: int) -> None:
    """A rounded pixel coordinate of 150 alone would cost 5e-6, and 1e-3 of the gradient where the cell changes."""
    rng = torch.Generator().manual_seed(side)
    where = {
        "locations": torch.rand(1, 3000, 4, 1, 4, 2, generator=rng),
        "weights": torch.rand(1, 3000, 4, 1, 4, generator=rng),
    }
    if operator == "ms_deform_attn_from_offsets":
        where = {
            "references": torch.rand(1, 3000, 1, 2, generator=rng),
            "offsets": torch.randn(1, 3000, 4, 1, 4, 2, generator=rng) * 3,
            "logits": torch.randn(1, 3000, 4, 4, generator=rng),
        }
    tensors = {"value": torch.randn(1, side * side, 4, 32, generator=rng), **where}
    results = []
    for door, dtype in ((OURS, torch.float32), (TWINS, torch.float64)):
        given = {name: tensor.to(dtype).requires_grad_() for name, tensor in tensors.items()}
        value, *others = given.values()
        out = door[operator](value, ((side, side),), *others)
        grad = torch.ones_like(out)
        results.append([out, *torch.autograd.grad(out, list(given.values()), grad)])
    for name, seen, truth in zip(("output", *tensors), *results, strict=True):
        assert error(seen.detach(), truth.detach()) <= 2e-6, name


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
def test_float32_is_no_worse_than_the_slow_twin(operator: str) -> None:
    given = made(operator, channels=32, heads=8, items=1, queries=200)
    given = {name: tensor.float().double() if name != "visible" else tensor for name, tensor in given.items()}
    truth = everything(TWINS, operator, stored(given, torch.float64))
    seen = everything(OURS, operator, stored(given, torch.float32))
    twin = everything(TWINS, operator, stored(given, torch.float32))
    for name in truth:
        assert error(seen[name], truth[name]) <= error(twin[name], truth[name]) * 1.05, name


@pytest.mark.parametrize("operator", OPERATORS)
def test_float64_is_the_slow_twin(operator: str) -> None:
    given = made(operator, channels=5)
    truth = everything(TWINS, operator, stored(given, torch.float64))
    seen = everything(OURS, operator, stored(given, torch.float64))
    for name in truth:
        assert error(seen[name], truth[name]) <= 1e-13, name


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_storage_in_16_bits_costs_no_more_than_rounding_in_and_out_once(operator: str, dtype: torch.dtype) -> None:
    given = made(operator, channels=32, queries=40)
    truth = everything(TWINS, operator, stored(given, torch.float64))
    rounded = {
        name: tensor if name in {*COORDINATES, "visible"} else tensor.to(dtype).double()
        for name, tensor in given.items()
    }
    once = everything(TWINS, operator, stored(rounded, torch.float64))
    seen = everything(OURS, operator, stored(given, dtype))
    for name in truth:
        narrow = torch.float32 if name in COORDINATES else dtype
        assert seen[name].dtype == narrow, name
        assert error(seen[name], truth[name]) <= 2 * error(once[name].to(narrow), truth[name]), name


def test_weights_and_logits_beside_a_16_bit_value_may_be_float32() -> None:
    for operator in OPERATORS:
        given = stored(made(operator), torch.float32)
        given["value"] = given["value"].detach().bfloat16().requires_grad_()
        seen = everything(OURS, operator, given)
        assert seen["output"].dtype == seen["value"].dtype == torch.bfloat16
        assert {seen[name].dtype for name in seen if name not in {"output", "value"}} == {torch.float32}


# Pixel centres, borders between pixels, the image's edges, half a pixel beyond them (where reading ends), far away.
PLACES = [0.0, 1.0, 0.5, 1.5 / 9, 2 / 9, 1 - 0.5 / 7, -0.5 / 9, 1 + 0.5 / 9, -0.5 / 9 - 1e-3, -3.0, 40.0, -1e30, 1e30]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_points_on_centres_borders_edges_and_outside_read_what_the_definition_says(dtype: torch.dtype) -> None:
    value = made("ms_deform_attn", items=1, heads=1, channels=32)["value"]
    places = torch.tensor(list(itertools.product(PLACES, PLACES)), dtype=dtype)
    locations = places.view(1, -1, 1, 1, 1, 2).expand(-1, -1, -1, L, -1, -1)
    for level in range(L):
        weights = torch.zeros(1, len(places), 1, L, 1, dtype=dtype)
        weights[:, :, :, level] = 1
        seen = ms_deform_attn(value.to(dtype), LEVELS, locations, weights)[0]
        truth = torch.stack([loops(value[0, :, 0], LEVELS, x, y)[level] for x, y in places.tolist()])
        torch.testing.assert_close(seen.double(), truth, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)


def test_an_infinite_pixel_beside_the_point_does_not_spill() -> None:
    value = torch.ones(1, 4, 1, 8)
    value[0, 0] = torch.inf
    corner = torch.tensor([1.0, 1.0]).view(1, 1, 1, 1, 1, 2)  # reads pixel 3 alone, from its outer corner
    seen = ms_deform_attn(value, [(2, 2)], corner, torch.ones(1, 1, 1, 1, 1))
    torch.testing.assert_close(seen, torch.full((1, 1, 8), 0.25))


def test_logits_far_apart_neither_overflow_nor_leave_the_softmax() -> None:
    given = stored(made("ms_deform_attn_from_offsets"), torch.float32)
    given["logits"] = (given["logits"].detach() * 300).requires_grad_()
    truth = everything(TWINS, "ms_deform_attn_from_offsets", stored(given, torch.float64))
    seen = everything(OURS, "ms_deform_attn_from_offsets", given)
    assert error(seen["output"], truth["output"]) <= FORWARD


@pytest.mark.parametrize("operator", OPERATORS)
def test_strides_do_not_matter(operator: str) -> None:
    given = made(operator, channels=32)
    turned = {name: tensor.transpose(0, -1).contiguous().transpose(0, -1) for name, tensor in given.items()}
    assert not turned["value"].is_contiguous()
    straight, crooked = attend(OURS, operator, given), attend(OURS, operator, turned)
    assert torch.equal(straight, crooked)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("items", "queries"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_asked_is_nothing_seen(operator: str, items: int, queries: int) -> None:
    given = stored(made(operator, items=items, queries=queries), torch.float32)
    seen = everything(OURS, operator, given)
    assert seen["output"].shape == (items, queries, 16)
    for name in set(seen) - {"output"}:
        assert seen[name].shape == given[name].shape
        assert not seen[name].any()


@needs_extension  # grid_sample takes no empty map
def test_maps_without_a_pixel_read_zero() -> None:
    empty = torch.zeros(1, 0, 2, 4)
    seen = ms_deform_attn(empty, [(0, 3)], torch.rand(1, 2, 2, 1, 3, 2), torch.rand(1, 2, 2, 1, 3))
    assert torch.equal(seen, torch.zeros(1, 2, 8))


def test_a_query_that_no_camera_sees_is_zero_and_sends_no_gradient() -> None:
    given = stored(made("spatial_cross_attn"), torch.float32)
    given["visible"][:] = False
    seen = everything(OURS, "spatial_cross_attn", given)
    assert not any(tensor.any() for tensor in seen.values())


def test_no_camera_sees_nothing() -> None:
    given = made("spatial_cross_attn")
    none = {name: given[name][:0] for name in ("value", "references", "visible")}
    seen = spatial_cross_attn(
        none["value"], LEVELS, none["references"], none["visible"], given["offsets"], given["logits"]
    )
    assert torch.equal(seen, torch.zeros(2, 11, 16, dtype=torch.float64))
    assert sum(h * w for h, w in LEVELS) == TOKENS
