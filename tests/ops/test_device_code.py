"""The CUDA side without a GPU: device code run on the CPU, thread by thread, through the same host code.

What is shown: the kernels' arithmetic, their shuffles, borders and sums, and how the host lays out a call. What is
not: anything that only a device does (memory order, the vector atomics of sm_90, half conversions, speed).
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.ops.device_inputs import Case, locations, offsets, spatial
from tests.ops.emulated import IMAGES, build, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)
CASES: dict[str, Callable[[torch.dtype, int], Case]] = {
    "locations": locations,
    "offsets": offsets,
    "boxes": lambda dtype, channels: offsets(dtype, channels, width=4),
    "cameras": spatial,
}
# 32: the packed kernels; others: a warp a unit, 1 channel a lane, with idle lanes and with several rounds
SIZES = (
    [(torch.float32, E) for E in (32, 1, 40)] + [(dtype, E) for dtype in HALVES for E in (32, 5)] + [(torch.float64, 6)]
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("emulated"), pack(IMAGES))


@pytest.fixture(scope="module")
def ops(built: tuple[Path, Path]) -> Any:
    torch.ops.load_library(str(built[1]))  # type: ignore[no-untyped-call]
    return torch.ops.bevready_emulated


@pytest.fixture
def order(built: tuple[Path, Path]) -> Iterator[Callable[[int], None]]:
    """Set the order in which blocks and threads run, by a seed."""
    driver = ctypes.CDLL(str(built[0]))
    yield lambda seed: driver.emulator_set(90, seed)
    driver.emulator_set(90, 0)


def forward(ops: Any, case: Case) -> Tensor:
    value, *rest = case.tensors
    output: Tensor = getattr(ops, case.door)(value, case.flat(), *rest)
    return output


def backward(ops: Any, case: Case, *, deterministic: bool) -> list[Tensor]:
    value, *rest = case.tensors
    return list(getattr(ops, case.door + "_backward")(case.grad(), value, case.flat(), *rest, deterministic))


def error(ours: Tensor, truth: Tensor) -> float:
    return float((ours.double() - truth).norm() / truth.norm().clamp_min(1e-30))


def allowed(truth: Tensor, dtype: torch.dtype, wide: float) -> float:
    """Return `wide` for float32, nothing but rounding for float64, twice the error of one rounding for halves."""
    if dtype in HALVES:
        return 2 * error(truth.to(dtype), truth) + 1e-30
    return 1e-13 if dtype == torch.float64 else wide


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize(("dtype", "channels"), SIZES)
def test_outputs_are_those_of_the_reference(ops: Any, kind: str, dtype: torch.dtype, channels: int) -> None:
    case = CASES[kind](dtype, channels)
    truth, _ = case.truth()
    ours = forward(ops, case)
    assert ours.dtype == dtype
    assert ours.shape == truth.shape
    assert error(ours, truth) <= allowed(truth, dtype, 5e-6)


@pytest.mark.parametrize("way", ["fast", "deterministic"])
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize(("dtype", "channels"), SIZES)
def test_gradients_are_those_of_the_reference(
    ops: Any,
    kind: str,
    dtype: torch.dtype,
    channels: int,
    way: str,
) -> None:
    case = CASES[kind](dtype, channels)
    truths = case.truth()[1]
    inputs = [t for t in case.tensors if t.is_floating_point()]
    for ours, truth, given in zip(
        backward(ops, case, deterministic=way == "deterministic"), truths, inputs, strict=True
    ):
        assert ours.dtype == given.dtype
        assert ours.shape == given.shape
        assert error(ours, truth) <= allowed(truth, given.dtype, 2e-5)


@pytest.mark.parametrize("kind", CASES)
def test_a_deterministic_backward_does_not_depend_on_the_order_of_threads(
    ops: Any,
    order: Callable[[int], None],
    kind: str,
) -> None:
    case = CASES[kind](torch.float32, 32)
    order(3)
    first = backward(ops, case, deterministic=True)
    order(11)
    assert all(map(torch.equal, first, backward(ops, case, deterministic=True)))


def test_a_fast_backward_may_depend_on_it(ops: Any, order: Callable[[int], None]) -> None:
    case = locations(torch.float32, 32)
    order(3)
    first = backward(ops, case, deterministic=False)[0]
    order(11)
    assert not torch.equal(first, backward(ops, case, deterministic=False)[0])


@pytest.mark.parametrize("x", [0.0, 1 / 14, 0.5, 1.0, -1 / 14, 15 / 14, -3.0, 1e30, float("inf"), -float("inf")])
def test_borders_pixel_centres_and_places_far_outside_read_what_the_reference_reads(ops: Any, x: float) -> None:
    case = locations(torch.float32, 32)
    case.tensors[1] = torch.full_like(case.tensors[1], x)
    far = Case(case.door, list(case.tensors))
    far.tensors[1] = case.tensors[1].clamp(-5, 5)  # the reference does not take infinity
    truth, _ = far.truth()
    torch.testing.assert_close(forward(ops, case).double(), truth, rtol=5e-6, atol=1e-6)


def test_more_levels_than_travel_by_value_are_read_from_a_table(ops: Any) -> None:
    case = locations(torch.float32, 32)
    case.levels = ((1, 1),) * 6 + ((1, 2),) * 13 + ((1, 3),)
    where = torch.rand(2, 5, 3, 20, 2, 2, generator=torch.Generator().manual_seed(2))
    case.tensors[1:] = [where, where[..., 0].contiguous()]
    truth, truths = case.truth()
    assert error(forward(ops, case), truth) <= 5e-6
    assert all(
        error(ours, one) <= 2e-5 for ours, one in zip(backward(ops, case, deterministic=False), truths, strict=True)
    )


@pytest.mark.parametrize("cut", ["items", "queries", "points"])
def test_nothing_to_do_is_done(ops: Any, cut: str) -> None:
    case = locations(torch.float32, 32)
    value, where, weights = case.tensors
    if cut == "items":
        case.tensors = [value[:0], where[:0], weights[:0]]
    elif cut == "queries":
        case.tensors = [value, where[:, :0], weights[:, :0]]
    else:
        case.tensors = [value, where[..., :0, :], weights[..., :0]]
    assert not forward(ops, case).any()
    grads = backward(ops, case, deterministic=True)
    assert [grad.shape for grad in grads] == [tensor.shape for tensor in case.tensors]
    assert not any(grad.any() for grad in grads)


def test_strided_inputs_are_read_as_they_are_meant(ops: Any) -> None:
    case = locations(torch.float32, 32)
    expected = forward(ops, case)
    case.tensors = [tensor.transpose(0, 1).contiguous().transpose(0, 1) for tensor in case.tensors]
    assert torch.equal(forward(ops, case), expected)


@pytest.mark.parametrize("channels", [32, 5])
def test_a_nan_place_is_seen_in_the_output_and_nowhere_else(ops: Any, channels: int) -> None:
    case = locations(torch.float32, channels)
    case.tensors[1][1, 2, 0, 1, 1, 0] = float("nan")
    wrong = forward(ops, case).view(2, 5, 3, channels).isnan()
    assert wrong[1, 2, 0].all()
    assert wrong.sum() == channels


def test_an_infinite_gradient_makes_the_deterministic_one_nan(ops: Any) -> None:
    case = locations(torch.float32, 32)
    grad = case.grad()
    grad[0, 0, 0] = float("inf")
    value, *rest = case.tensors
    assert ops.ms_deform_attn_backward(grad, value, case.flat(), *rest, True)[0].isnan().all()


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_fixed_point_fits_tiny_and_huge_gradients(ops: Any, size: float) -> None:
    case = locations(torch.float32, 32)
    value, *rest = case.tensors
    to_value = ops.ms_deform_attn_backward(case.grad() * size, value, case.flat(), *rest, True)[0]
    assert error(to_value.double() / size, case.truth()[1][0]) <= 2e-5


def test_the_plain_kernels_of_the_benchmark_agree(ops: Any) -> None:
    case = locations(torch.float32, 32)
    value, *rest = case.tensors
    truth, truths = case.truth()
    assert error(ops.plain2020(value, case.flat(), *rest), truth) <= 5e-6
    for ours, one in zip(ops.plain2020_backward(case.grad(), value, case.flat(), *rest), truths, strict=True):
        assert error(ours, one) <= 2e-5


NO_CODE = (
    "the extension has no code for device 0 (sm_75); inside are: sm_80, sm_90, compute_90. "
    "Build it anew with --arch 7.5"
)
PICK = """
import ctypes, sys, torch
driver, extension, capability = sys.argv[1:]
driver = ctypes.CDLL(driver)
driver.emulator_set(int(capability), 0)
torch.ops.load_library(extension)
ops = torch.ops.bevready_emulated
try:
    ops.ms_deform_attn(torch.ones(1, 1, 1, 32), [1, 1], torch.ones(1, 1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 1))
except RuntimeError as told:
    print(str(told).splitlines()[0])
else:
    driver.emulator_loaded.restype = ctypes.c_char_p
    print(driver.emulator_loaded().decode(), driver.emulator_contexts())
"""


@pytest.mark.parametrize(
    ("capability", "told"),
    [
        (86, "code of sm_80 0"),
        (90, "code of sm_90 0"),
        (120, "code of compute_90 0"),
        (
            75,
            NO_CODE,
        ),
    ],
)
def test_the_newest_image_that_fits_the_device_is_loaded(built: tuple[Path, Path], capability: int, told: str) -> None:
    words = [sys.executable, "-c", PICK, *map(str, built), str(capability)]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == told
