"""CUD11 to CUD14: both sides of each rule about TORCH_CUDA_ARCH_LIST, and dispute F10 of other doctors."""

from __future__ import annotations

import pytest

from doctor.compat.toolkits import FAMILIES, ArchList, parse_arch_list
from doctor.facts import BuildVariables, Gpu, Gpus, Toolkit, Unknown
from doctor.finding import Goal
from doctor.rules import architecture

RUN, BUILD = Goal("run"), Goal("build-ext")
RTX_4090 = Gpus((Gpu("NVIDIA GeForce RTX 4090", (8, 9)),))
MIXED = Gpus((Gpu("NVIDIA GeForce RTX 4090", (8, 9)), Gpu("NVIDIA GeForce RTX 5090", (12, 0))))
NVCC_126 = Toolkit((12, 6, 85), "/usr/local/cuda/bin/nvcc")
NO_GPU = Unknown("no NVIDIA driver library can be loaded")


def listed(text: str) -> BuildVariables:
    return BuildVariables(arch_list=text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("8.6;9.0+PTX", ArchList(((8, 6), (9, 0)), ("sm_86", "sm_90", "compute_90"))),
        ("8.6 9.0a", ArchList(((8, 6), (9, 0)), ("sm_86", "sm_90a"))),
        (" 10.3f; ", ArchList(((10, 3),), ("sm_103f",))),
        ("Ampere", ArchList(((8, 0), (8, 6)), ("sm_80", "sm_86", "compute_86"))),
        ("Ampere+Tegra", ArchList(((8, 7),), ("sm_87",))),
        ("sm_86", ArchList(bad=("sm_86",))),
        ("8.6,9.0", ArchList(bad=("8.6,9.0",))),
        ("86;8.9", ArchList(((8, 9),), ("sm_89",), ("86",))),
        ("8.6+ptx", ArchList(bad=("8.6+ptx",))),
        ("", ArchList()),
    ],
)
def test_the_list_is_read_as_pytorch_reads_it(text: str, read: ArchList) -> None:
    assert parse_arch_list(text) == read


def test_every_family_is_a_word_of_the_list() -> None:
    assert all(parse_arch_list(name).archs == archs for name, archs in FAMILIES.items())


class TestForm:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_commas(self, goal: Goal, severity: str) -> None:
        found = architecture.arch_list_is_well_formed(variables=listed("8.6,9.0"), goal=goal)
        assert found is not None
        assert (found.saw, found.severity) == ("TORCH_CUDA_ARCH_LIST=8.6,9.0: cannot read 8.6,9.0", severity)

    @pytest.mark.parametrize("text", ["", "8.6;9.0+PTX"])
    def test_silent(self, text: str) -> None:
        assert architecture.arch_list_is_well_formed(variables=listed(text), goal=BUILD) is None


class TestCover:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_a_gpu_is_left_out(self, goal: Goal, severity: str) -> None:
        found = architecture.arch_list_covers_gpus(variables=listed("8.6"), gpus=MIXED, goal=goal)
        assert found is not None
        assert found.saw == "TORCH_CUDA_ARCH_LIST=8.6 leaves out NVIDIA GeForce RTX 5090 (sm_120)"
        assert (found.fix[0], found.severity) == ("export TORCH_CUDA_ARCH_LIST='8.9;12.0'", severity)

    @pytest.mark.parametrize("text", ["8.9", "8.6", "7.5+PTX", "Ada", "", "sm_89"])
    def test_covered_or_not_said(self, text: str) -> None:
        assert architecture.arch_list_covers_gpus(variables=listed(text), gpus=RTX_4090, goal=BUILD) is None

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_nvcc_does_not_know_one(self, goal: Goal, severity: str) -> None:
        found = architecture.nvcc_knows_arch_list(variables=listed("8.9;12.0"), toolkit=NVCC_126, goal=goal)
        assert found is not None
        assert found.saw == "TORCH_CUDA_ARCH_LIST=8.9;12.0, and nvcc 12.6 does not know 12.0"
        assert found.severity == severity

    def test_nvcc_knows_them_or_is_not_in_the_table(self) -> None:
        assert architecture.nvcc_knows_arch_list(variables=listed("8.9;9.0a"), toolkit=NVCC_126, goal=BUILD) is None
        assert architecture.nvcc_knows_arch_list(variables=listed(""), toolkit=NVCC_126, goal=BUILD) is None
        future = Toolkit((14, 0, 1), "/usr/local/cuda/bin/nvcc")
        assert architecture.nvcc_knows_arch_list(variables=listed("15.0"), toolkit=future, goal=BUILD) is None


class TestBlind:
    def test_f10_docker_build_without_a_gpu(self) -> None:
        found = architecture.blind_build_is_told(variables=listed(""), toolkit=NVCC_126, gpus=NO_GPU, goal=BUILD)
        assert found is not None
        assert found.severity == "warning"
        assert "TORCH_CUDA_ARCH_LIST='8.6;9.0' FORCE_CUDA=1" in found.fix[0]

    @pytest.mark.parametrize(
        ("text", "gpus", "goal"),
        [
            ("8.6", NO_GPU, BUILD),
            ("", RTX_4090, BUILD),
            ("", NO_GPU, RUN),
            ("", Unknown("NVML: nvml.py gave no answer in 4 s", looked=False), BUILD),
        ],
        ids=["told", "a GPU", "no build", "could not look"],
    )
    def test_silent(self, text: str, gpus: Gpus | Unknown, goal: Goal) -> None:
        assert architecture.blind_build_is_told(variables=listed(text), toolkit=NVCC_126, gpus=gpus, goal=goal) is None
