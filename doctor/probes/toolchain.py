"""What could compile: the CUDA toolkit and the C++ compiler that a build would take. Whether they fit is for rules."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from doctor.facts import CudaHome, HostCompiler, Toolkit, Unknown, Version
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.shell import Host

USR_LOCAL = "/usr/local"


def parse_nvcc(text: str) -> Version | None:
    """Return (13, 0, 88) from `nvcc --version`: the number after V, or the one after `release`."""
    found = re.search(r"\bV([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,4})\b", text, re.ASCII)
    found = found or re.search(r"release ([0-9]{1,3}\.[0-9]{1,3})\b", text, re.ASCII)
    return find_version(found[1]) if found else None


def parse_compiler(text: str) -> tuple[str, Version] | None:
    """Return the family and version of `c++ --version`: GCC ends its first line in the version, clang names it."""
    first = text.strip().split("\n", 1)[0]
    clang = re.search(r"clang version ([0-9]{1,3}(?:\.[0-9]{1,4}){1,2})", first, re.ASCII)
    if clang:
        return "clang", find_version(clang[1]) or ()
    # `g++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0`, `g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-4)`
    gcc = re.search(r"^\S*(?:g\+\+|c\+\+|gcc|cc)\S* \(.*?\) ([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\b", first, re.ASCII)
    return ("gcc", find_version(gcc[1]) or ()) if gcc else None


def probe_toolkit(host: Host) -> Toolkit | Unknown:
    """Take nvcc where PyTorch's extension builder does: CUDA_HOME or CUDA_PATH, PATH, /usr/local/cuda."""
    home = host.variable("CUDA_HOME") or host.variable("CUDA_PATH")
    on_path = host.which("nvcc")
    if home:
        nvcc, found_by = f"{home}/bin/nvcc", "CUDA_HOME"
    elif on_path:
        nvcc, found_by = on_path, "PATH"
    else:
        nvcc, found_by = f"{USR_LOCAL}/cuda/bin/nvcc", f"{USR_LOCAL}/cuda"
    if not host.access(nvcc).exists:
        return Unknown("no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda" if not home else f"{nvcc} does not exist")
    output = host.run(nvcc, "--version")
    version = parse_nvcc(output.out)
    if version is None:
        return Unknown(f"{nvcc} --version: {output.problem or 'names no version'}", looked=False)
    folders = (f"{USR_LOCAL}/{name}" for name in host.listing(USR_LOCAL) if re.fullmatch(r"cuda-[0-9.]+", name))
    here = host.real_path(str(PurePosixPath(nvcc).parent.parent))
    others = tuple(
        folder for folder in folders if host.real_path(folder) != here and host.access(f"{folder}/bin/nvcc").exists
    )
    return Toolkit(version, nvcc, found_by, others)


def probe_cuda_home(host: Host) -> CudaHome | Unknown:
    """Look at what CUDA_HOME promises."""
    path = host.variable("CUDA_HOME") or host.variable("CUDA_PATH")
    return CudaHome(path, host.access(f"{path}/bin/nvcc").exists) if path else Unknown("CUDA_HOME is not set")


def probe_compiler(host: Host) -> HostCompiler | Unknown:
    """Take the compiler where builds do: CXX, then c++, then g++, then clang++."""
    wanted = (host.variable("CXX").split() or [""])[0]
    for program in (wanted,) if wanted else ("c++", "g++", "clang++"):
        path = host.which(program)
        if path:
            output = host.run(path, "--version")
            known = parse_compiler(output.out)
            if known:
                return HostCompiler(known[0], known[1], path)
            return Unknown(f"{path} --version: {output.problem or 'neither GCC nor clang'}", looked=False)
    return Unknown(f"CXX={wanted} is not on PATH" if wanted else "no c++, g++ or clang++ on PATH")
