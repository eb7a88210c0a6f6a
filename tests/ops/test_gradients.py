"""What autograd, the compiler and repeatability ask of the operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from tests.ops.samples import LEVELS, OPERATORS, OURS, attend, everything, gradients, made, needs_extension, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAT = [size for pair in LEVELS for size in pair]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize("operator", OPERATORS)
def test_gradients_are_the_differences_of_the_values(operator: str, columns: int) -> None:
    given = stored(made(operator, items=2, queries=3, channels=3, points=2, columns=columns, seed=3), torch.float64)
    names, tensors = list(given), tuple(given.values())

    def of(*changed: Tensor) -> Tensor:
        return attend(OURS, operator, dict(zip(names, changed, strict=True)))

    assert torch.autograd.gradcheck(of, tensors)


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_torch_finds_no_fault_with_the_registration(operator: str, dtype: torch.dtype) -> None:
    value, *others = stored(made(operator, queries=5), dtype).values()
    found = torch.library.opcheck(getattr(torch.ops.bevready, operator).default, (value, FLAT, *others))
    assert set(found.values()) == {"SUCCESS"}


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
def test_torch_finds_no_fault_with_the_backward_either(operator: str) -> None:
    value, *others = (tensor.detach() for tensor in stored(made(operator, queries=5), torch.float32).values())
    backward = getattr(torch.ops.bevready, f"{operator}_backward").default
    given: tuple[Any, ...] = (torch.randn(2, 5, 16), value, FLAT, *others, False)
    assert set(torch.library.opcheck(backward, given).values()) == {"SUCCESS"}


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_compiler_takes_a_door_in_one_graph(operator: str) -> None:
    given = stored(made(operator), torch.float32)
    compiled = torch.compile(OURS[operator], fullgraph=True, backend="aot_eager")
    eager, traced = everything(OURS, operator, given), everything({operator: compiled}, operator, given)
    for name in eager:
        assert torch.equal(eager[name], traced[name]), name


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
def test_shapes_can_be_asked_for_without_numbers(operator: str) -> None:
    given = {name: tensor.to("meta") for name, tensor in made(operator).items()}
    seen = attend(OURS, operator, given)
    assert seen.is_meta
    assert seen.shape == (2, 11, 16)


@needs_extension
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("items", "heads", "channels"), [(2, 8, 32), (1, 1, 64), (1, 2, 256), (1, 3, 21)])
def test_bits_do_not_depend_on_the_number_of_threads(operator: str, items: int, heads: int, channels: int) -> None:
    given = stored(made(operator, items=items, heads=heads, channels=channels, queries=300), torch.float32)
    runs = []
    for threads in (1, 2, 3, 8, 8):
        torch.set_num_threads(threads)
        runs.append(everything(OURS, operator, given))
    for run in runs[1:]:
        assert all(torch.equal(run[name], runs[0][name]) for name in runs[0])


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_backward_repeats_when_torch_is_told_to_be_deterministic(operator: str) -> None:
    given = stored(made(operator, channels=32, queries=100), torch.float32)
    first, second = everything(OURS, operator, given), everything(OURS, operator, given)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("operator", OPERATORS)
def test_only_the_gradients_that_are_asked_for_come_back(operator: str) -> None:
    given = stored(made(operator), torch.float32)
    alone = {name: tensor.detach() for name, tensor in given.items()}
    alone["value"].requires_grad_()
    wanted = gradients(attend(OURS, operator, given), given)["value"]
    assert torch.equal(gradients(attend(OURS, operator, alone), alone)["value"], wanted)


@needs_extension
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_second_derivative_is_refused_in_words(operator: str) -> None:
    given = stored(made(operator), torch.float32)
    (slope,) = torch.autograd.grad(attend(OURS, operator, given).sum(), given["value"], create_graph=True)
    with pytest.raises(RuntimeError, match=f"{operator} has no second derivative"):
        torch.autograd.grad(slope.square().sum(), given["logits" if "logits" in given else "weights"])
