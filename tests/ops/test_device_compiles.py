"""The device sources compile for every architecture: with the installed torch's NVRTC, and with nvcc where it is."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEVICE = ROOT / "repro" / "ops" / "csrc" / "device"
SOURCE = DEVICE / "msda.cu"
ARCHS = (75, 80, 86, 89, 90, 100, 120)
INSTANCES = ("f32_e32", "f16_e32", "bf16_e32", "f32_any", "f16_any", "bf16_any", "f64_any")
KERNELS = {f"bevready_{way}_{instance}" for way in ("forward", "backward") for instance in INSTANCES} | {
    *(f"bevready_bound_{dtype}" for dtype in ("f32", "f16", "bf16", "f64")),
    *(f"bevready_{rest}" for rest in ("from_fixed_f32", "from_fixed_f64")),
    *(f"bevready_plain2020_{way}_f32" for way in ("forward", "backward")),
}


def kernels_in(cubin: bytes) -> set[str]:
    """Return the kernels of which there is code: one section each."""
    return {name.decode() for name in re.findall(rb"\.text\.(\w+)", cubin)}


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    folder = Path(sysconfig.get_path("purelib")) / "nvidia"
    found = sorted(folder.glob("*/lib/libnvrtc.so.*"))
    if not found:
        pytest.skip("the installed torch brings no NVRTC")
    for builtins in sorted(found[-1].parent.glob("libnvrtc-builtins.so.*")):
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(found[-1]))


def compiled(nvrtc: ctypes.CDLL, arch: int) -> tuple[int, str, bytes]:
    """Return NVRTC's code, its words and the cubin."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), SOURCE.read_bytes(), SOURCE.name.encode(), 0, None, None)
    words = [f"--gpu-architecture=sm_{arch}", "--std=c++17", f"--include-path={DEVICE}"]
    options = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
    code = nvrtc.nvrtcCompileProgram(program, len(words), options)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(max(size.value, 1))
    nvrtc.nvrtcGetProgramLog(program, log)
    if code != 0:
        return code, log.value.decode(), b""
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    return code, log.value.decode(), cubin.raw


@pytest.mark.parametrize("arch", ARCHS)
def test_nvrtc_makes_every_kernel_without_a_warning(nvrtc: ctypes.CDLL, arch: int) -> None:
    code, words, cubin = compiled(nvrtc, arch)
    assert (code, words) == (0, "")
    assert kernels_in(cubin) == KERNELS


def test_nvcc_makes_every_kernel_of_the_same_sources(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc", path="/usr/local/cuda/bin") or shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc here")
    made = tmp_path / "msda.cubin"
    words = [nvcc, "-cubin", "-arch=sm_90", "-std=c++17", f"-I{DEVICE}", str(SOURCE), "-o", str(made)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert kernels_in(made.read_bytes()) == KERNELS


def test_the_host_asks_for_exactly_these_kernels() -> None:
    """`device_host.h` lists the kernels in C++; the words it puts them together from are those here."""
    text = (DEVICE.parent / "device_host.h").read_text()
    listed = text[text.index("entry_points() {") : text.index("return names;")]
    named = set(re.findall(r'"([a-z0-9_]+)"', listed)) - {"bevready_", "bevready_bound_"}
    assert named == {"forward_", "backward_", *INSTANCES, "f32", "f16", "bf16", "f64"} | {
        "from_fixed_f32",
        "from_fixed_f64",
        "plain2020_forward_f32",
        "plain2020_backward_f32",
    }
