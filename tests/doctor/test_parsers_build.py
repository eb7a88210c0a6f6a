"""The parsers of toolkits, compilers and build tools on real formats."""

from __future__ import annotations

import pytest

from doctor.facts import HostCompiler
from doctor.probes.toolchain import parse_ccbin, parse_cmake, parse_compiler_name
from doctor.probes.toolkits import parse_names, parse_version_json, parse_version_txt

VERSION_JSON = '{"cuda": {"name": "CUDA SDK", "version": "12.8.1"}, "cuda_nvcc": {"version": "12.8.93"}}'


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (VERSION_JSON, (12, 8, 93)),
        ('{"cuda": {"name": "CUDA SDK", "version": "11.8.20220929"}}', (11, 8, 20220929)),  # an 11.8 runfile's file
        ('{"cuda": {"version": "13"}}', None),
        ('{"cuda": []}', None),
        ('{"cuda_nvcc": {"version": "newest"}, "cuda": {"version": "12.6.3"}}', (12, 6, 3)),
        ("[]", None),
        ("CUDA Version 10.2.89", None),
        ("[" * 100000, None),
    ],
    ids=["whole", "without nvcc", "no release", "list", "word", "not an object", "text", "deep"],
)
def test_the_version_file_of_a_toolkit(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version_json(text) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [("CUDA Version 10.2.89\n", (10, 2, 89)), ("CUDA Version 9.0", (9, 0)), ("Version 10.2", None), ("", None)],
)
def test_the_version_file_of_an_old_toolkit(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version_txt(text) == version


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (("cuda-cudart-12.8.90-0.json", "cuda-nvcc-12.8.93-hcdd1206_0.json"), (12, 8, 93)),
        (("cuda-nvcc_linux-64-12.8.93-h8a3ee36_0.json",), None),
        (("nvidia_cuda_crt-13.0.88.dist-info", "nvidia_cuda_nvcc-13.0.88.dist-info"), (13, 0, 88)),
        (("cuda-nvcc-12.8.93-0.json.tmp",), None),
        ((), None),
    ],
)
def test_a_version_in_the_names_of_records(names: tuple[str, ...], version: tuple[int, ...] | None) -> None:
    assert parse_names(names) == version


@pytest.mark.parametrize(
    ("path", "compiler"),
    [
        ("/usr/bin/g++-12", ("gcc", 12)),
        ("/usr/bin/gcc-9", ("gcc", 9)),
        ("/usr/bin/x86_64-linux-gnu-g++-13", ("gcc", 13)),
        ("clang++-19", ("clang", 19)),
        ("/usr/bin/clang-14", ("clang", 14)),
        ("/usr/bin/g++", None),
        ("/usr/bin/g++-12.sh", None),
        ("/opt/g++-12/bin/c++", None),
    ],
)
def test_the_version_in_a_compilers_name(path: str, compiler: tuple[str, int] | None) -> None:
    expected = HostCompiler(compiler[0], (compiler[1],), path) if compiler else None
    assert parse_compiler_name(path) == expected


@pytest.mark.parametrize(
    ("flags", "program"),
    [
        ("-ccbin g++-12", "g++-12"),
        ("-O3 -ccbin=/usr/bin/g++-12 -v", "/usr/bin/g++-12"),
        ("--compiler-bindir=/opt/gcc-11/bin", "/opt/gcc-11/bin"),
        ("-allow-unsupported-compiler", ""),
        ("--no-ccbin", ""),
        ("-ccbin", ""),
        ("", ""),
    ],
)
def test_the_host_compiler_in_nvccs_flags(flags: str, program: str) -> None:
    assert parse_ccbin(flags) == program


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("cmake version 3.22.1\n\nCMake suite maintained", (3, 22, 1)),
        ("cmake version 4.1.0-rc2", (4, 1, 0)),
        ("cmake version 3.27.20230701-g1234", (3, 27, 20230701)),
        ("cmake: not found", None),
    ],
)
def test_the_version_of_cmake(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_cmake(text) == version
