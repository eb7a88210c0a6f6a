"""CXX: both sides of each rule, and how the goal moves severity (dispute F7 of other doctors)."""

from __future__ import annotations

import pytest

from doctor.facts import (
    BuildTools,
    BuildVariables,
    Compilers,
    HostCompiler,
    Toolkit,
    ToolkitFolder,
    Toolkits,
    Torch,
    Unknown,
)
from doctor.finding import Goal
from doctor.rules import compiler

RUN, BUILD = Goal("run"), Goal("build-ext")
CU128 = Torch(version="2.9.1+cu128", cuda=(12, 8))
ALONE = Compilers()
TAKEN = Toolkits(
    found=(ToolkitFolder(root="/usr/local/cuda-12.8", kind="folder", version=(12, 8, 93)),),
    taken="/usr/local/cuda-12.8",
)


def gcc(*version: int) -> HostCompiler:
    return HostCompiler("gcc", version, "/usr/bin/g++")


def nvcc(*version: int) -> Toolkit:
    return Toolkit(version, "/usr/local/cuda/bin/nvcc")


class TestCompiler:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (BUILD, "problem")])
    def test_none_at_all(self, goal: Goal, severity: str) -> None:
        found = compiler.compiler_is_there(
            compilers=ALONE, compiler=Unknown("no c++, g++ or clang++ on PATH"), goal=goal
        )
        assert found is not None
        assert found.severity == severity

    def test_one_that_could_not_be_asked_is_not_called_missing(self) -> None:
        hung = Unknown("g++ gave no answer in 4 s", looked=False)
        assert compiler.compiler_is_there(compilers=ALONE, compiler=hung, goal=BUILD) is None

    def test_one_is_there(self) -> None:
        assert compiler.compiler_is_there(compilers=ALONE, compiler=gcc(12, 2, 0), goal=BUILD) is None

    @pytest.mark.parametrize(
        ("release", "newest"),
        [((11, 8), 11), ((12, 3), 12), ((12, 6), 13), ((12, 8), 14), ((12, 9), 14), ((13, 0), 15), ((13, 5), 16)],
    )
    def test_f7_each_nvcc_has_its_newest_gcc(self, release: tuple[int, int], newest: int) -> None:
        assert (
            compiler.nvcc_accepts_compiler(
                compilers=ALONE, toolkit=nvcc(*release, 1), compiler=gcc(newest, 1), goal=BUILD
            )
            is None
        )
        found = compiler.nvcc_accepts_compiler(
            compilers=ALONE, toolkit=nvcc(*release, 1), compiler=gcc(newest + 1, 1), goal=BUILD
        )
        assert found is not None
        assert f"g++-{newest}" in found.fix[0]

    def test_clang_has_its_own_bound(self) -> None:
        clang = HostCompiler("clang", (20, 1, 0), "/usr/bin/clang++")
        found = compiler.nvcc_accepts_compiler(compilers=ALONE, toolkit=nvcc(12, 8, 93), compiler=clang, goal=RUN)
        assert found is not None
        assert found.severity == "note"
        assert "clang++ 19 or older" in found.expected

    def test_f7_an_unknown_nvcc_is_not_judged(self) -> None:
        assert (
            compiler.nvcc_accepts_compiler(compilers=ALONE, toolkit=nvcc(14, 0, 1), compiler=gcc(20, 1), goal=BUILD)
            is None
        )

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (BUILD, "problem")])
    def test_too_old_for_the_headers(self, goal: Goal, severity: str) -> None:
        found = compiler.compiler_is_new_enough(compiler=gcc(8, 5, 0), torch=CU128, goal=goal)
        assert found is not None
        assert (found.severity, found.saw) == (severity, "g++ 8.5.0 at /usr/bin/g++ with torch 2.9.1+cu128")

    def test_new_enough(self) -> None:
        nobody = Unknown("torch is not installed")
        assert compiler.compiler_is_new_enough(compiler=gcc(9, 4, 0), torch=nobody, goal=BUILD) is None
        old_clang = HostCompiler("clang", (9, 0), "/usr/bin/clang++")
        assert compiler.compiler_is_new_enough(compiler=old_clang, torch=nobody, goal=BUILD) is not None

    def test_a_variable_that_leads_nowhere_is_not_called_a_missing_compiler(self) -> None:
        named = Compilers(absent=("CXX=g++-13",))
        nowhere = Unknown("CXX=g++-13 is not on PATH")
        assert compiler.compiler_is_there(compiler=nowhere, compilers=named, goal=BUILD) is None
        unseen = Unknown("no answer within 5 s", looked=False)
        assert compiler.compiler_is_there(compiler=nowhere, compilers=unseen, goal=BUILD) is not None
        other = Compilers(absent=("CC=gcc-13",))
        assert compiler.compiler_is_there(compiler=nowhere, compilers=other, goal=BUILD) is not None

    def test_nvcc_takes_the_compiler_that_its_flags_name(self) -> None:
        chosen = Compilers(for_nvcc=HostCompiler("gcc", (14,), "/usr/bin/g++-14"), cc=gcc(15, 1))
        assert (
            compiler.nvcc_accepts_compiler(toolkit=nvcc(12, 9, 86), compiler=gcc(15, 1), compilers=chosen, goal=BUILD)
            is None
        )

    def test_nvcc_takes_cc_where_no_flag_names_one(self) -> None:
        by_cc = Compilers(cc=HostCompiler("gcc", (16,), "/usr/bin/gcc-16"))
        found = compiler.nvcc_accepts_compiler(
            toolkit=nvcc(12, 9, 86), compiler=gcc(14, 1), compilers=by_cc, goal=BUILD
        )
        assert found is not None
        assert found.saw == "g++ 16 at /usr/bin/gcc-16 with nvcc 12.9"

    def test_f7_the_newest_compiler_that_fits_and_is_installed_is_named(self) -> None:
        installed = Compilers(found=tuple(HostCompiler("gcc", (n,), f"/usr/bin/g++-{n}") for n in (8, 13, 14, 15)))
        found = compiler.nvcc_accepts_compiler(
            toolkit=nvcc(12, 9, 86), compiler=gcc(15, 1), compilers=installed, goal=BUILD
        )
        assert found is not None
        assert found.fix == ("export NVCC_PREPEND_FLAGS='-ccbin /usr/bin/g++-14'",)

    def test_the_oldest_one_for_pytorch_is_proposed(self) -> None:
        nine = Compilers(found=(HostCompiler("gcc", (9,), "/usr/bin/g++-9"),))
        found = compiler.nvcc_accepts_compiler(toolkit=nvcc(12, 9, 86), compiler=gcc(15, 1), compilers=nine, goal=BUILD)
        assert found is not None
        assert found.fix == ("export NVCC_PREPEND_FLAGS='-ccbin /usr/bin/g++-9'",)

    def test_one_too_old_for_pytorch_is_not_proposed(self) -> None:
        old = Compilers(
            found=(HostCompiler("gcc", (8,), "/usr/bin/g++-8"), HostCompiler("clang", (14,), "/clang++-14"))
        )
        found = compiler.nvcc_accepts_compiler(toolkit=nvcc(12, 9, 86), compiler=gcc(15, 1), compilers=old, goal=BUILD)
        assert found is not None
        assert found.fix[0].startswith("sudo apt install g++-14 && ")

    def test_a_clang_package_has_another_name(self) -> None:
        clang = HostCompiler("clang", (20, 1, 0), "/usr/bin/clang++")
        found = compiler.nvcc_accepts_compiler(toolkit=nvcc(12, 8, 93), compiler=clang, compilers=ALONE, goal=BUILD)
        assert found is not None
        assert found.fix[0].startswith("sudo apt install clang-19 && ")


class TestVariables:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "problem")])
    def test_a_program_that_is_not_there(self, goal: Goal, severity: str) -> None:
        named = Compilers(absent=("CXX=g++-13", "NVCC_CCBIN=g++-12"))
        found = compiler.chosen_compilers_exist(compilers=named, goal=goal)
        assert found is not None
        assert (found.fix, found.severity) == (("unset CXX NVCC_CCBIN",), severity)
        assert found.saw == "CXX=g++-13 NVCC_CCBIN=g++-12, and there is no such program"

    def test_programs_that_are_there(self) -> None:
        assert compiler.chosen_compilers_exist(compilers=ALONE, goal=BUILD) is None

    @pytest.mark.parametrize(
        ("cc", "program"),
        [
            (HostCompiler("gcc", (9, 4), "/usr/bin/gcc-9"), "g++-9"),
            (HostCompiler("clang", (11, 0), "/usr/bin/clang"), "clang++-11"),
        ],
    )
    def test_cc_and_cxx_of_two_kinds(self, cc: HostCompiler, program: str) -> None:
        found = compiler.cc_matches_cxx(compiler=gcc(11, 4), compilers=Compilers(cc=cc), goal=BUILD)
        assert found is not None
        assert (found.fix[0], found.severity) == (f"export CXX={program}", "warning")

    def test_cc_and_cxx_of_one_kind(self) -> None:
        same = Compilers(cc=HostCompiler("gcc", (11, 2), "/usr/bin/gcc"))
        assert compiler.cc_matches_cxx(compiler=gcc(11, 4), compilers=same, goal=BUILD) is None
        assert compiler.cc_matches_cxx(compiler=gcc(11, 4), compilers=ALONE, goal=BUILD) is None

    def test_headers_of_another_toolkit(self) -> None:
        redirected = BuildVariables(headers=(("CPATH", "/usr/local/cuda-11.8/include"),))
        found = compiler.headers_are_of_the_toolkit(
            variables=redirected, toolkit=nvcc(12, 8, 93), toolkits=TAKEN, goal=BUILD
        )
        assert found is not None
        assert found.saw.startswith("CPATH=/usr/local/cuda-11.8/include, while a build takes nvcc 12.8.93")
        assert found.fix == ("unset CPATH",)

    @pytest.mark.parametrize("headers", [(), (("CPATH", "/usr/local/cuda-12.8/include"),)])
    def test_headers_of_the_toolkit(self, headers: tuple[tuple[str, str], ...]) -> None:
        own = BuildVariables(headers=headers)
        judged = compiler.headers_are_of_the_toolkit(variables=own, toolkit=nvcc(12, 8, 93), toolkits=TAKEN, goal=BUILD)
        assert judged is None

    def test_a_name_that_begins_alike_is_another_toolkit(self) -> None:
        alike = BuildVariables(headers=(("CPATH", "/usr/local/cuda-12.8-old/include"),))
        found = compiler.headers_are_of_the_toolkit(variables=alike, toolkit=nvcc(12, 8, 93), toolkits=TAKEN, goal=RUN)
        assert found is not None
        assert found.severity == "note"


class TestPair:
    @pytest.mark.parametrize(("release", "goal", "severity"), [((11, 5), BUILD, "warning"), ((11, 4), RUN, "note")])
    def test_the_pair_of_ubuntu_2204(self, release: tuple[int, int], goal: Goal, severity: str) -> None:
        found = compiler.headers_suit_nvcc(
            toolkit=nvcc(*release, 119), compiler=gcc(11, 4, 0), compilers=ALONE, goal=goal
        )
        assert found is not None
        assert found.severity == severity
        assert found.fix[0] == "sudo apt install g++-10 && export NVCC_PREPEND_FLAGS='-ccbin g++-10'"

    def test_g10_that_is_installed(self) -> None:
        installed = Compilers(found=(HostCompiler("gcc", (10,), "/usr/bin/g++-10"),))
        found = compiler.headers_suit_nvcc(
            toolkit=nvcc(11, 5, 119), compiler=gcc(11, 4, 0), compilers=installed, goal=BUILD
        )
        assert found is not None
        assert found.fix[0] == "export NVCC_PREPEND_FLAGS='-ccbin /usr/bin/g++-10'"

    @pytest.mark.parametrize(
        ("release", "version", "compilers"),
        [
            ((11, 6), (11, 4), ALONE),
            ((11, 5), (10, 5), ALONE),
            ((11, 5), (11, 4), Compilers(for_nvcc=HostCompiler("gcc", (10,), "/usr/bin/g++-10"))),
            ((11, 5), (11, 4), Compilers(for_nvcc=HostCompiler("clang", (11, 0), "/usr/bin/clang++-11"))),
        ],
        ids=["newer nvcc", "older g++", "g++-10 chosen", "clang 11"],
    )
    def test_silent(self, release: tuple[int, int], version: tuple[int, int], compilers: Compilers) -> None:
        judged = compiler.headers_suit_nvcc(
            toolkit=nvcc(*release, 1), compiler=gcc(*version), compilers=compilers, goal=BUILD
        )
        assert judged is None


class TestTools:
    def test_no_ninja(self) -> None:
        found = compiler.ninja_is_there(tools=BuildTools(), goal=BUILD)
        assert found is not None
        assert (found.fix[0], found.severity) == ("pip install ninja", "warning")

    def test_a_ninja_that_path_does_not_reach(self) -> None:
        found = compiler.ninja_is_there(tools=BuildTools(hidden_ninja="/home/user/venv/bin/ninja"), goal=BUILD)
        assert found is not None
        assert (found.fix, found.severity) == (("export PATH=/home/user/venv/bin:$PATH",), "warning")

    def test_ninja_counts_only_for_a_build(self) -> None:
        assert compiler.ninja_is_there(tools=BuildTools(), goal=RUN) is None
        assert compiler.ninja_is_there(tools=BuildTools(ninja="/usr/bin/ninja"), goal=BUILD) is None

    def test_cmake_4(self) -> None:
        tools = BuildTools(cmake="/usr/bin/cmake", cmake_version=(4, 0, 0))
        found = compiler.cmake_reads_old_projects(tools=tools, goal=BUILD)
        assert found is not None
        assert (found.saw, found.severity) == ("cmake 4.0.0", "note")
        assert compiler.cmake_reads_old_projects(tools=tools, goal=RUN) is None

    @pytest.mark.parametrize("version", [None, (3, 31, 6)])
    def test_cmake_3_or_none(self, version: tuple[int, ...] | None) -> None:
        tools = BuildTools(cmake="/usr/bin/cmake", cmake_version=version)
        assert compiler.cmake_reads_old_projects(tools=tools, goal=BUILD) is None
