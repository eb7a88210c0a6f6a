"""What is found to build with: torch, its own NVRTC in every layout of wheels, architectures; else what is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from doctor.facts import Environment, Torch, TorchFiles, Unknown
from doctor.shell import LiveHost, Output
from doctor.toolchain import (
    Nvrtc,
    TargetTorch,
    ToolchainError,
    archs_for_devices,
    check_compiler,
    check_targets,
    find_nvrtc,
    find_torch,
    read_archs,
)

CU13 = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)
STACK = ("sm_75", "sm_90", "sm_120", "compute_120")


class HostThatKnowsNvrtc(LiveHost):
    """This machine, on which any file passes for NVRTC 12.8."""

    def run(self, *words: str, timeout_s: float = 4.0) -> Output:  # noqa: ARG002 — as the host's
        return Output(0, out='{"version": "12.8", "targets": [70, 90]}')


def site(tmp_path: Path, *files: str) -> Path:
    for file in files:
        path = tmp_path / "site-packages" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "site-packages"


def target(folder: Path, cuda: tuple[int, int] | None) -> TargetTorch:
    return TargetTorch(
        python=str(folder.parent / "bin" / "python"),
        version="2.9.1",
        cuda=cuda,
        folder=folder / "torch",
        cxx11_abi=True,
        openmp="libgomp.so.1",
        search=(folder,),
    )


class TestArchitectures:
    @pytest.mark.parametrize("words", ["8.6,9.0", "sm_90 sm_86", "9.0;8.6+PTX", "8.6, 9.0, 8.6", "86,90"])
    def test_every_usual_spelling_is_read(self, words: str) -> None:
        assert read_archs(words, ()) == ("sm_86", "sm_90")

    def test_all_is_all_of_the_stack(self) -> None:
        assert read_archs("all", STACK) == ("sm_75", "sm_90", "sm_120")

    @pytest.mark.parametrize("word", ["ampere", "9", "9.0a", "8.6.1", "-1"])
    def test_other_words_are_refused_with_an_example(self, word: str) -> None:
        with pytest.raises(ToolchainError, match=r"no architecture; write them like 8\.6,9\.0, or all"):
            read_archs(f"8.6,{word}", ())

    def test_a_gpu_gets_its_own_code(self) -> None:
        assert archs_for_devices([(9, 0), (8, 6), (8, 6)], CU13) == ("sm_86", "sm_90")

    def test_a_newer_one_of_a_family_gets_the_nearest_code_that_runs_on_it(self) -> None:
        assert archs_for_devices([(8, 9)], (80, 86, 87)) == ("sm_86",)

    def test_a_gpu_of_the_future_gets_the_newest_code_whose_ptx_the_driver_translates(self) -> None:
        assert archs_for_devices([(13, 0)], CU13) == ("sm_121",)

    def test_a_gpu_that_nvrtc_dropped_is_refused(self) -> None:
        with pytest.raises(ToolchainError, match=r"6\.1 is older than what this NVRTC compiles for \(7\.5, "):
            archs_for_devices([(6, 1)], CU13)

    def test_an_architecture_that_nvrtc_does_not_know_is_refused(self) -> None:
        nvrtc = Nvrtc(Path("x"), "12.8", (70, 90), Path())
        check_targets(("sm_90",), nvrtc)
        with pytest.raises(ToolchainError, match=r"sm_121: NVRTC 12\.8 does not compile for it; it knows 7\.0,9\.0"):
            check_targets(("sm_90", "sm_121"), nvrtc)


class TestNvrtc:
    def test_wheels_of_cuda_13_have_one_folder(self, tmp_path: Path) -> None:
        folder = site(
            tmp_path,
            "nvidia/cu13/lib/libnvrtc.alt.so.13",
            "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
            "nvidia/cu13/lib/libnvrtc.so.13",
            "nvidia/cu13/include/cuda_fp16.h",
            "nvidia/cu13/include/cuda_bf16.h",
        )
        found = find_nvrtc(HostThatKnowsNvrtc(), target(folder, (13, 0)))
        assert found.library == folder / "nvidia/cu13/lib/libnvrtc.so.13"
        assert found.headers == folder / "nvidia/cu13/include"

    def test_wheels_of_cuda_12_have_one_for_the_library_and_one_for_the_headers(self, tmp_path: Path) -> None:
        folder = site(
            tmp_path,
            "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
            "nvidia/cuda_runtime/include/cuda_fp16.h",
            "nvidia/cuda_runtime/include/cuda_bf16.h",
        )
        found = find_nvrtc(HostThatKnowsNvrtc(), target(folder, (12, 8)))
        assert (found.library.name, found.headers.parent.name) == ("libnvrtc.so.12", "cuda_runtime")
        assert (found.version, found.targets) == ("12.8", (70, 90))

    def test_older_wheels_keep_it_in_torch_itself(self, tmp_path: Path) -> None:
        folder = site(
            tmp_path,
            "torch/lib/libnvrtc-672ee683.so.11.2",
            "torch/lib/libnvrtc-builtins-2dc4bf68.so.11.3",
            "nvidia/cuda_runtime/include/cuda_fp16.h",
            "nvidia/cuda_runtime/include/cuda_bf16.h",
        )
        found = find_nvrtc(HostThatKnowsNvrtc(), target(folder, (11, 3)))
        assert found.library.name == "libnvrtc-672ee683.so.11.2"

    def test_that_of_another_cuda_is_not_taken(self, tmp_path: Path) -> None:
        folder = site(tmp_path, "nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
        with pytest.raises(ToolchainError, match=r'no libnvrtc\.so\.13 .*pip install "nvidia-cuda-nvrtc==13\.0\.\*"'):
            find_nvrtc(HostThatKnowsNvrtc(), target(folder, (13, 0)))

    def test_missing_headers_name_the_package_that_brings_them(self, tmp_path: Path) -> None:
        folder = site(tmp_path, "nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
        with pytest.raises(ToolchainError, match=r'cuda_bf16\.h .*pip install "nvidia-cuda-runtime-cu12==12\.8\.\*"'):
            find_nvrtc(HostThatKnowsNvrtc(), target(folder, (12, 8)))

    def test_a_library_that_does_not_load_says_why(self, tmp_path: Path) -> None:
        folder = site(
            tmp_path,
            "nvidia/cu13/lib/libnvrtc.so.13",
            "nvidia/cu13/include/cuda_fp16.h",
            "nvidia/cu13/include/cuda_bf16.h",
        )
        with pytest.raises(ToolchainError, match=r"does not load: .*file too short"):
            find_nvrtc(LiveHost(), target(folder, (13, 0)))

    def test_a_torch_without_cuda_runs_no_device_code(self, tmp_path: Path) -> None:
        with pytest.raises(ToolchainError, match="is a CPU-only build: it runs no device code; leave --arch away"):
            find_nvrtc(LiveHost(), target(tmp_path, None))


class TestTorch:
    def environment(self, folder: Path) -> Environment:
        return Environment(prefix="/p", torch=TorchFiles(folder=str(folder)), folders=(str(folder.parent),))

    def test_no_torch_says_how_to_get_one(self) -> None:
        with pytest.raises(ToolchainError, match="torch is not installed for py; install torch for py"):
            find_torch("py", Unknown("torch is not installed for py"), Unknown(""))

    def test_a_torch_without_headers_is_to_be_installed_again(self, tmp_path: Path) -> None:
        with pytest.raises(ToolchainError, match=r"has no include/torch/library\.h; install it again: py -m pip"):
            find_torch("py", Torch(version="2.9.1", cuda=None), self.environment(tmp_path))

    def test_a_torch_with_a_broken_library_is_to_be_installed_again(self, tmp_path: Path) -> None:
        folder = site(tmp_path, "torch/include/torch/library.h", "torch/lib/libc10.so") / "torch"
        with pytest.raises(ToolchainError, match=r"a library cannot be used: .*; install it again"):
            find_torch("py", Torch(version="2.9.1", cuda=None), self.environment(folder))

    def test_the_abi_and_threads_are_read_off_the_libraries(self, tmp_path: Path) -> None:
        compiler = shutil.which("g++")
        if compiler is None:
            pytest.skip("g++ is not on PATH")
        folder = site(tmp_path, "torch/include/torch/library.h", "torch/lib/made") / "torch"
        for abi in (0, 1):
            source = f"#define _GLIBCXX_USE_CXX11_ABI {abi}\n#include <string>\nvoid say(std::string) {{}}\n"
            compile_library(compiler, folder / "lib" / "libc10.so", source)
            compile_library(compiler, folder / "lib" / "libtorch_cpu.so", "int f() { return 0; }", "-fopenmp")
            found = find_torch("py", Torch(version="2.9.1", cuda=None), self.environment(folder))
            assert found.cxx11_abi is bool(abi)
            assert found.openmp == "libgomp.so.1"
            assert [path.name for path in found.libraries] == ["libtorch_cpu.so", "libc10.so"]


def compile_library(compiler: str, output: Path, source: str, *flags: str) -> None:
    words = (compiler, "-shared", "-fPIC", "-Wl,--no-as-needed", *flags, "-x", "c++", str(output.with_suffix(".cpp")))
    output.with_suffix(".cpp").write_text(source)
    answer = LiveHost().run(*words, "-o", str(output), timeout_s=60)
    assert answer.code == 0, answer.err


def test_no_compiler_says_how_to_get_one_and_what_runs_until_then() -> None:
    with pytest.raises(ToolchainError, match=r"no g\+\+; sudo apt install g\+\+ .*until then the reference runs"):
        check_compiler(Unknown("no g++"))
