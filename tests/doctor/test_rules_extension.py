"""EXT: a compiled extension that fits, and one for each way not to; disputes F2, F11 and F12 of other doctors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import (
    Copy,
    Environment,
    Extension,
    Extensions,
    Gpu,
    Gpus,
    Packages,
    System,
    Torch,
    Unknown,
)
from doctor.rules import extension as rules
from doctor.rules import extension_files as file_rules

SITE = "/env/lib/python3.10/site-packages"
CU124 = Torch(version="2.5.1+cu124", cuda=(12, 4))
CPU = Torch(version="2.5.1+cpu", cuda=None)
X86 = System(kernel="6.8.0", machine="x86_64", distribution="Ubuntu 22.04")
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9))
RTX_5090 = Gpu("NVIDIA GeForce RTX 5090", (12, 0))
MMCV = Extension(
    package="mmcv",
    path=f"{SITE}/mmcv/_ext.cpython-310-x86_64-linux-gnu.so",
    python=(3, 10),
    machine="x86_64",
    needed=("libc10.so", "libtorch_cpu.so", "libcudart.so.12", "libc10_cuda.so", "libstdc++.so.6", "libc.so.6"),
    archs=("sm_80", "sm_86", "sm_90"),
    glibc=(2, 17),
    glibcxx=(3, 4, 21),
    compared=True,
)
HERE = Environment(prefix="/env", glibc=(2, 35), libstdcxx=(3, 4, 30))
SET_DEVICE_INT = "_ZN3c104cuda9SetDeviceEi"
NEW_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
OWN = "_Z27ms_deform_attn_cuda_forwardRKN2at6TensorES2_"


def packages(**found: str) -> Packages:
    return Packages("/env/bin/python", (3, 10, 14), tuple((name.replace("_", "-"), v) for name, v in found.items()))


def extensions(*found: Extension) -> Extensions:
    return Extensions(found)


class TestBelongsToTorch:
    def judge(self, extension: Extension) -> str:
        found = rules.belongs_to_torch(extensions=extensions(extension), torch=CU124, packages=packages())
        return f"{found.severity}: {found.saw}" if found else ""

    def test_f12_set_device_of_an_older_torch(self) -> None:
        words = self.judge(replace(MMCV, missing=(OWN, SET_DEVICE_INT)))
        assert words.startswith("problem: ")
        assert f"asks for {SET_DEVICE_INT}, which torch 2.5.1+cu124 does not have" in words
        assert "compiled for a torch before 2.3" in words

    def test_f12_the_other_string_abi(self) -> None:
        assert "C++11 ABI" in self.judge(replace(MMCV, missing=(NEW_STRING,)))

    def test_a_torch_that_was_asked_for_its_abi_knows_it_better_than_the_table(self) -> None:
        given, own = extensions(replace(MMCV, missing=(NEW_STRING,))), replace(CU124, cxx11_abi=True)
        found = rules.belongs_to_torch(extensions=given, torch=own, packages=packages())
        assert found is not None
        assert "ABI" not in found.saw

    def test_a_leftover_in_a_checkout_is_a_warning(self) -> None:
        assert self.judge(replace(MMCV, missing=(SET_DEVICE_INT,), place="checkout")).startswith("warning: ")

    @pytest.mark.parametrize(
        "extension",
        [MMCV, replace(MMCV, missing=(OWN,)), replace(MMCV, missing=(SET_DEVICE_INT,), python=(3, 8))],
        ids=["lacks nothing", "lacks its own", "for another Python"],
    )
    def test_silent(self, extension: Extension) -> None:
        assert self.judge(extension) == ""

    def test_how_to_make_it_anew(self) -> None:
        flash = replace(MMCV, package="flash_attn_2_cuda", missing=(SET_DEVICE_INT,))
        found = rules.belongs_to_torch(extensions=extensions(flash), torch=CU124, packages=packages())
        assert found is not None
        assert found.fix[0].endswith("--no-build-isolation flash-attn")

    def test_torchvision_is_asked_for_by_the_version_that_belongs(self) -> None:
        other = replace(MMCV, package="torchvision", missing=(SET_DEVICE_INT,))
        found = rules.belongs_to_torch(extensions=extensions(other), torch=CU124, packages=packages())
        assert found is not None
        assert found.fix[0].endswith('"torchvision==0.20.*"')


class TestCoversGpus:
    def judge(self, archs: tuple[str, ...], *gpus: Gpu) -> tuple[str, str] | None:
        given = extensions(replace(MMCV, archs=archs))
        found = rules.covers_gpus(extensions=given, gpus=Gpus(gpus), packages=packages())
        return (found.severity, found.fix[0]) if found else None

    def test_f11_none_of_its_code_runs_here(self) -> None:
        assert self.judge(("sm_60", "sm_61"), RTX_4090) == (
            "problem",
            "export TORCH_CUDA_ARCH_LIST=8.9 # before building it again",
        )

    def test_f2_ptx_is_a_note(self) -> None:
        answer = self.judge(("sm_90", "compute_90"), RTX_5090)
        assert answer is not None
        assert answer[0] == "note"

    @pytest.mark.parametrize("archs", [("sm_90a", "compute_90a"), ("sm_100f",), ("sm_121",)])
    def test_code_for_one_chip_or_a_newer_one_does_not_count(self, archs: tuple[str, ...]) -> None:
        answer = self.judge(archs, RTX_5090)
        assert answer is not None
        assert answer[0] == "problem"

    @pytest.mark.parametrize("archs", [("sm_80",), ("sm_89",), ()])
    def test_same_major_code_or_none_that_is_known(self, archs: tuple[str, ...]) -> None:
        assert self.judge(archs, RTX_4090) is None

    def test_every_gpu_of_a_mixed_host_and_the_worst_first(self) -> None:
        answer = self.judge(("sm_80", "compute_90"), RTX_4090, RTX_5090, Gpu("Tesla P100", (6, 0)))
        assert answer == ("problem", "export TORCH_CUDA_ARCH_LIST=6.0 # before building it again")

    def test_several_extensions_with_the_same_fault(self) -> None:
        bad = replace(MMCV, archs=("sm_60",), place="checkout")
        two = extensions(bad, replace(bad, package="spconv", place="installed"))
        found = rules.covers_gpus(extensions=two, gpus=Gpus((RTX_4090,)), packages=packages())
        assert found is not None
        assert found.severity == "problem"

    def test_one_for_another_python_is_not_judged(self) -> None:
        given = extensions(replace(MMCV, archs=("sm_60",), python=(3, 8)))
        assert rules.covers_gpus(extensions=given, gpus=Gpus((RTX_4090,)), packages=packages()) is None


class TestKernels:
    def judge(
        self,
        extension: Extension,
        torch: Torch = CU124,
        gpus: Gpus | Unknown = Gpus((RTX_4090,)),  # noqa: B008 — frozen
    ) -> str:
        found = rules.has_its_kernels(extensions=extensions(extension), torch=torch, gpus=gpus, packages=packages())
        return found.saw if found else ""

    def test_its_own_function_was_never_compiled(self) -> None:
        assert self.judge(replace(MMCV, missing=(OWN,))).endswith("lacks its own function ms_deform_attn_cuda_forward")

    def test_another_library_may_define_it(self) -> None:
        with_friend = replace(MMCV, missing=(OWN,), needed=(*MMCV.needed, "libopencv_core.so.4.5"))
        assert self.judge(with_friend) == ""
        assert self.judge(replace(MMCV, missing=(OWN,), compared=False)) == ""

    def test_no_gpu_code_where_there_is_a_gpu(self) -> None:
        assert self.judge(replace(MMCV, archs=())).endswith("carries no GPU code")

    def test_no_gpu_code_is_fine_without_a_gpu_or_cuda_or_for_a_helper(self) -> None:
        bare = replace(MMCV, archs=())
        assert self.judge(bare, gpus=Unknown("no driver")) == ""
        assert self.judge(bare, torch=CPU) == ""
        assert self.judge(replace(bare, package="helper")) == ""
        assert self.judge(replace(bare, problem="cut short")) == ""

    def test_whole(self) -> None:
        assert self.judge(MMCV) == ""


class TestRuntime:
    def judge(self, environment: Environment = HERE, **changes: object) -> str:
        given = extensions(replace(MMCV, **changes))  # type: ignore[arg-type]
        found = rules.runtime_is_new_enough(extensions=given, environment=environment, packages=packages())
        return found.saw.split(".so ", 1)[1] if found else ""

    def test_a_newer_c_library(self) -> None:
        assert self.judge(glibc=(2, 36)) == "needs GLIBC 2.36; here is 2.35"
        assert self.judge(glibc=(2, 35)) == ""

    def test_a_newer_cxx_library(self) -> None:
        assert self.judge(glibcxx=(3, 4, 31)) == "needs GLIBCXX 3.4.31; the libstdc++ of /env ends at 3.4.30"
        assert self.judge(glibcxx=(3, 4, 30)) == ""

    def test_what_is_not_known_is_not_judged(self) -> None:
        bare = Environment(prefix="/env")
        assert self.judge(bare, glibc=(2, 99), glibcxx=(3, 4, 99)) == ""
        assert self.judge(glibc=None, glibcxx=None) == ""


class TestCudaRuntime:
    def judge(self, torch: Torch = CU124, **changes: object) -> str:
        given = extensions(replace(MMCV, **changes))  # type: ignore[arg-type]
        found = rules.uses_torch_cuda(extensions=given, torch=torch, packages=packages())
        return found.expected if found else ""

    def test_another_major(self) -> None:
        assert self.judge(needed=("libcudart.so.11.0",)) == "CUDA 12 in both"

    def test_silent_for_the_same_none_or_a_cpu_torch(self) -> None:
        assert self.judge() == ""
        assert self.judge(needed=("libc10.so",)) == ""
        assert self.judge(CPU, needed=("libcudart.so.11.0",)) == ""

    def test_left_to_the_rule_on_symbols_where_those_are_missing_too(self) -> None:
        assert self.judge(needed=("libcudart.so.11.0",), missing=(SET_DEVICE_INT,)) == ""


class TestFiles:
    def test_mmcv_without_operators(self) -> None:
        lite = file_rules.mmcv_has_operators(extensions=extensions(), packages=packages(mmcv="1.7.1", mmdet="2.14.0"))
        alone = file_rules.mmcv_has_operators(extensions=extensions(), packages=packages(mmcv_lite="2.1.0"))
        full = file_rules.mmcv_has_operators(extensions=extensions(), packages=packages(mmcv_full="1.4.0"))
        new = file_rules.mmcv_has_operators(extensions=extensions(), packages=packages(mmcv="2.0.0"))
        assert lite is not None
        assert alone is not None
        assert full is not None
        assert new is not None
        assert [found.severity for found in (lite, alone, full, new)] == ["problem", "warning", "problem", "problem"]
        assert [found.saw.endswith("without operators") for found in (lite, alone, full, new)] == [
            True,
            True,
            False,
            False,
        ]

    def test_mmcv_with_operators_or_no_mmcv(self) -> None:
        there = extensions(MMCV)
        assert file_rules.mmcv_has_operators(extensions=there, packages=packages(mmcv_full="1.4.0")) is None
        assert file_rules.mmcv_has_operators(extensions=extensions(), packages=packages(mmdet="2.14.0")) is None

    def test_a_file_for_another_python(self) -> None:
        old = replace(MMCV, python=(3, 8), path=f"{SITE}/mmcv/_ext.cpython-38-x86_64-linux-gnu.so")
        found = file_rules.is_for_this_python(extensions=extensions(old), packages=packages())
        assert found is not None
        assert found.saw.endswith("is for Python 3.8; here is 3.10.14")

    @pytest.mark.parametrize(
        "found", [(MMCV,), (replace(MMCV, python=None),), (replace(MMCV, python=(3, 8)), MMCV), ()]
    )
    def test_a_file_for_this_python_is_enough(self, found: tuple[Extension, ...]) -> None:
        assert file_rules.is_for_this_python(extensions=extensions(*found), packages=packages()) is None

    def test_an_egg_beside_another_build(self) -> None:
        egg = replace(MMCV, place="egg", path=f"{SITE}/mmcv_full-1.3.8-py3.10-linux-x86_64.egg/mmcv/_ext.so")
        found = file_rules.no_stale_egg(extensions=extensions(MMCV, egg), environment=HERE)
        assert found is not None
        assert found.fix[0] == f"rm -r {SITE}/mmcv_full-1.3.8-py3.10-linux-x86_64.egg"

    def test_two_eggs_of_one_distribution(self) -> None:
        eggs = tuple(Copy("x", v, SITE, f"x-{v}-py3.10-linux-x86_64.egg") for v in ("1.0", "1.1"))
        found = file_rules.no_stale_egg(extensions=extensions(), environment=replace(HERE, copies=eggs))
        assert found is not None
        assert "x-1.0-py3.10" in found.saw

    def test_one_egg_alone_is_an_installation(self) -> None:
        egg = replace(MMCV, place="egg")
        one = (Copy("x", "1.0", SITE, "x-1.0-py3.10.egg"), Copy("y", "1.0", SITE, "y-1.0.dist-info"))
        assert file_rules.no_stale_egg(extensions=extensions(egg), environment=replace(HERE, copies=one)) is None

    @pytest.mark.parametrize(
        ("extension", "words"),
        [
            (replace(MMCV, problem="it is cut short"), f"{MMCV.path}: it is cut short"),
            (replace(MMCV, machine="aarch64"), f"{MMCV.path} is for aarch64; this is x86_64"),
        ],
    )
    def test_a_file_that_cannot_be_loaded(self, extension: Extension, words: str) -> None:
        found = file_rules.can_be_read(extensions=extensions(extension), system=X86)
        assert found is not None
        assert found.saw == words

    def test_a_file_that_can(self) -> None:
        assert file_rules.can_be_read(extensions=extensions(MMCV), system=X86) is None
        assert file_rules.can_be_read(extensions=extensions(MMCV), system=Unknown("no uname")) is None
        assert file_rules.can_be_read(extensions=extensions(replace(MMCV, machine="")), system=X86) is None
