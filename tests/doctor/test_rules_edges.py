"""Edges of the rules that other tests pass by: default severities, exact words, stacks that ask different things.

`test_mutants.py` says which edges are untested; most tests here answer it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from doctor.compat.toolkits import toolkit_row
from doctor.facts import (
    GIB,
    CudaHome,
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
    Python,
    Pythons,
    System,
    Toolkit,
    Torch,
    Unknown,
)
from doctor.finding import Finding, Goal
from doctor.rules import compiler, container, data, driver, stack, toolkit, torch
from doctor.stacks import Stacks, read_stacks

STACKS = read_stacks(Path(__file__).resolve().parents[2] / "env")
NEWEST, *_, OLDEST = STACKS.known
RUN, BUILD = Goal("run"), Goal("build-ext")
UBUNTU = System(kernel="6.8.0-45-generic", machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
LOADED = KernelModule(loaded=(580, 95, 5))
ANSWERS = Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
CU128 = Torch(version="2.9.1+cu128", cuda=(12, 8))
RTX_5090 = Gpus((Gpu("NVIDIA GeForce RTX 5090", (12, 0)),))


def severity(found: Finding | None) -> str:
    return found.severity if found else "healthy"


def saw(found: Finding | None) -> str:
    return found.saw if found else ""


class TestSeverities:
    def test_libcuda_missing_is_a_problem(self) -> None:
        nothing = DriverLibraries(nvml_code=None, cuda_code=None)
        assert severity(driver.library_is_there(libraries=nothing, module=LOADED, system=UBUNTU)) == "problem"

    @pytest.mark.parametrize("code", [None, 0], ids=["no libcuda", "no /dev/dxg"])
    def test_a_wsl_that_does_not_reach_windows_is_a_warning(self, code: int | None) -> None:
        wsl = replace(UBUNTU, wsl=True, dxg=code is None)
        libraries = DriverLibraries(nvml_code=None, cuda_code=code)
        assert severity(driver.wsl_reaches_windows(system=wsl, libraries=libraries)) == "warning"

    def test_an_nvcc_that_refuses_the_compiler_is_a_warning_when_building(self) -> None:
        gcc = HostCompiler("gcc", (15, 1, 0), "/usr/bin/g++")
        nvcc = Toolkit((12, 8, 93), "/usr/local/cuda/bin/nvcc")
        found = compiler.nvcc_accepts_compiler(toolkit=nvcc, compiler=gcc, goal=BUILD)
        assert severity(found) == "warning"
        assert saw(found) == "g++ 15.1.0 at /usr/bin/g++ with nvcc 12.8"

    def test_a_cuda_home_that_leads_nowhere_is_a_note_when_running(self) -> None:
        home = CudaHome("/usr/local/cuda-9.2", has_nvcc=False)
        assert severity(toolkit.cuda_home_is_real(home=home, goal=RUN)) == "note"

    def test_no_tables_and_a_missing_table_are_problems(self) -> None:
        assert severity(data.tables_are_there(data=DataSet(path="/d", versions=()))) == "problem"
        cut = DataSet(path="/d", versions=("v1.0-mini",), missing_tables=("v1.0-mini/scene.json",))
        assert severity(data.tables_are_there(data=cut)) == "problem"

    def test_an_old_c_library_is_a_problem(self) -> None:
        assert severity(stack.glibc_is_new_enough(pythons=python(glibc=(2, 17)), stacks=STACKS)) == "problem"

    def test_another_cpu_is_a_problem(self) -> None:
        assert severity(stack.cpu_is_supported(system=replace(UBUNTU, machine="riscv64"))) == "problem"

    def test_a_torch_that_does_not_import_is_a_problem(self) -> None:
        broken = replace(CU128, imported=False, import_error="ImportError")
        assert severity(torch.torch_imports(torch=broken)) == "problem"

    def test_a_driver_too_old_for_torch_is_a_problem(self) -> None:
        old = Driver(version=(470, 256, 2), cuda=(11, 4), source="NVML")
        assert severity(torch.driver_runs_torch(torch=CU128, driver=old)) == "problem"

    def test_a_gpu_on_which_no_tensor_lands_is_a_problem(self) -> None:
        assert severity(torch.tensors_land(torch=replace(CU128, usable_gpus=0), gpus=RTX_5090)) == "problem"

    def test_a_torch_in_a_python_without_wheels_is_a_warning(self) -> None:
        packages = Packages("/venv/bin/python", (3, 15, 0), (("torch", "2.9.1"),))
        assert severity(torch.torch_fits_python(torch=CU128, packages=packages)) == "warning"


class TestBounds:
    @pytest.mark.parametrize(("family", "version"), [("gcc", (9, 1)), ("clang", (10, 0))])
    def test_the_oldest_compiler_that_will_do(self, family: str, version: tuple[int, ...]) -> None:
        oldest = HostCompiler(family, version, "/usr/bin/c++")
        assert compiler.compiler_is_new_enough(compiler=oldest, torch=CU128, goal=BUILD) is None

    def test_anything_above_docker_s_default_is_somebody_s_choice(self) -> None:
        assert container.shm_is_large(memory=Memory(8 * GIB, 8 * GIB, 65 << 20), system=UBUNTU) is None
        assert container.shm_is_large(memory=Memory(8 * GIB, 8 * GIB, (64 << 20) + 1), system=UBUNTU) is None


class TestWords:
    def test_cuda_999_is_usual_after_suspend(self) -> None:
        found = driver.cuda_starts(libraries=DriverLibraries(nvml_code=0, cuda_code=999), driver=ANSWERS)
        assert found is not None
        assert "nvidia_uvm" in found.fix[0]

    def test_cuda_100_is_about_hidden_or_split_gpus(self) -> None:
        found = driver.cuda_starts(libraries=DriverLibraries(nvml_code=0, cuda_code=100), driver=ANSWERS)
        assert found is not None
        assert "CUDA_VISIBLE_DEVICES" in found.fix[0]
        assert found.confidence == "sure"

    def test_the_size_of_shared_memory_is_in_mib(self) -> None:
        found = container.shm_is_large(memory=Memory(8 * GIB, 8 * GIB, 48 << 20), system=UBUNTU)
        assert saw(found) == "shared memory (/dev/shm) is 48 MiB"

    def test_a_fitting_toolkit_is_the_one_of_torch_s_major(self) -> None:
        nvcc = Toolkit((13, 0, 88), "/usr/bin/nvcc", "PATH", ("/usr/local/cuda-12.8", "/usr/local/cuda-8.0"))
        found = toolkit.nvcc_matches_torch(toolkit=nvcc, torch=CU128, goal=BUILD)
        assert found is not None
        assert found.fix[0] == "export CUDA_HOME=/usr/local/cuda-12.8 PATH=/usr/local/cuda-12.8/bin:$PATH"
        assert found.expected == "nvcc of CUDA 12"

    def test_nvcc_is_named_by_major_and_minor(self) -> None:
        nvcc = Toolkit((11, 5, 119), "/usr/bin/nvcc")
        found = toolkit.nvcc_knows_gpus(toolkit=nvcc, gpus=RTX_5090, goal=RUN)
        assert saw(found) == "nvcc 11.5 does not compile for NVIDIA GeForce RTX 5090 (sm_120)"


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
        assert stack.python_is_in_range(pythons=python(*version), stacks=stacks) is None
        bare = python(*version, has_venv=False)
        assert stack.python_has_venv(pythons=bare, stacks=stacks) is not None

    def test_the_least_demanding_c_library_counts(self) -> None:
        stacks = Stacks((replace(NEWEST, glibc_min=(2, 34)), replace(OLDEST, glibc_min=(2, 28))))
        assert stack.glibc_is_new_enough(pythons=python(glibc=(2, 28)), stacks=stacks) is None

    def test_the_smallest_stack_s_disk_counts(self) -> None:
        stacks = Stacks((replace(NEWEST, disk=9 * GIB), replace(OLDEST, disk=6 * GIB)))
        disk = Disk("/home", 7 * GIB)
        assert stack.disk_has_room(disk=disk, packages=Unknown("none"), stacks=stacks) is None


def test_a_toolkit_is_found_by_major_and_minor() -> None:
    row = toolkit_row((12, 8, 93))
    assert row is not None
    assert row.cuda == (12, 8)
