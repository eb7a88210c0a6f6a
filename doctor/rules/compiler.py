"""CXX: a C++ compiler is there, new enough for PyTorch's headers and old enough for nvcc; and what else builds need."""

from doctor.compat.toolkits import toolkit_row
from doctor.facts import (
    BuildTools,
    BuildVariables,
    Compilers,
    HostCompiler,
    Toolkit,
    Toolkits,
    Torch,
    Unknown,
    dotted,
)
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

OLDEST_GCC, OLDEST_CLANG = 9, 10  # torch >= 2.2.2 refuses GCC below 9; clang 10 is the first with all of C++17
BAD_PAIRS = {((11, 4), 11), ((11, 5), 11)}  # nvcc takes GCC 11 and then fails in its std_function.h
CMAKE_WITHOUT_OLD_POLICIES = 4


@rule("CXX01", "a C++ compiler is installed", category="toolkit-missing")
def compiler_is_there(compiler: HostCompiler | Unknown, compilers: Compilers | Unknown, goal: Goal) -> Finding | None:
    """The deformable-attention extension is compiled on this machine; without it the slower reference code runs."""
    if not isinstance(compiler, Unknown) or not compiler.looked:
        return None
    if isinstance(compilers, Compilers) and any(named.startswith("CXX=") for named in compilers.absent):
        return None  # CXX04 says which variable to unset
    return Finding(
        saw=str(compiler),
        expected="g++ 9 or newer",
        fix=("sudo apt install g++ (Fedora, RHEL: sudo dnf install gcc-c++)",),
        severity="problem" if goal.builds else "warning",
    )


@rule("CXX02", "nvcc accepts the C++ compiler", category="host-compiler-too-new")
def nvcc_accepts_compiler(
    toolkit: Toolkit, compiler: HostCompiler, compilers: Compilers | Unknown, goal: Goal
) -> Finding | None:
    """Nvcc refuses host compilers newer than it knows. bevready's own extension uses NVRTC and does not mind."""
    row = toolkit_row(toolkit.version[:2])
    taken = _for_nvcc(compiler, compilers)
    if row is None:
        return None
    newest = row.gcc_max if taken.family == "gcc" else row.clang_max
    if taken.version[0] <= newest:
        return None
    program = "g++" if taken.family == "gcc" else "clang++"
    return Finding(
        saw=say("{compiler} with nvcc {nvcc}", compiler=taken, nvcc=dotted(toolkit.version[:2])),
        expected=say("{program} {newest} or older", program=program, newest=newest),
        fix=(_choose(compilers, taken.family, row.gcc_min, newest) or _install(program, newest),),
        severity=_for_build(goal),
    )


@rule("CXX03", "the C++ compiler is new enough for PyTorch's headers", category="host-compiler-too-old")
def compiler_is_new_enough(compiler: HostCompiler, torch: Torch | Unknown, goal: Goal) -> Finding | None:
    """PyTorch's headers are C++17 since 2.1 and refuse GCC below 9."""
    oldest = OLDEST_GCC if compiler.family == "gcc" else OLDEST_CLANG
    if compiler.version[0] >= oldest:
        return None
    return Finding(
        saw=say("{compiler} with torch {torch}", compiler=compiler, torch=torch.version)
        if isinstance(torch, Torch)
        else str(compiler),
        expected=say("version {oldest} or newer", oldest=oldest),
        fix=("sudo apt install g++-11 && export CXX=g++-11", "RHEL: sudo dnf install gcc-toolset-12-gcc-c++"),
        severity="problem" if goal.builds else "warning",
    )


@rule("CXX04", "the variables that choose a compiler name one that is there", category="build-tool")
def chosen_compilers_exist(compilers: Compilers, goal: Goal) -> Finding | None:
    """CXX, CC, CUDAHOSTCXX and nvcc's -ccbin are obeyed even where they lead nowhere: `No such file or directory`."""
    if not compilers.absent:
        return None
    variables = " ".join(named.partition("=")[0] for named in compilers.absent)
    return Finding(
        saw=say("{choice}, and there is no such program", choice=" ".join(compilers.absent)),
        expected="programs on PATH",
        fix=(say("unset {variables}", variables=variables),),
        severity="problem" if goal.builds else "note",
        evidence=(say("on PATH: {compilers}", compilers=compilers),),
    )


@rule("CXX05", "CC and CXX are one compiler", category="build-tool")
def cc_matches_cxx(compiler: HostCompiler, compilers: Compilers, goal: Goal) -> Finding | None:
    """PyTorch hands CC to nvcc and compiles C++ with CXX: of two versions, the objects may not link."""
    cc = compilers.cc
    if cc is None or (cc.family, cc.version[0]) == (compiler.family, compiler.version[0]):
        return None
    wanted = "g++" if cc.family == "gcc" else "clang++"
    return Finding(
        saw=say("CC is {cc}, C++ is compiled by {cxx}", cc=cc.path, cxx=compiler),
        expected="one family and one major version",
        fix=(say("export CXX={program}-{major}", program=wanted, major=cc.version[0]), "or: unset CC CXX"),
        severity=_for_build(goal),
    )


@rule("CXX06", "nvcc can read the C++ compiler's own headers", category="host-compiler-too-new")
def headers_suit_nvcc(
    toolkit: Toolkit, compiler: HostCompiler, compilers: Compilers | Unknown, goal: Goal
) -> Finding | None:
    """CUDA 11.5 and g++ 11, the pair of Ubuntu 22.04: `std_function.h: parameter packs not expanded with '...'`."""
    taken = _for_nvcc(compiler, compilers)
    if taken.family != "gcc" or (toolkit.version[:2], taken.version[0]) not in BAD_PAIRS:
        return None
    return Finding(
        saw=say("{compiler} with nvcc {nvcc}", compiler=taken, nvcc=dotted(toolkit.version[:2])),
        expected="g++ 10 with this nvcc, or CUDA 11.6 or newer",
        fix=(
            _choose(compilers, "gcc", OLDEST_GCC, 10) or _install("g++", 10),
            "better: the toolkit of your PyTorch's CUDA, from developer.nvidia.com/cuda-toolkit-archive",
        ),
        severity=_for_build(goal),
    )


@rule("CXX07", "no variable leads to the headers of another toolkit", category="toolkit-torch-mismatch")
def headers_are_of_the_toolkit(
    variables: BuildVariables, toolkit: Toolkit, toolkits: Toolkits, goal: Goal
) -> Finding | None:
    """CPATH is searched before the toolkit's own folders: headers of one CUDA meet the compiler of another."""
    own = f"{toolkits.taken}/"
    strange = [f"{name}={folder}" for name, folder in variables.headers if not f"{folder}/".startswith(own)]
    if not strange:
        return None
    return Finding(
        saw=say("{setting}, while a build takes {toolkit}", setting=strange[0], toolkit=toolkit),
        expected="no CUDA headers outside the toolkit",
        fix=(say("unset {variable}", variable=strange[0].partition("=")[0]),),
        severity=_for_build(goal),
        evidence=tuple(strange),
    )


@rule("CXX08", "ninja is on PATH", category="build-tool")
def ninja_is_there(tools: BuildTools, goal: Goal) -> Finding | None:
    """`Ninja is required to load C++ extensions`; without it setup scripts compile one file after the other."""
    if tools.ninja or not goal.builds:
        return None
    if tools.hidden_ninja:
        folder = tools.hidden_ninja.rpartition("/")[0]
        return Finding(
            saw=say("{ninja} is here, but PATH does not lead there", ninja=tools.hidden_ninja),
            expected="an activated environment",
            fix=(say("export PATH={folder}:$PATH", folder=folder),),
            severity="warning",
        )
    return Finding(
        saw="ninja is neither on PATH nor beside the interpreter",
        expected="ninja",
        fix=("pip install ninja", "or: sudo apt install ninja-build", "not needed for ./bevready build-ext"),
        severity="warning",
    )


@rule("CXX09", "cmake still reads old projects", category="build-tool")
def cmake_reads_old_projects(tools: BuildTools, goal: Goal) -> Finding | None:
    """CMake 4 refuses projects that ask for a version before 3.5, as packages of 2021 do."""
    if tools.cmake_version is None or tools.cmake_version[0] < CMAKE_WITHOUT_OLD_POLICIES or not goal.builds:
        return None
    return Finding(
        saw=say("cmake {version}", version=dotted(tools.cmake_version)),
        expected="cmake 3 for old projects",
        fix=("export CMAKE_POLICY_VERSION_MINIMUM=3.5", "or: pip install 'cmake<4'"),
        severity="note",
    )


def _for_nvcc(compiler: HostCompiler, compilers: Compilers | Unknown) -> HostCompiler:
    """Return the compiler that nvcc calls: the one that its flags or CC name, else the one of every build."""
    chosen = (compilers.for_nvcc or compilers.cc) if isinstance(compilers, Compilers) else None
    return chosen or compiler


def _choose(compilers: Compilers | Unknown, family: str, oldest: int, newest: int) -> str:
    """Return how to hand nvcc a compiler that is installed already; empty where none fits."""
    found = compilers.found if isinstance(compilers, Compilers) else ()
    fitting = [one for one in found if one.family == family and max(oldest, OLDEST_GCC) <= one.version[0] <= newest]
    if not fitting:
        return ""
    best = max(fitting, key=lambda one: one.version)
    return f"export NVCC_PREPEND_FLAGS='-ccbin {best.path}'"


def _install(program: str, major: int) -> str:
    package = f"{program}-{major}" if program == "g++" else f"clang-{major}"
    return f"sudo apt install {package} && export NVCC_PREPEND_FLAGS='-ccbin {program}-{major}'"


def _for_build(goal: Goal) -> Severity:
    return "warning" if goal.builds else "note"


RULES = (
    compiler_is_there,
    nvcc_accepts_compiler,
    compiler_is_new_enough,
    chosen_compilers_exist,
    cc_matches_cxx,
    headers_suit_nvcc,
    headers_are_of_the_toolkit,
    ninja_is_there,
    cmake_reads_old_projects,
)
