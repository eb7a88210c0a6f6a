"""Edges of the advice that other tests pass by: `test_mutants.py` says which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.advise import advise
from doctor.facts import Driver, Gpu, Gpus, System, Unknown
from doctor.machine import FIELD_OF_FACT, Machine
from tests.doctor.asking import STACKS

EMPTY = Machine(**dict.fromkeys(FIELD_OF_FACT.values(), Unknown("nothing there")))


def machine(version: tuple[int, ...], *capabilities: tuple[int, int]) -> Machine:
    return replace(
        EMPTY,
        system=System(kernel="6.8.0", machine="x86_64", distribution="Ubuntu 22.04"),
        driver=Driver(version=version, cuda=None, source="NVML"),
        gpus=Gpus(tuple(Gpu(f"GPU {capability}", capability) for capability in capabilities)),
    )


@pytest.mark.parametrize(("gpus", "why"), [([(8, 9)], "for 1 GPU"), ([(8, 9), (8, 6)], "for 2 GPUs")])
def test_the_gpus_are_counted(gpus: list[tuple[int, int]], why: str) -> None:
    assert advise(machine((580, 95, 5), *gpus), STACKS).why == why


def test_a_driver_that_has_all_of_a_stack_s_cuda_needs_no_remark() -> None:
    assert [fit.remarks for fit in advise(machine((580, 95, 5), (8, 9)), STACKS).ranking] == [(), (), ()]


def test_only_the_covered_gpus_are_left_visible() -> None:
    kepler_beside_ada = advise(machine((580, 95, 5), (8, 9), (3, 5)), STACKS)
    assert "CUDA_VISIBLE_DEVICES=0 " in kepler_beside_ada.next_command
    assert "CUDA_VISIBLE_DEVICES" not in advise(machine((580, 95, 5), (8, 9), (8, 6)), STACKS).next_command
