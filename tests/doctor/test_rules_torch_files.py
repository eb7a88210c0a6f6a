"""TOR10 to TOR15: the files of a torch, whole and broken, and what it finds beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import Torch, TorchFiles, Unknown
from doctor.rules import torch_files as torch_rules
from tests.doctor.site import CPU, CU124, CUDA_FILES, WHOLE, packages


class TestBuildTags:
    @pytest.mark.parametrize(
        ("torch", "torchvision", "severity"),
        [
            ("2.5.1+cu124", "0.20.1+cu121", "warning"),
            ("2.5.1+cu124", "0.20.1+cpu", "problem"),
            ("2.5.1+cpu", "0.20.1+cu124", "problem"),
        ],
    )
    def test_two_of_them(self, torch: str, torchvision: str, severity: str) -> None:
        found = torch_rules.same_build_tags(packages=packages(torch=torch, torchvision=torchvision))
        assert found is not None
        assert found.severity == severity
        assert found.fix[0].endswith(f'"torchvision==0.20.1" --index-url https://download.pytorch.org/whl/{torch[6:]}')

    @pytest.mark.parametrize(
        "found",
        [
            {"torch": "2.5.1+cu124", "torchvision": "0.20.1+cu124"},
            {"torch": "2.5.1", "torchvision": "0.20.1+cu124"},
            {"torch": "2.5.1+cu124", "torchvision": "0.20.1"},
            {"torch": "2.5.1+cu124"},
            {},
        ],
    )
    def test_one_or_none(self, found: dict[str, str]) -> None:
        assert torch_rules.same_build_tags(packages=packages(**found)) is None


class TestTorchFiles:
    def missing(self, files: TorchFiles | None, torch: Torch | Unknown = CU124) -> str:
        found = torch_rules.torch_is_whole(
            environment=replace(WHOLE, torch=files), packages=packages(torch="2.5.1"), torch=torch
        )
        return found.saw.partition("missing: ")[2] if found else ""

    def test_whole(self) -> None:
        assert self.missing(CUDA_FILES) == ""

    def test_metadata_alone(self) -> None:
        assert self.missing(TorchFiles(folder=""), Unknown("only metadata")) == "torch/"

    @pytest.mark.parametrize("name", CUDA_FILES.libraries)
    def test_each_library_counts(self, name: str) -> None:
        left = tuple(library for library in CUDA_FILES.libraries if library != name)
        assert self.missing(replace(CUDA_FILES, libraries=left)) == f"torch/lib/{name}"

    @pytest.mark.parametrize(
        ("left", "gone"),
        [("__init__.py", "torch/_C.*.so"), ("_C.cpython-310-x86_64-linux-gnu.so", "torch/__init__.py")],
    )
    def test_each_start_up_file_counts(self, left: str, gone: str) -> None:
        assert self.missing(replace(CUDA_FILES, files=(left,))) == gone

    def test_a_cpu_build_has_no_cuda_libraries(self) -> None:
        left = tuple(library for library in CUDA_FILES.libraries if "cuda" not in library)
        assert self.missing(replace(CUDA_FILES, libraries=left), CPU) == ""
        assert self.missing(replace(CUDA_FILES, libraries=left), Unknown("unread")) == ""

    def test_no_torch_is_not_a_broken_one(self) -> None:
        files = TorchFiles(folder="")
        there = replace(WHOLE, torch=files)
        assert torch_rules.torch_is_whole(environment=there, packages=packages(), torch=CU124) is None
        assert self.missing(None) == ""

    def test_conda_keeps_them_elsewhere(self) -> None:
        there = replace(WHOLE, torch=TorchFiles(folder=""), conda=(("pytorch", "2.5.1-py3.10_0"),))
        assert torch_rules.torch_is_whole(environment=there, packages=packages(torch="2.5.1"), torch=CU124) is None


class TestTorchRequirements:
    def test_another_cudnn(self) -> None:
        found = torch_rules.nvidia_wheels_match(
            environment=WHOLE, packages=packages(torch="2.5.1", nvidia_cudnn_cu12="8.9.2.26", triton="3.1.0")
        )
        assert found is not None
        assert found.fix == ('pip install "nvidia-cudnn-cu12==9.1.0.70"',)

    def test_another_triton(self) -> None:
        given = packages(torch="2.5.1", nvidia_cudnn_cu12="9.1.0.70", triton="3.0.0")
        assert torch_rules.nvidia_wheels_match(environment=WHOLE, packages=given) is None
        found = torch_rules.triton_matches(environment=WHOLE, packages=given)
        assert found is not None
        assert (found.saw, found.expected) == ("torch 2.5.1 with triton 3.0.0", "triton 3.1.0")

    @pytest.mark.parametrize(
        "found",
        [{"nvidia_cudnn_cu12": "9.1.0.70", "triton": "3.1.0"}, {"triton": "3.1.0+git1234"}, {}],
        ids=["as asked", "with a local part", "absent"],
    )
    def test_silent(self, found: dict[str, str]) -> None:
        given = packages(torch="2.5.1", **found)
        assert torch_rules.nvidia_wheels_match(environment=WHOLE, packages=given) is None
        assert torch_rules.triton_matches(environment=WHOLE, packages=given) is None
        assert torch_rules.triton_matches(environment=replace(WHOLE, torch=None), packages=given) is None


class TestLibraryPath:
    OVERRIDES = ("/usr/local/cuda/lib64/libcudart.so.11.0",)

    def test_cuda_libraries_before_torch_s_own(self) -> None:
        found = torch_rules.own_libraries_first(environment=replace(WHOLE, overrides=self.OVERRIDES), torch=CU124)
        assert found is not None
        assert found.evidence == self.OVERRIDES

    def test_silent_without_them_for_cpu_builds_and_for_conda(self) -> None:
        there = replace(WHOLE, overrides=self.OVERRIDES)
        assert torch_rules.own_libraries_first(environment=WHOLE, torch=CU124) is None
        assert torch_rules.own_libraries_first(environment=there, torch=CPU) is None
        from_conda = replace(there, torch=replace(CUDA_FILES, installer="conda"))
        assert torch_rules.own_libraries_first(environment=from_conda, torch=CU124) is None
        assert torch_rules.own_libraries_first(environment=replace(there, torch=None), torch=CU124) is not None


class TestCondaAndPip:
    CONDA = (("pytorch", "2.1.2-py3.10_cuda12.1_cudnn8.9.2_0"),)

    @pytest.mark.parametrize("installer", ["pip", "uv"])
    def test_both(self, installer: str) -> None:
        there = replace(WHOLE, conda=self.CONDA, torch=replace(CUDA_FILES, installer=installer))
        found = torch_rules.one_source_of_torch(environment=there, packages=packages(torch="2.5.1"))
        assert found is not None
        assert "2.1.2" in found.saw

    def test_one(self) -> None:
        given = packages(torch="2.5.1")
        only_conda = replace(WHOLE, conda=self.CONDA, torch=replace(CUDA_FILES, installer="conda"))
        other = replace(WHOLE, conda=(("numpy", "1.26.4-py310_0"),))
        for there in (WHOLE, only_conda, other, replace(WHOLE, conda=self.CONDA, torch=None)):
            assert torch_rules.one_source_of_torch(environment=there, packages=given) is None
