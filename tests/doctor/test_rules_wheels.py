"""CUD09: both sides of the rule about a toolkit that pip put together from wheels."""

from __future__ import annotations

import pytest

from doctor.facts import Packages
from doctor.finding import Goal
from doctor.rules import toolkit

RUN, BUILD = Goal("run"), Goal("build-ext")


def installed(**versions: str) -> Packages:
    return Packages("/venv/bin/python", (3, 11, 9), tuple((k.replace("_", "-"), v) for k, v in versions.items()))


@pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
def test_an_unpinned_nvvm_is_newer(goal: Goal, severity: str) -> None:
    mixed = installed(nvidia_cuda_nvcc="13.0.88", nvidia_nvvm="13.5.37", nvidia_cuda_crt="13.0.88")
    found = toolkit.wheels_agree(packages=mixed, goal=goal)
    assert found is not None
    assert found.severity == severity
    assert found.saw == "nvidia-cuda-nvcc 13.0.88, nvidia-nvvm 13.5.37, nvidia-cuda-crt 13.0.88"
    assert found.fix == ("pip install nvidia-cuda-nvcc==13.0.* nvidia-nvvm==13.0.* nvidia-cuda-crt==13.0.*",)


def test_a_patch_does_not_matter() -> None:
    alike = installed(nvidia_cuda_nvcc="13.0.88", nvidia_nvvm="13.0.48", nvidia_cuda_crt="13.0.88")
    assert toolkit.wheels_agree(packages=alike, goal=BUILD) is None


def test_without_nvcc_there_is_nothing_to_agree_with() -> None:
    parts = installed(nvidia_nvvm="13.5.37", nvidia_cuda_crt="13.0.88")
    assert toolkit.wheels_agree(packages=parts, goal=BUILD) is None
    assert toolkit.wheels_agree(packages=installed(torch="2.11.0"), goal=BUILD) is None
