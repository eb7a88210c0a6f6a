"""What could compile C++: the compilers, the programs and the variables of a build. Whether they fit is for rules."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from doctor.facts import (
    BuildTools,
    BuildVariables,
    Compilers,
    CxxRuntime,
    CxxRuntimes,
    HostCompiler,
    Unknown,
    Version,
)
from doctor.versions import find_version
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.shell import Host

Source = Literal["LD_LIBRARY_PATH", "conda", "system"]
DEFAULTS = ("c++", "g++", "clang++")
NAMED = (*(f"g++-{major}" for major in range(7, 17)), *(f"clang++-{major}" for major in range(10, 23)))
HEADER_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
RUNTIME = "libstdc++.so.6"
SYSTEM_LIBRARIES = ("/usr/lib/{machine}-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib")


def parse_compiler(text: str) -> tuple[str, Version] | None:
    """Return the family and version of `c++ --version`: GCC ends its first line in the version, clang names it."""
    first = text.strip().split("\n", 1)[0]
    clang = re.search(r"clang version ([0-9]{1,3}(?:\.[0-9]{1,4}){1,2})", first, re.ASCII)
    if clang:
        return "clang", find_version(clang[1]) or ()
    # `g++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0`, `g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-4)`
    gcc = re.search(r"^\S*(?:g\+\+|c\+\+|gcc|cc)\S* \(.*?\) ([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\b", first, re.ASCII)
    return ("gcc", find_version(gcc[1]) or ()) if gcc else None


def parse_compiler_name(path: str) -> HostCompiler | None:
    """Return the compiler that a name with a version promises, as /usr/bin/g++-12; None for any other name."""
    found = re.fullmatch(r"(?:\S*-)?(g\+\+|gcc|clang\+\+|clang)-([0-9]{1,2})", PurePosixPath(path).name, re.ASCII)
    if not found:
        return None
    return HostCompiler("clang" if found[1].startswith("clang") else "gcc", (int(found[2]),), path)


def parse_ccbin(flags: str) -> str:
    """Return the host compiler in nvcc's flags, `-ccbin g++-12` or `--compiler-bindir=/usr/bin/g++-12`; else empty."""
    found = re.search(r"(?:^|\s)(?:-ccbin|--compiler-bindir)(?:\s+|=)['\"]?([^\s'\"]+)", flags)
    return found[1] if found else ""


def parse_cmake(text: str) -> Version | None:
    """Return the version of `cmake --version`: `cmake version 3.22.1`."""
    found = re.search(r"^cmake version ([0-9]{1,3}(?:\.[0-9]{1,8}){1,2})", text, re.MULTILINE | re.ASCII)
    return find_version(found[1]) if found else None


def probe_compiler(host: Host) -> HostCompiler | Unknown:
    """Take the compiler where builds do: CXX, then c++, then g++, then clang++."""
    wanted = _program(host.variable("CXX"))
    for program in (wanted,) if wanted else DEFAULTS:
        path = host.which(program)
        if path:
            output = host.run(path, "--version")
            known = parse_compiler(output.out)
            if known:
                return HostCompiler(known[0], known[1], path)
            problem = output.problem or "neither GCC nor clang"
            return Unknown(say("{program} --version: {problem}", program=path, problem=problem), looked=False)
    if wanted:
        return Unknown(say("CXX={program} is not on PATH", program=wanted))
    return Unknown("no c++, g++ or clang++ on PATH")


def probe_compilers(host: Host) -> Compilers:
    """List the compilers with a version in their name, and those that variables choose. Only a variable starts one."""
    named = [path for name in NAMED if (path := host.which(name))]
    absent = tuple(f"{name}={program}" for name, program in _chosen(host) if not _located(host, program))
    ccbin = next((program for name, program in _chosen(host) if name.startswith("NVCC_")), "")
    if not ccbin and host.variable("CXX") and not host.variable("CC"):  # nvcc takes g++, whatever CXX says
        ccbin = "g++"
    return Compilers(
        found=tuple(known for path in named if (known := parse_compiler_name(path))),
        cc=_compiler(host, _program(host.variable("CC"))),
        for_nvcc=_compiler(host, ccbin),
        absent=absent,
    )


def probe_build_tools(host: Host, python: str, *, thorough: bool) -> BuildTools:
    """Find ninja, cmake, git and make; ask cmake for its version only where somebody is about to build."""
    found = {name: host.which(name) or "" for name in ("ninja", "cmake", "git", "make")}
    beside = f"{PurePosixPath(python).parent}/ninja"
    hidden = beside if not found["ninja"] and host.access(beside).exists else ""
    version = parse_cmake(host.run(found["cmake"], "--version").out) if thorough and found["cmake"] else None
    return BuildTools(**found, hidden_ninja=hidden, cmake_version=version)


def probe_build_variables(host: Host) -> BuildVariables:
    """Read the variables that steer a build, and what lies in the folders they name."""
    headers = [(name, folder) for name in HEADER_VARIABLES for folder in _folders(host, name)]
    return BuildVariables(
        arch_list=host.variable("TORCH_CUDA_ARCH_LIST").strip(),
        max_jobs=host.variable("MAX_JOBS").strip(),
        headers=tuple(
            (name, host.real_path(folder) or folder)
            for name, folder in headers
            if host.access(f"{folder}/cuda_runtime.h").exists
        ),
        linkers=tuple(_linkers(host, _folders(host, "LD_LIBRARY_PATH"))),
    )


def probe_cxx_runtimes(host: Host) -> CxxRuntimes | Unknown:
    """Find each libstdc++. Its file name tells its newest symbol: libstdc++.so.6.0.30 ends at GLIBCXX_3.4.30."""
    conda = host.variable("CONDA_PREFIX")
    places: list[tuple[Source, str]] = [("LD_LIBRARY_PATH", one) for one in _folders(host, "LD_LIBRARY_PATH")]
    places += [("conda", f"{conda}/lib")] if conda else []
    places += [("system", place.format(machine=host.machine())) for place in SYSTEM_LIBRARIES]
    found = tuple(_runtimes(host, places))
    return CxxRuntimes(found) if found else Unknown("no libstdc++.so.6 in the usual folders")


def _runtimes(host: Host, places: list[tuple[Source, str]]) -> Iterator[CxxRuntime]:
    for source, folder in places:
        path = f"{folder}/{RUNTIME}"
        number = re.search(r"/libstdc\+\+\.so\.6\.0\.([0-9]{1,3})$", host.real_path(path) or "", re.ASCII)
        if number:
            yield CxxRuntime(path, int(number[1]), source)


def _linkers(host: Host, folders: list[str]) -> Iterator[tuple[str, Version]]:
    """Yield the folders with libnvJitLink, and its release: the name behind the link is libnvJitLink.so.12.1.105."""
    for folder in folders:
        for major in (12, 13):
            real = host.real_path(f"{folder}/libnvJitLink.so.{major}") or ""
            found = re.search(r"/libnvJitLink\.so\.([0-9]{2}\.[0-9]{1,2})\.[0-9]{1,4}$", real, re.ASCII)
            if found:
                yield folder, find_version(found[1]) or ()


def _chosen(host: Host) -> list[tuple[str, str]]:
    """Return each variable that chooses a compiler, with the program; nvcc's own come in the order nvcc reads them."""
    flags = [(name, parse_ccbin(host.variable(name))) for name in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")]
    plain = [(name, _program(host.variable(name))) for name in ("NVCC_CCBIN", "CC", "CXX", "CUDAHOSTCXX")]
    return [(name, program) for name, program in (*flags, *plain) if program]


def _compiler(host: Host, program: str) -> HostCompiler | None:
    path = _located(host, program) if program else None
    if not path:
        return None
    named = parse_compiler_name(path)
    known = None if named else parse_compiler(host.run(path, "--version").out)
    return HostCompiler(known[0], known[1], path) if known else named


def _located(host: Host, program: str) -> str | None:
    """Return where a compiler is; nvcc's flag may also name the folder that holds it."""
    return host.which(program) or host.which(f"{program}/g++")


def _program(words: str) -> str:
    """Return the compiler in a variable such as CXX: the first word that is not ccache or another launcher."""
    found = [word for word in words.split() if PurePosixPath(word).name not in {"ccache", "sccache", "distcc"}]
    return found[0] if found else ""


def _folders(host: Host, variable: str) -> list[str]:
    return [folder.rstrip("/") or "/" for folder in host.variable(variable).split(":") if folder]
