"""Build the CUDA side of the extension against the driver of `emulator/`: device code that runs on the CPU."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent / "emulator"
CSRC = HERE.parents[2] / "repro" / "ops" / "csrc"
CUBIN, PTX = 0, 1
IMAGES = ((CUBIN, 80, b"code of sm_80\0"), (CUBIN, 90, b"code of sm_90\0"), (PTX, 90, b"code of compute_90\0"))


def pack(images: tuple[tuple[int, int, bytes], ...]) -> bytes:
    """Lay images out as images.h says: header, index, code at multiples of 16 bytes."""
    index, code = b"", b""
    first = 16 + 64 * len(images)
    for kind, arch, data in images:
        index += struct.pack("<IIQQ40s", kind, arch, first + len(code), len(data), b"msda")
        code += data + bytes(-len(data) % 16)
    return b"BEVIMG01" + struct.pack("<II", len(images), 64) + index + code


def run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stderr}"


def build(folder: Path, images: bytes) -> tuple[Path, Path]:
    """Compile driver and host in `folder`; return the two libraries, the second an extension for torch."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("no g++: device code is emulated in C++")
    torch_folder = Path(torch.__file__).parent
    driver, host, extension = folder / "driver.so", folder / "host.o", folder / "emulated.so"
    (folder / "images.bin").write_bytes(images)
    shared = ("-std=c++20", "-fPIC", "-w", f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}")
    run(
        compiler,
        *shared,
        "-O1",
        "-ffp-contract=off",
        "-shared",
        f"-I{CSRC / 'device'}",
        HERE / "driver.cpp",
        "-o",
        driver,
    )
    defines = ("-DBEVREADY_EMULATED", f'-DBEVREADY_DRIVER="{driver}"', f'-DBEVREADY_IMAGES_FILE="{folder}/images.bin"')
    includes = (f"-I{torch_folder}/include", f"-I{torch_folder}/include/torch/csrc/api/include")
    run(compiler, *shared, "-O0", *defines, *includes, "-c", CSRC / "cuda_host.cpp", "-o", host)
    libraries = (f"-L{torch_folder}/lib", "-ltorch_cpu", "-lc10", "-ldl")
    run(compiler, *defines, "-shared", CSRC / "images.S", host, *libraries, "-o", extension)
    return driver, extension
