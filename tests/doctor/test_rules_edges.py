"""Edges of the rules that other tests pass by: default severities, exact words, stacks that ask different things.

`test_mutants.py` says which edges are untested; most tests here answer it. A rule is asked by its code, on a machine
of which nothing is known but the facts given.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.compat.toolkits import toolkit_row
from doctor.facts import (
    GIB,
    CudaHome,
    CudaVariables,
    DataSet,
    Disk,
    Driver,
    DriverLibraries,
    Gpu,
    Gpus,
    HostCompiler,
    KernelModule,
    Memory,
    Packages,
    PciGpus,
    Python,
    Pythons,
    System,
    Toolkit,
    Torch,
)
from doctor.finding import Goal
from doctor.stacks import Stacks
from tests.doctor.asking import HEALTHY, STACKS, judged

NEWEST, *_, OLDEST = STACKS.known
BUILD = Goal("build-ext")
UBUNTU = System(kernel="6.8.0-45-generic", machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
LOADED = KernelModule(loaded=(580, 95, 5))
ANSWERS = Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
CU128 = Torch(version="2.9.1+cu128", cuda=(12, 8))
RTX_5090 = Gpus((Gpu("NVIDIA GeForce RTX 5090", (12, 0)),))
NO_LIBRARY = DriverLibraries(nvml_code=None, cuda_code=None)


class TestSeverities:
    def test_libcuda_missing_is_a_problem(self) -> None:
        assert judged("DRV04", NO_LIBRARY, LOADED, UBUNTU).severity == "problem"

    @pytest.mark.parametrize("code", [None, 0], ids=["no libcuda", "no /dev/dxg"])
    def test_a_wsl_that_does_not_reach_windows_is_a_warning(self, code: int | None) -> None:
        wsl = replace(UBUNTU, wsl=True, dxg=code is None)
        assert judged("DRV11", wsl, DriverLibraries(nvml_code=None, cuda_code=code)).severity == "warning"

    def test_an_nvcc_that_refuses_the_compiler_is_a_warning_when_building(self) -> None:
        gcc, nvcc = HostCompiler("gcc", (15, 1, 0), "/usr/bin/g++"), Toolkit((12, 8, 93), "/usr/bin/nvcc")
        found = judged("CXX02", gcc, nvcc, goal=BUILD)
        assert (found.severity, found.saw) == ("warning", "g++ 15.1.0 at /usr/bin/g++ with nvcc 12.8")

    def test_a_cuda_home_that_leads_nowhere_is_a_note_when_running(self) -> None:
        assert judged("CUD01", CudaHome("/usr/local/cuda-9.2", has_nvcc=False)).severity == "note"

    @pytest.mark.parametrize(
        "data",
        [
            DataSet(path="/d", versions=()),
            DataSet(path="/d", versions=("v1.0-mini",), missing_tables=("v1.0-mini/scene.json",)),
        ],
        ids=["no tables", "one missing"],
    )
    def test_no_tables_and_a_missing_table_are_problems(self, data: DataSet) -> None:
        assert judged("DAT01", data).severity == "problem"

    def test_an_old_c_library_is_a_problem(self) -> None:
        assert judged("STK06", python(glibc=(2, 17))).severity == "problem"

    def test_another_cpu_is_a_problem(self) -> None:
        assert judged("STK09", replace(UBUNTU, machine="riscv64")).severity == "problem"

    def test_a_torch_that_does_not_import_is_a_problem(self) -> None:
        assert judged("TOR01", replace(CU128, imported=False, import_error="ImportError")).severity == "problem"

    def test_a_driver_too_old_for_torch_is_a_problem(self) -> None:
        assert judged("TOR04", CU128, replace(ANSWERS, version=(470, 256, 2), cuda=(11, 4))).severity == "problem"

    def test_a_gpu_on_which_no_tensor_lands_is_a_problem(self) -> None:
        assert judged("TOR08", replace(CU128, usable_gpus=0), RTX_5090).severity == "problem"

    def test_a_torch_in_a_python_without_wheels_is_a_warning(self) -> None:
        packages = Packages("/venv/bin/python", (3, 15, 0), (("torch", "2.9.1"),))
        assert judged("TOR09", CU128, packages).severity == "warning"


class TestBounds:
    @pytest.mark.parametrize(("family", "version"), [("gcc", (9, 1)), ("clang", (10, 0))])
    def test_the_oldest_compiler_that_will_do(self, family: str, version: tuple[int, ...]) -> None:
        assert judged("CXX03", HostCompiler(family, version, "/usr/bin/c++"), CU128, goal=BUILD) == HEALTHY

    @pytest.mark.parametrize("size", [(64 << 20) + 1, 65 << 20])
    def test_anything_above_docker_s_default_is_somebody_s_choice(self, size: int) -> None:
        assert judged("CON02", Memory(8 * GIB, 8 * GIB, size), UBUNTU) == HEALTHY


class TestWords:
    @pytest.mark.parametrize(("code", "word"), [(100, "nvidia-smi -L"), (999, "nvidia_uvm")])
    def test_what_cuda_s_codes_are_about(self, code: int, word: str) -> None:
        found = judged(
            "DRV06",
            DriverLibraries(nvml_code=0, cuda_code=code),
            ANSWERS,
            LOADED,
            RTX_5090,
            PciGpus(()),
            CudaVariables(),
        )
        assert word in found.fix[0]
        assert found.confidence == "sure"

    def test_the_size_of_shared_memory_is_in_mib(self) -> None:
        assert judged("CON02", Memory(8 * GIB, 8 * GIB, 48 << 20), UBUNTU).saw == "shared memory (/dev/shm) is 48 MiB"

    def test_a_fitting_toolkit_is_the_one_of_torch_s_major(self) -> None:
        nvcc = Toolkit((13, 0, 88), "/usr/bin/nvcc", "PATH", ("/usr/local/cuda-12.8", "/usr/local/cuda-8.0"))
        found = judged("CUD02", nvcc, CU128, goal=BUILD)
        assert found.fix[0] == "export CUDA_HOME=/usr/local/cuda-12.8 PATH=/usr/local/cuda-12.8/bin:$PATH"
        assert found.expected == "nvcc of CUDA 12"

    def test_nvcc_is_named_by_major_and_minor(self) -> None:
        found = judged("CUD03", Toolkit((11, 5, 119), "/usr/bin/nvcc"), RTX_5090)
        assert found.saw == "nvcc 11.5 does not compile for NVIDIA GeForce RTX 5090 (sm_120)"


def python(*version: int, glibc: tuple[int, ...] = (2, 35), has_venv: bool = True) -> Pythons:
    return Pythons((Python(path="/usr/bin/python3", version=version or (3, 11), glibc=glibc, has_venv=has_venv),))


class TestStacksThatAskDifferentThings:
    """Today's three stacks agree on Python, glibc and disk; the next ones may not."""

    @pytest.mark.parametrize("order", [1, -1], ids=["the newer one first", "the older one first"])
    @pytest.mark.parametrize("version", [(3, 10, 0), (3, 13, 0)])
    def test_any_stack_s_python_will_do(self, version: tuple[int, ...], order: int) -> None:
        newer = replace(NEWEST, python_min=(3, 11), python_max=(3, 13))
        older = replace(OLDEST, python_min=(3, 10), python_max=(3, 12))
        stacks = Stacks((newer, older)[::order])
        assert judged("STK04", python(*version), stacks=stacks) == HEALTHY
        assert judged("STK05", python(*version, has_venv=False), stacks=stacks).severity == "problem"

    def test_the_least_demanding_c_library_counts(self) -> None:
        stacks = Stacks((replace(NEWEST, glibc_min=(2, 34)), replace(OLDEST, glibc_min=(2, 28))))
        assert judged("STK06", python(glibc=(2, 28)), stacks=stacks) == HEALTHY

    def test_the_smallest_stack_s_disk_counts(self) -> None:
        stacks = Stacks((replace(NEWEST, disk=9 * GIB), replace(OLDEST, disk=6 * GIB)))
        assert judged("STK07", Disk("/home", 7 * GIB), stacks=stacks) == HEALTHY


def test_a_toolkit_is_found_by_major_and_minor() -> None:
    row = toolkit_row((12, 8, 93))
    assert row is not None
    assert row.cuda == (12, 8)
