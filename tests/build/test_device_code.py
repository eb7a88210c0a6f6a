"""Device code by NVRTC alone: the installed torch's, and that of the cu128 stack, fetched by its lock.

BEVREADY_TEST_NVRTC12 names the folder of an unpacked nvidia-cuda-nvrtc-cu12 wheel, where nothing can be fetched.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from doctor.build.proof import cubin_arch, entry_points
from doctor.images import Image
from doctor.toolchain import NVRTC_CHILD
from tests.build.builders import FIXTURES, ROOT

SITE = Path(sysconfig.get_path("purelib"))
KERNELS = ROOT / "repro" / "ops" / "csrc" / "device" / "msda.cu"
CU13 = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
CU12 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
NO_HEADERS = 'extern "C" __global__ void fill(float* x) { x[threadIdx.x] = 1; }\n'


def library_13() -> Path:
    found = SITE / "nvidia" / "cu13" / "lib" / "libnvrtc.so.13"
    if not found.exists():
        pytest.skip("the installed torch brings no NVRTC of CUDA 13")
    return found


@functools.cache
def wheel_12() -> Path:
    """Fetch the one wheel of the cu128 stack that compiles, by the hashes of its lock; return where it is unpacked."""
    named = os.environ.get("BEVREADY_TEST_NVRTC12")
    if named:
        return Path(named)
    folder = Path(tempfile.mkdtemp(prefix="bevready-nvrtc12-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lock = (ROOT / "env" / "cu128" / "requirements.lock").read_text(encoding="utf-8")
    one = re.search(r"^nvidia-cuda-nvrtc-cu12==(?:.*\\\n)+?.*[^\\]\n", lock, re.MULTILINE)
    assert one, "the lock of cu128 names no NVRTC"
    (folder / "one.lock").write_text(one[0], encoding="utf-8")
    words = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*words, "--quiet", "--target", str(folder), "-r", str(folder / "one.lock")], check=False)
    return folder


def library_12() -> Path:
    found = wheel_12() / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
    if not found.exists():
        pytest.skip("pip could not fetch the NVRTC of CUDA 12.8; name an unpacked wheel with BEVREADY_TEST_NVRTC12")
    return found


def compile_with(library: Path, source: Path, targets: str, folder: Path, *options: str) -> tuple[int, str]:
    """Compile as the builder does, on a PATH without any CUDA toolkit; return the exit code and what was said."""
    words = [sys.executable, "-B", str(NVRTC_CHILD), str(library), str(source), targets, str(folder), *options]
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    )
    return done.returncode, done.stderr


def image(folder: Path, name: str, target: str) -> Image:
    return Image(name, target, (folder / f"{name}.{target}").read_bytes())


@pytest.mark.parametrize(
    ("library", "archs", "version"), [(library_13, CU13, "13."), (library_12, CU12, "12.8")], ids=["cu130", "cu128"]
)
class TestEveryStack:
    def test_the_library_says_what_it_is(self, library: type[Path], archs: tuple[str, ...], version: str) -> None:
        words = [sys.executable, "-B", str(NVRTC_CHILD), str(library())]
        told = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        assert told["version"].startswith(version)
        assert {int(arch[3:]) for arch in archs} <= set(told["targets"])

    def test_every_architecture_gets_its_own_code(
        self, library: type[Path], archs: tuple[str, ...], version: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "fill.cu"
        source.write_text(NO_HEADERS)
        for arch in archs:
            code, words = compile_with(library(), source, arch, tmp_path)
            assert code == 0, f"{version}: {words}"
            made = image(tmp_path, "fill", arch)
            assert cubin_arch(made.data) == int(arch[3:])
            assert entry_points(made) == ("fill",)

    def test_one_compilation_gives_machine_code_and_ptx(
        self, library: type[Path], archs: tuple[str, ...], version: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "fill.cu"
        source.write_text(NO_HEADERS)
        code, words = compile_with(library(), source, f"{archs[-1]},compute_120", tmp_path)
        assert code == 0, f"{version}: {words}"
        assert image(tmp_path, "fill", archs[-1]).data[:4] == b"\x7fELF"
        ptx = image(tmp_path, "fill", "compute_120")
        assert b".target sm_120" in ptx.data
        assert entry_points(ptx) == ("fill",)

    @pytest.mark.slow
    def test_the_newest_and_oldest_code_of_our_own_kernels(
        self, library: type[Path], archs: tuple[str, ...], version: str, tmp_path: Path
    ) -> None:
        if not KERNELS.exists():
            pytest.skip(f"{KERNELS} is not here")
        for arch in (archs[0], archs[-1]):
            options = ("--std=c++17", f"--include-path={KERNELS.parent}")
            code, words = compile_with(library(), KERNELS, arch, tmp_path, *options)
            assert code == 0, f"{version}: {words}"
            assert entry_points(image(tmp_path, KERNELS.stem, arch))


def test_the_headers_of_cuda_come_from_the_wheels(tmp_path: Path) -> None:
    library = library_13()
    options = ("--std=c++17", f"--include-path={library.parents[1] / 'include'}")
    source = FIXTURES / "double" / "device" / "double.cu"
    code, words = compile_with(library, source, "sm_90", tmp_path, *options, f"--include-path={source.parent}")
    assert (code, words) == (0, "")
    assert entry_points(image(tmp_path, "double", "sm_90")) == ("double_bf16",)


def test_what_does_not_compile_is_told_in_the_words_of_nvrtc(tmp_path: Path) -> None:
    source = tmp_path / "wrong.cu"
    source.write_text("__global__ void f() { no_such_thing(); }\n")
    code, words = compile_with(library_13(), source, "sm_90", tmp_path)
    assert code == 1
    assert 'wrong.cu(1): error: identifier "no_such_thing" is undefined' in words
    assert not (tmp_path / "wrong.sm_90").exists()


def test_an_architecture_of_another_age_is_an_error_and_no_crash(tmp_path: Path) -> None:
    source = tmp_path / "fill.cu"
    source.write_text(NO_HEADERS)
    code, words = compile_with(library_13(), source, "sm_52", tmp_path)
    assert code == 1
    assert "invalid value for --gpu-architecture" in words


@pytest.mark.slow
def test_nvcc_takes_the_same_sources(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvcc is None:
        pytest.skip("no nvcc here")
    if not KERNELS.exists():
        pytest.skip(f"{KERNELS} is not here")
    words = [nvcc, "-cubin", "-arch=sm_90", "-std=c++17", str(KERNELS), "-o", str(tmp_path / "msda.sm_90")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert entry_points(image(tmp_path, "msda", "sm_90"))
