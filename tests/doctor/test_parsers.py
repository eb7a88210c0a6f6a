"""Each parser on text in the tools' real formats (where from stands beside it), and no parser fails on any text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import Gpu, Torch, Unknown
from doctor.probes.driver import cuda_of, parse_child
from doctor.probes.pci import parse_module_version, parse_modules
from doctor.probes.python import parse_packages, parse_python, parse_torch_import, parse_torch_version
from doctor.probes.smi import parse_smi_banner, parse_smi_query
from doctor.probes.system import parse_meminfo, parse_os_release
from doctor.probes.toolchain import parse_compiler
from doctor.probes.toolkits import parse_nvcc
from doctor.versions import find_version

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20

BANNERS = [
    # rossumai/nvgpu pull request 15
    ("| NVIDIA-SMI 450.57       Driver Version: 450.57       CUDA Version: 11.0     |", (450, 57), (11, 0)),
    # the usual form up to release 595
    (
        "| NVIDIA-SMI 535.183.01    Driver Version: 535.183.01   CUDA Version: 12.2 |",
        (535, 183, 1),
        (12, 2),
    ),
    # CFSworks/nvml_fix issue 11: before CUDA was named
    ("| NVIDIA-SMI 396.24                 Driver Version: 396.24                    |", (396, 24), None),
    # sgl-project/sglang issue 27487: the second generation, from release 610
    (
        "| NVIDIA-SMI 610.43.02       KMD Version: 610.43.02  CUDA UMD Version: 13.3 |",
        (610, 43, 2),
        (13, 3),
    ),
    # the same text from a broken driver
    ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.195", None, None),
    ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None, None),
]


@pytest.mark.parametrize(("text", "driver", "cuda"), BANNERS)
def test_both_banner_generations_of_nvidia_smi(
    text: str, driver: tuple[int, ...] | None, cuda: tuple[int, int] | None
) -> None:
    assert parse_smi_banner(text) == (driver, cuda)


def test_the_query_of_nvidia_smi() -> None:
    text = "NVIDIA H100 80GB HBM3, 9.0, 81559, 580.95.05\nTesla T4, 7.5, [N/A], 580.95.05\n"
    gpus, version = parse_smi_query(text)
    assert gpus == (Gpu("NVIDIA H100 80GB HBM3", (9, 0), 81559 * MIB), Gpu("Tesla T4", (7, 5), None))
    assert version == (580, 95, 5)


def test_a_query_that_the_driver_does_not_know() -> None:
    assert parse_smi_query('Field "compute_cap" is not a valid field to query.\n') == ((), None)  # drivers before 510


@pytest.mark.parametrize(
    ("text", "version"),
    [
        # a public report with driver 580.95.05 (open module)
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build",
            (580, 95, 5),
        ),
        # the proprietary module
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.135  Fri Jan 10 20:00:00 UTC 2025", (550, 135)),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  595.71.05\nGCC",
            (595, 71, 5),
        ),
        ("GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04.2)", None),
        ("", None),
    ],
)
def test_the_version_of_the_kernel_module(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_module_version(text) == version


def test_the_list_of_modules() -> None:
    text = "nvidia_uvm 4907008 0 - Live 0x0\nnvidia 14417920 2 nvidia_uvm, Live 0x0\n\n"
    assert parse_modules(text) == {"nvidia_uvm", "nvidia"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        # nvcc 13.0.88, run for this test
        ("Cuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0.r13.0/compiler.36424714_0", (13, 0, 88)),
        # NVIDIA/apex issue 583
        ("Built on Sun_Jul_28_19:07:16_PDT_2019\nCuda compilation tools, release 10.1, V10.1.243", (10, 1, 243)),
        ("Cuda compilation tools, release 9.2", (9, 2)),
        ("nvcc: command not found", None),
    ],
)
def test_the_version_of_nvcc(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_nvcc(text) == version


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("c++ (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022", ("gcc", (12, 2, 0))),  # run for this test
        ("g++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\nCopyright", ("gcc", (11, 4, 0))),
        ("g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-22)", ("gcc", (8, 5, 0))),
        ("x86_64-conda-linux-gnu-c++ (conda-forge gcc 13.3.0-2) 13.3.0", ("gcc", (13, 3, 0))),
        ("Ubuntu clang version 14.0.0-1ubuntu1.1\nTarget: x86_64-pc-linux-gnu", ("clang", (14, 0, 0))),
        ("Debian clang version 19.1.7 (3)", ("clang", (19, 1, 7))),
        ("icpc: command line warning", None),
        ("", None),
    ],
)
def test_the_version_of_a_compiler(text: str, known: tuple[str, tuple[int, ...]] | None) -> None:
    assert parse_compiler(text) == known


def test_memory_of_this_and_of_old_kernels() -> None:
    assert parse_meminfo("MemTotal:       24684096 kB\nMemFree:        1 kB\nMemAvailable:   23764648 kB\n") == (
        24684096 * 1024,
        23764648 * 1024,
    )
    assert parse_meminfo("MemTotal: 8 kB\nMemFree: 4 kB\n") == (8192, 4096)
    assert parse_meminfo("nothing") is None


def test_the_name_of_the_distribution() -> None:
    assert (
        parse_os_release('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        == "Debian GNU/Linux 12 (bookworm)"
    )
    assert parse_os_release("") == "Linux"


@pytest.mark.parametrize(
    ("text", "torch"),
    [
        # torch/version.py of the wheels 2.11.0+cu130 and 2.13.0+cpu, read for this test
        (
            "__version__ = '2.11.0+cu130'\ndebug = False\ncuda: Optional[str] = '13.0'\n",
            Torch(version="2.11.0+cu130", cuda=(13, 0)),
        ),
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", Torch(version="2.13.0+cpu", cuda=None)),
        # torch 1.9.1
        ("__version__ = '1.9.1+cu111'\ncuda = '11.1'\n", Torch(version="1.9.1+cu111", cuda=(11, 1))),
        ("__version__ = '2.0.0'\n", None),
    ],
)
def test_torch_without_importing_it(text: str, torch: Torch | None) -> None:
    assert parse_torch_version(text) == torch


def test_torch_imported() -> None:
    row = {"version": "2.11.0+cu130", "cuda": "13.0", "archs": ["sm_75", "sm_80"], "usable": 1, "gpu_error": ""}
    known = parse_torch_import("a warning that torch prints\n" + json.dumps(row) + "\n")
    assert known is not None
    assert (known.archs, known.usable_gpus, known.imported) == (("sm_75", "sm_80"), 1, True)


def test_a_torch_that_names_no_architecture() -> None:
    row: dict[str, object] = {"version": "2.13.0+cpu", "cuda": None, "archs": [], "usable": 0, "gpu_error": ""}
    known = parse_torch_import(json.dumps(row))
    assert known is not None
    assert isinstance(known.archs, Unknown)


def test_a_torch_that_counts_infinitely_many_gpus_is_no_answer() -> None:
    row = {"version": "2.11.0", "cuda": "13.0", "archs": [], "usable": float("inf"), "gpu_error": ""}
    assert parse_torch_import(json.dumps(row)) is None


@pytest.mark.parametrize("told", [True, False, None])
def test_the_string_abi_is_torch_s_own_word_or_none(*, told: bool | None) -> None:
    row = {"version": "2.11.0", "cuda": "13.0", "archs": [], "usable": 0, "gpu_error": "", "cxx11_abi": told}
    known = parse_torch_import(json.dumps(row))
    assert known is not None
    assert known.cxx11_abi is told


def test_the_answer_of_a_child() -> None:
    row = {"code": 0, "driver": "580.95.05", "cuda": 13000, "library": "/l/libnvidia-ml.so.580.95.05"}
    answer = parse_child(json.dumps(row), "NVML")
    assert (answer.version, answer.cuda, answer.library) == ((580, 95, 5), (13, 0), (580, 95, 5))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"code": 0, "gpus": [{}]}', "[" * 9999])
def test_a_broken_answer_is_no_answer(text: str) -> None:
    assert parse_child(text, "NVML").code is None
    assert parse_python(text, "/usr/bin/python3") is None
    assert parse_packages(text, "/usr/bin/python3") is None
    assert parse_torch_import(text) is None


@pytest.mark.parametrize(("number", "version"), [(12080, (12, 8)), (11040, (11, 4)), (0, None), (-5, None)])
def test_how_the_driver_writes_cuda_versions(number: int, version: tuple[int, int] | None) -> None:
    assert cuda_of(number) == version


PARSERS: tuple[Callable[[str], object], ...] = (
    parse_smi_banner,
    parse_smi_query,
    parse_module_version,
    parse_modules,
    parse_nvcc,
    parse_compiler,
    parse_meminfo,
    parse_os_release,
    parse_torch_version,
    parse_torch_import,
    find_version,
    lambda text: parse_child(text, "NVML"),
    lambda text: parse_python(text, "/usr/bin/python3"),
    lambda text: parse_packages(text, "/usr/bin/python3"),
)
FRAGMENTS = (
    "Driver Version: |KMD Version: |CUDA UMD Version: |NVRM version: |Kernel Module  |release |, V|clang version |"
    "g++ (|) |MemTotal: | kB|\n|.|,|9.0|٣|²|999999999999|cuda = '|__version__ = '|'|\x00|\ud800"
)
WORDS = st.sampled_from(FRAGMENTS.split("|"))
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=30).map("".join))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "code",
    "driver",
    "cuda",
    "library",
    "gpus",
    "version",
    "glibc",
    "has_venv",
    "packages",
    "archs",
    "usable",
    "gpu_error",
]
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES).map(json.dumps)


@given(TEXTS)
def test_no_parser_fails_on_any_text(text: str) -> None:
    for parse in PARSERS:
        parse(text)


@given(DOCUMENTS)
def test_no_parser_fails_on_any_document(text: str) -> None:
    for parse in PARSERS:
        parse(text)
