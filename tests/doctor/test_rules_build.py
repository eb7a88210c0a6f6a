"""CXX and CUD: both sides of each rule, and how the goal moves severity (disputes F5 to F7 of other doctors)."""

from __future__ import annotations

import pytest

from doctor.facts import Compilers, CudaHome, Gpu, Gpus, HostCompiler, Toolkit, Torch, Unknown
from doctor.finding import Goal
from doctor.rules import compiler, toolkit

RUN, BUILD = Goal("run"), Goal("build-ext")
CU128 = Torch(version="2.9.1+cu128", cuda=(12, 8))
ALONE = Compilers()
RTX_5090 = Gpus((Gpu("NVIDIA GeForce RTX 5090", (12, 0)),))


def gcc(*version: int) -> HostCompiler:
    return HostCompiler("gcc", version, "/usr/bin/g++")


def nvcc(*version: int) -> Toolkit:
    return Toolkit(version, "/usr/local/cuda/bin/nvcc")


class TestCompiler:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (BUILD, "problem")])
    def test_none_at_all(self, goal: Goal, severity: str) -> None:
        found = compiler.compiler_is_there(
            compilers=ALONE, compiler=Unknown("no c++, g++ or clang++ on PATH"), goal=goal
        )
        assert found is not None
        assert found.severity == severity

    def test_one_that_could_not_be_asked_is_not_called_missing(self) -> None:
        hung = Unknown("g++ gave no answer in 4 s", looked=False)
        assert compiler.compiler_is_there(compilers=ALONE, compiler=hung, goal=BUILD) is None

    def test_one_is_there(self) -> None:
        assert compiler.compiler_is_there(compilers=ALONE, compiler=gcc(12, 2, 0), goal=BUILD) is None

    @pytest.mark.parametrize(
        ("release", "newest"),
        [((11, 8), 11), ((12, 3), 12), ((12, 6), 13), ((12, 8), 14), ((12, 9), 14), ((13, 0), 15), ((13, 5), 16)],
    )
    def test_f7_each_nvcc_has_its_newest_gcc(self, release: tuple[int, int], newest: int) -> None:
        assert (
            compiler.nvcc_accepts_compiler(
                compilers=ALONE, toolkit=nvcc(*release, 1), compiler=gcc(newest, 1), goal=BUILD
            )
            is None
        )
        found = compiler.nvcc_accepts_compiler(
            compilers=ALONE, toolkit=nvcc(*release, 1), compiler=gcc(newest + 1, 1), goal=BUILD
        )
        assert found is not None
        assert f"g++-{newest}" in found.fix[0]

    def test_clang_has_its_own_bound(self) -> None:
        clang = HostCompiler("clang", (20, 1, 0), "/usr/bin/clang++")
        found = compiler.nvcc_accepts_compiler(compilers=ALONE, toolkit=nvcc(12, 8, 93), compiler=clang, goal=RUN)
        assert found is not None
        assert found.severity == "note"
        assert "clang++ 19 or older" in found.expected

    def test_f7_an_unknown_nvcc_is_not_judged(self) -> None:
        assert (
            compiler.nvcc_accepts_compiler(compilers=ALONE, toolkit=nvcc(14, 0, 1), compiler=gcc(20, 1), goal=BUILD)
            is None
        )

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (BUILD, "problem")])
    def test_too_old_for_the_headers(self, goal: Goal, severity: str) -> None:
        found = compiler.compiler_is_new_enough(compiler=gcc(8, 5, 0), torch=CU128, goal=goal)
        assert found is not None
        assert (found.severity, found.saw) == (severity, "g++ 8.5.0 at /usr/bin/g++ with torch 2.9.1+cu128")

    def test_new_enough(self) -> None:
        nobody = Unknown("torch is not installed")
        assert compiler.compiler_is_new_enough(compiler=gcc(9, 4, 0), torch=nobody, goal=BUILD) is None
        old_clang = HostCompiler("clang", (9, 0), "/usr/bin/clang++")
        assert compiler.compiler_is_new_enough(compiler=old_clang, torch=nobody, goal=BUILD) is not None


class TestToolkit:
    def test_cuda_home_that_leads_nowhere(self) -> None:
        found = toolkit.cuda_home_is_real(home=CudaHome("/usr/local/cuda-9.2", has_nvcc=False), goal=BUILD)
        assert found is not None
        assert found.severity == "warning"

    def test_cuda_home_that_is_right(self) -> None:
        assert toolkit.cuda_home_is_real(home=CudaHome("/usr/local/cuda", has_nvcc=True), goal=BUILD) is None

    def test_f5_a_minor_difference_is_harmless(self) -> None:
        assert toolkit.nvcc_matches_torch(toolkit=nvcc(12, 6, 85), torch=CU128, goal=BUILD) is None

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_f6_a_major_difference_counts_when_building(self, goal: Goal, severity: str) -> None:
        found = toolkit.nvcc_matches_torch(toolkit=nvcc(13, 0, 88), torch=CU128, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.fix[0] == "install the CUDA 12.8 toolkit"

    def test_a_fitting_toolkit_next_door_is_named(self) -> None:
        both = Toolkit(
            (13, 0, 88), "/usr/local/cuda/bin/nvcc", "PATH", ("/usr/local/cuda-11.8", "/usr/local/cuda-12.8")
        )
        found = toolkit.nvcc_matches_torch(toolkit=both, torch=CU128, goal=BUILD)
        assert found is not None
        assert found.fix[0].startswith("export CUDA_HOME=/usr/local/cuda-12.8 ")

    def test_a_cpu_torch_has_nothing_to_match(self) -> None:
        assert (
            toolkit.nvcc_matches_torch(
                toolkit=nvcc(13, 0, 88), torch=Torch(version="2.13.0+cpu", cuda=None), goal=BUILD
            )
            is None
        )

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_the_ubuntu_package_does_not_know_blackwell(self, goal: Goal, severity: str) -> None:
        found = toolkit.nvcc_knows_gpus(toolkit=nvcc(11, 5, 119), gpus=RTX_5090, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.expected.startswith("CUDA 12.8")

    def test_cuda_13_dropped_volta(self) -> None:
        volta = Gpus((Gpu("Tesla V100-SXM2-16GB", (7, 0)),))
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(13, 0, 88), gpus=volta, goal=BUILD) is not None

    def test_a_gpu_of_the_future(self) -> None:
        future = Gpus((Gpu("NVIDIA Next", (14, 0)),))
        found = toolkit.nvcc_knows_gpus(toolkit=nvcc(13, 0, 88), gpus=future, goal=BUILD)
        assert found is not None
        assert found.expected == "a newer toolkit"

    def test_a_toolkit_that_knows_it(self) -> None:
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(12, 8, 93), gpus=RTX_5090, goal=BUILD) is None
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(14, 0, 1), gpus=RTX_5090, goal=BUILD) is None

    def test_newer_than_the_table_is_its_own_answer(self) -> None:
        found = toolkit.nvcc_is_known(toolkit=nvcc(13, 6, 1))
        assert found is not None
        assert found.severity == "note"
        assert toolkit.nvcc_is_known(toolkit=nvcc(13, 5, 37)) is None
