"""The probes of compilers, build tools and the variables that steer a build on small recorded worlds."""

from __future__ import annotations

from doctor.facts import (
    BuildTools,
    BuildVariables,
    Compilers,
    CxxRuntime,
    HostCompiler,
    Unknown,
)
from doctor.probes.toolchain import (
    probe_build_tools,
    probe_build_variables,
    probe_compiler,
    probe_compilers,
    probe_cxx_runtimes,
)
from tests.doctor.worlds import there, world

PYTHON = "/usr/bin/python3"
CUDA = "/usr/local/cuda-12.8"


GCC_13 = {"code": 0, "out": ["g++ (GCC) 13.2.1 20240316"]}


class TestCompiler:
    def test_what_builds_take_by_default(self) -> None:
        host = world(programs={"g++": "/usr/bin/g++"}, commands={"/usr/bin/g++ --version": GCC_13})
        assert probe_compiler(host) == HostCompiler("gcc", (13, 2, 1), "/usr/bin/g++")

    def test_what_the_variable_names(self) -> None:
        clang = {"code": 0, "out": ["Ubuntu clang version 14.0.0-1ubuntu1.1"]}
        host = world(
            variables={"CXX": "clang++-14 -stdlib=libc++"},
            programs={"clang++-14": "/usr/bin/clang++-14", "c++": "/usr/bin/c++"},
            commands={"/usr/bin/clang++-14 --version": clang, "/usr/bin/c++ --version": GCC_13},
        )
        assert probe_compiler(host) == HostCompiler("clang", (14, 0, 0), "/usr/bin/clang++-14")

    def test_none(self) -> None:
        assert probe_compiler(world()) == Unknown("no c++, g++ or clang++ on PATH")
        wanted = world(variables={"CXX": "g++-13"}, programs={"g++": "/usr/bin/g++"})
        assert probe_compiler(wanted) == Unknown("CXX=g++-13 is not on PATH")

    def test_one_that_says_something_else(self) -> None:
        answers = {"/usr/bin/c++ --version": {"code": 0, "out": ["hello"]}}
        host = world(programs={"c++": "/usr/bin/c++"}, commands=answers)
        assert probe_compiler(host) == Unknown("/usr/bin/c++ --version: neither GCC nor clang", looked=False)
        silent = world(programs={"c++": "/usr/bin/c++"})
        why = "/usr/bin/c++ cannot be started: it was not there"
        assert probe_compiler(silent) == Unknown(f"/usr/bin/c++ --version: {why}", looked=False)


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
            commands={"/usr/bin/g++ --version": GCC_13},
        )
        found = probe_compilers(host)
        assert (found.cc, found.for_nvcc) == (gcc_12, None)

    def test_nvccs_flag_may_name_a_folder(self) -> None:
        host = world(variables={"NVCC_CCBIN": "/opt/gcc"}, programs={"/opt/gcc/g++": "/opt/gcc/g++"})
        assert probe_compilers(host) == Compilers()

    def test_no_variable_starts_nothing(self) -> None:
        answers = {"/usr/bin/g++ --version": GCC_13, "/usr/bin/gcc --version": GCC_13}
        host = world(programs={"g++": "/usr/bin/g++", "gcc": "/usr/bin/gcc"}, commands=answers)
        assert probe_compilers(host) == Compilers()

    def test_nvccs_own_variable_goes_before_all(self) -> None:
        host = world(
            variables={"NVCC_CCBIN": "g++-10", "CXX": "g++-12"},
            programs={"g++": "/usr/bin/g++", "g++-10": "/usr/bin/g++-10", "g++-12": "/usr/bin/g++-12"},
            commands={"/usr/bin/g++ --version": GCC_13},
        )
        assert probe_compilers(host).for_nvcc == HostCompiler("gcc", (10,), "/usr/bin/g++-10")


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
        assert probe_build_tools(host, PYTHON, thorough=False).cmake_version is None

    def test_a_ninja_beside_the_interpreter(self) -> None:
        host = world(access=there("/venv/bin/ninja"))
        assert probe_build_tools(host, "/venv/bin/python", thorough=True) == BuildTools(hidden_ninja="/venv/bin/ninja")
        both = world(access=there("/venv/bin/ninja"), programs={"ninja": "/usr/bin/ninja"})
        assert probe_build_tools(both, "/venv/bin/python", thorough=False) == BuildTools(ninja="/usr/bin/ninja")

    def test_nothing(self) -> None:
        assert probe_build_tools(world(), PYTHON, thorough=True) == BuildTools()
        assert str(BuildTools()) == "no ninja, cmake, git or make"
        assert str(probe_build_variables(world())) == "no variable steers a build"

    def test_variables(self) -> None:
        host = world(
            variables={
                "TORCH_CUDA_ARCH_LIST": " 8.6 ",
                "MAX_JOBS": "4",
                "CPATH": "/usr/local/cuda/include/:/opt/include",
                "CPLUS_INCLUDE_PATH": "/usr/include",
            },
            access=there("/usr/local/cuda/include/cuda_runtime.h"),
            links={"/usr/local/cuda/include": f"{CUDA}/include"},
        )
        assert probe_build_variables(host) == BuildVariables(
            arch_list="8.6", max_jobs="4", headers=(("CPATH", f"{CUDA}/include"),)
        )
        assert str(probe_build_variables(host)) == "TORCH_CUDA_ARCH_LIST=8.6, MAX_JOBS=4"

    def test_the_file_name_of_nvidias_linker_tells_its_release(self) -> None:
        host = world(
            variables={"LD_LIBRARY_PATH": "/a:/b:/c"},
            links={
                "/a/libnvJitLink.so.12": "/a/libnvJitLink.so.12.1.105",
                "/b/libnvJitLink.so.13": "/b/libnvJitLink.so.13.0.88",
                "/c/libnvJitLink.so.12": "/c/libnvJitLink.so.12",
            },
        )
        assert probe_build_variables(host).linkers == (("/a", (12, 1)), ("/b", (13, 0)))

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
