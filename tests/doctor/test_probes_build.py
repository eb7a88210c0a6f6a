"""The probes of toolkits, compilers and build tools on small recorded worlds."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.facts import (
    BuildTools,
    BuildVariables,
    Compilers,
    CudaHome,
    CxxRuntime,
    HostCompiler,
    Toolkit,
    ToolkitFolder,
    Toolkits,
    Unknown,
)
from doctor.probes.toolchain import (
    probe_build_tools,
    probe_build_variables,
    probe_compilers,
    probe_cxx_runtimes,
)
from doctor.probes.toolkits import HEADERS, probe_cuda_home, probe_toolkit, probe_toolkits
from doctor.record import Replay

PYTHON = "/usr/bin/python3"
CUDA = "/usr/local/cuda-12.8"
NVCC_128 = {"code": 0, "out": ["Cuda compilation tools, release 12.8, V12.8.93"]}


def world(**kinds: dict[str, Any]) -> Replay:
    return Replay({"schema_version": 1, **kinds})


def there(*paths: str) -> dict[str, str]:
    return dict.fromkeys(paths, "r")


def whole(root: str) -> dict[str, str]:
    return there(f"{root}/bin/nvcc", f"{root}/lib64/libcudart.so", *(f"{root}/include/{name}" for name in HEADERS))


class TestToolkit:
    def test_a_file_tells_the_version_and_nvcc_is_not_started(self) -> None:
        host = world(
            programs={"nvcc": f"{CUDA}/bin/nvcc"},
            access=whole(CUDA),
            folders={CUDA: ["bin", "include"]},
            files={f"{CUDA}/version.json": '{"cuda_nvcc": {"version": "12.8.93"}}'},
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), f"{CUDA}/bin/nvcc")

    def test_an_old_one_has_a_text_file(self) -> None:
        host = world(
            variables={"CUDA_PATH": "/opt/cuda"},
            access=there("/opt/cuda/bin/nvcc"),
            files={"/opt/cuda/version.txt": "CUDA Version 10.2.89"},
        )
        assert probe_toolkit(host) == Toolkit((10, 2, 89), "/opt/cuda/bin/nvcc", "CUDA_HOME")

    def test_nvcc_is_asked_where_no_file_tells(self) -> None:
        host = world(
            access=there("/usr/local/cuda/bin/nvcc"), commands={"/usr/local/cuda/bin/nvcc --version": NVCC_128}
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), "/usr/local/cuda/bin/nvcc", "/usr/local/cuda")

    def test_the_distributions_own_is_asked_too(self) -> None:
        host = world(
            programs={"nvcc": "/usr/bin/nvcc"},
            access=there("/usr/bin/nvcc"),
            files={"/usr/version.json": '{"cuda_nvcc": {"version": "13.5.1"}}'},
            commands={"/usr/bin/nvcc --version": NVCC_128},
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), "/usr/bin/nvcc")

    def test_one_that_does_not_answer_could_not_be_looked_at(self) -> None:
        host = world(access=there("/usr/local/cuda/bin/nvcc"))
        found = probe_toolkit(host)
        assert isinstance(found, Unknown)
        assert not found.looked

    @pytest.mark.parametrize(
        ("variables", "why"),
        [
            ({}, "no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda"),
            ({"CUDA_HOME": "/gone"}, "/gone/bin/nvcc does not exist"),
        ],
    )
    def test_none(self, variables: dict[str, str], why: str) -> None:
        assert probe_toolkit(world(variables=variables)) == Unknown(why)

    def test_what_it_lacks(self) -> None:
        host = world(
            programs={"nvcc": f"{CUDA}/bin/nvcc"},
            access={
                **there(f"{CUDA}/bin/nvcc", f"{CUDA}/targets/x86_64-linux/include/cuda_runtime.h"),
                **there(f"{CUDA}/include/cccl/thrust/version.h", f"{CUDA}/targets/x86_64-linux/lib/libcudart.so"),
                **there(f"{CUDA}/targets/x86_64-linux/include/cccl/cub/version.cuh"),
            },
            folders={CUDA: ["bin"]},
            files={f"{CUDA}/version.json": '{"cuda_nvcc": {"version": "12.8.93"}}'},
        )
        found = probe_toolkit(host)
        assert isinstance(found, Toolkit)
        assert found.lacks == ("cublas_v2.h", "cusparse.h", "cusolverDn.h")

    def test_other_numbered_folders_are_named(self) -> None:
        other, broken = "/usr/local/cuda-11.8", "/usr/local/cuda-12.1"
        host = world(
            programs={"nvcc": "/usr/local/cuda/bin/nvcc"},
            access=there("/usr/local/cuda/bin/nvcc", f"{CUDA}/bin/nvcc", f"{other}/bin/nvcc"),
            links={"/usr/local/cuda": CUDA, CUDA: CUDA, other: other, broken: broken},
            folders={"/usr/local": ["bin", "cuda", "cuda-11.8", "cuda-12.1", "cuda-12.8", "cuda-samples"]},
            commands={"/usr/local/cuda/bin/nvcc --version": NVCC_128},
        )
        found = probe_toolkit(host)
        assert isinstance(found, Toolkit)
        assert found.others == (other,)

    def test_cuda_home(self) -> None:
        assert probe_cuda_home(world()) == Unknown("CUDA_HOME is not set")
        host = world(variables={"CUDA_PATH": "/opt/cuda"}, access=there("/opt/cuda/bin/nvcc"))
        assert probe_cuda_home(host) == CudaHome("/opt/cuda", has_nvcc=True)


class TestToolkits:
    def test_every_kind_is_found(self) -> None:
        conda, venv = "/home/user/conda", "/home/user/venv"
        site = f"{venv}/lib/python3.11/site-packages"
        host = world(
            variables={"CONDA_PREFIX": conda},
            programs={"nvcc": f"{conda}/bin/nvcc"},
            access=there(
                *(f"{root}/bin/nvcc" for root in (conda, CUDA, "/usr/local/cuda", "/opt/cuda", "/usr")),
                f"{site}/nvidia/cu13/bin/nvcc",
            ),
            links={"/usr/local/cuda": CUDA, CUDA: CUDA},
            folders={
                "/usr/local": ["cuda", "cuda-12.8"],
                f"{conda}/conda-meta": ["cuda-nvcc-11.8.89-0.json"],
                f"{site}/nvidia": ["cu13", "cudnn"],
                site: ["nvidia", "nvidia_cuda_nvcc-13.0.88.dist-info"],
            },
        )
        assert probe_toolkits(host, f"{venv}/bin/python") == Toolkits(
            found=(
                ToolkitFolder(root=conda, kind="conda", version=(11, 8, 89)),
                ToolkitFolder(root=CUDA, kind="folder", version=(12, 8)),
                ToolkitFolder(root="/opt/cuda", kind="folder"),
                ToolkitFolder(root="/usr", kind="distribution"),
                ToolkitFolder(root=f"{site}/nvidia/cu13", kind="wheels", version=(13, 0, 88)),
            ),
            taken=conda,
            on_path=conda,
        )

    def test_none(self) -> None:
        assert probe_toolkits(world(), PYTHON) == Unknown("no CUDA toolkit on this machine")

    def test_one_that_nothing_leads_to(self) -> None:
        host = world(access=there(f"{CUDA}/bin/nvcc"), folders={"/usr/local": ["cuda-12.8"]})
        only = ToolkitFolder(root=CUDA, kind="folder", version=(12, 8))
        assert probe_toolkits(host, PYTHON) == Toolkits(found=(only,))

    def test_they_read_as_text(self) -> None:
        found = (
            ToolkitFolder(root=CUDA, kind="folder", version=(12, 8)),
            ToolkitFolder(root="/usr", kind="distribution"),
        )
        assert str(Toolkits(found=found)) == f"CUDA 12.8 at {CUDA}, CUDA of an unknown version at /usr"


class TestCompilers:
    def test_names_on_path_need_no_process(self) -> None:
        host = world(programs={"g++-12": "/usr/bin/g++-12", "clang++-19": "/usr/bin/clang++-19"})
        found = probe_compilers(host)
        assert found.found == (
            HostCompiler("gcc", (12,), "/usr/bin/g++-12"),
            HostCompiler("clang", (19,), "/usr/bin/clang++-19"),
        )
        assert str(found) == "g++-12, clang++-19"
        assert str(Compilers()) == "no further compiler"

    def test_what_the_variables_choose(self) -> None:
        host = world(
            variables={"CC": "ccache gcc", "NVCC_PREPEND_FLAGS": "-ccbin g++-10", "CXX": "g++-13"},
            programs={"gcc": "/usr/bin/gcc", "g++-10": "/usr/bin/g++-10"},
            commands={"/usr/bin/gcc --version": {"code": 0, "out": ["gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0"]}},
        )
        found = probe_compilers(host)
        assert found.cc == HostCompiler("gcc", (11, 4, 0), "/usr/bin/gcc")
        assert found.for_nvcc == HostCompiler("gcc", (10,), "/usr/bin/g++-10")
        assert found.absent == ("CXX=g++-13",)

    def test_nvcc_takes_gxx_whatever_cxx_says(self) -> None:
        host = world(
            variables={"CXX": "clang++-15"},
            programs={"g++": "/usr/bin/g++", "clang++-15": "/usr/bin/clang++-15"},
            commands={"/usr/bin/g++ --version": {"code": 0, "out": ["g++ (GCC) 13.2.1 20240316"]}},
        )
        assert probe_compilers(host).for_nvcc == HostCompiler("gcc", (13, 2, 1), "/usr/bin/g++")

    def test_pytorch_hands_cc_to_nvcc_before_that(self) -> None:
        gcc_12 = HostCompiler("gcc", (12,), "/usr/bin/gcc-12")
        host = world(
            variables={"CXX": "g++-12", "CC": "gcc-12"},
            programs={"g++": "/usr/bin/g++", "g++-12": "/usr/bin/g++-12", "gcc-12": "/usr/bin/gcc-12"},
        )
        found = probe_compilers(host)
        assert (found.cc, found.for_nvcc) == (gcc_12, None)

    def test_nvccs_flag_may_name_a_folder(self) -> None:
        host = world(variables={"NVCC_CCBIN": "/opt/gcc"}, programs={"/opt/gcc/g++": "/opt/gcc/g++"})
        assert probe_compilers(host) == Compilers()

    def test_no_variable_starts_nothing(self) -> None:
        assert probe_compilers(world(programs={"g++": "/usr/bin/g++", "gcc": "/usr/bin/gcc"})) == Compilers()


class TestBuild:
    def test_tools(self) -> None:
        host = world(programs={name: f"/usr/bin/{name}" for name in ("ninja", "cmake", "git", "make")})
        found = probe_build_tools(host, PYTHON, thorough=False)
        assert str(found) == "ninja, cmake, git, make"
        assert found.cmake_version is None

    def test_cmake_is_asked_before_a_build(self) -> None:
        answer = {"code": 0, "out": ["cmake version 4.1.0"]}
        host = world(programs={"cmake": "/usr/bin/cmake"}, commands={"/usr/bin/cmake --version": answer})
        assert probe_build_tools(host, PYTHON, thorough=True).cmake_version == (4, 1, 0)

    def test_a_ninja_beside_the_interpreter(self) -> None:
        host = world(access=there("/venv/bin/ninja"))
        assert probe_build_tools(host, "/venv/bin/python", thorough=True) == BuildTools(hidden_ninja="/venv/bin/ninja")
        both = world(access=there("/venv/bin/ninja"), programs={"ninja": "/usr/bin/ninja"})
        assert probe_build_tools(both, "/venv/bin/python", thorough=False) == BuildTools(ninja="/usr/bin/ninja")

    def test_nothing(self) -> None:
        assert str(probe_build_tools(world(), PYTHON, thorough=True)) == "no ninja, cmake, git or make"
        assert str(probe_build_variables(world())) == "no variable steers a build"

    def test_variables(self) -> None:
        host = world(
            variables={
                "TORCH_CUDA_ARCH_LIST": " 8.6 ",
                "MAX_JOBS": "4",
                "CPATH": "/usr/local/cuda/include/:/opt/include",
                "CPLUS_INCLUDE_PATH": "/usr/include",
            },
            access=there(
                "/usr/local/cuda/include/cuda_runtime.h",
            ),
            links={"/usr/local/cuda/include": f"{CUDA}/include"},
        )
        assert probe_build_variables(host) == BuildVariables(
            arch_list="8.6", max_jobs="4", headers=(("CPATH", f"{CUDA}/include"),)
        )
        assert str(probe_build_variables(host)) == "TORCH_CUDA_ARCH_LIST=8.6, MAX_JOBS=4"

    def test_the_file_name_of_libstdcxx_tells_its_symbols(self) -> None:
        system = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
        host = world(
            variables={"LD_LIBRARY_PATH": "/opt/lib", "CONDA_PREFIX": "/conda"},
            links={
                "/opt/lib/libstdc++.so.6": "/opt/lib/libstdc++.so.6.0.28",
                "/conda/lib/libstdc++.so.6": "/conda/lib/libstdc++.so.6.0.34",
                system: f"{system}.0.30",
                "/usr/lib64/libstdc++.so.6": "/usr/lib64/libstdc++.so.5.0.7",
            },
        )
        found = probe_cxx_runtimes(host)
        assert not isinstance(found, Unknown)
        assert found.found == (
            CxxRuntime("/opt/lib/libstdc++.so.6", 28, "LD_LIBRARY_PATH"),
            CxxRuntime("/conda/lib/libstdc++.so.6", 34, "conda"),
            CxxRuntime(system, 30, "system"),
        )
        assert "GLIBCXX_3.4.30" in str(found)

    def test_no_libstdcxx(self) -> None:
        assert probe_cxx_runtimes(world()) == Unknown("no libstdc++.so.6 in the usual folders")
