"""CXX: a C++ compiler is there, new enough for PyTorch's headers and old enough for nvcc."""

from doctor.compat.toolkits import toolkit_row
from doctor.facts import HostCompiler, Toolkit, Torch, Unknown, dotted
from doctor.finding import Finding, Goal, rule

OLDEST_GCC, OLDEST_CLANG = 9, 10  # torch >= 2.2.2 refuses GCC below 9; clang 10 is the first with all of C++17


@rule("CXX01", "a C++ compiler is installed", category="toolkit-missing")
def compiler_is_there(compiler: HostCompiler | Unknown, goal: Goal) -> Finding | None:
    """The deformable-attention extension is compiled on this machine; without it the slower reference code runs."""
    if not isinstance(compiler, Unknown) or not compiler.looked:
        return None
    return Finding(
        saw=str(compiler),
        expected="g++ 9 or newer",
        fix=("sudo apt install g++ (Fedora, RHEL: sudo dnf install gcc-c++)",),
        severity="problem" if goal.builds else "warning",
    )


@rule("CXX02", "nvcc accepts the C++ compiler", category="host-compiler-too-new")
def nvcc_accepts_compiler(toolkit: Toolkit, compiler: HostCompiler, goal: Goal) -> Finding | None:
    """Nvcc refuses host compilers newer than it knows. bevready's own extension uses NVRTC and does not mind."""
    row = toolkit_row(toolkit.version[:2])
    if row is None:
        return None
    newest = row.gcc_max if compiler.family == "gcc" else row.clang_max
    if compiler.version[0] <= newest:
        return None
    program = "g++" if compiler.family == "gcc" else "clang++"
    return Finding(
        saw=f"{compiler} with nvcc {dotted(toolkit.version[:2])}",
        expected=f"{program} {newest} or older",
        fix=(f"sudo apt install {program}-{newest} && export NVCC_PREPEND_FLAGS='-ccbin {program}-{newest}'",),
        severity="warning" if goal.builds else "note",
    )


@rule("CXX03", "the C++ compiler is new enough for PyTorch's headers", category="host-compiler-too-old")
def compiler_is_new_enough(compiler: HostCompiler, torch: Torch | Unknown, goal: Goal) -> Finding | None:
    """PyTorch's headers are C++17 since 2.1 and refuse GCC below 9."""
    oldest = OLDEST_GCC if compiler.family == "gcc" else OLDEST_CLANG
    if compiler.version[0] >= oldest:
        return None
    return Finding(
        saw=f"{compiler}" + (f" with torch {torch.version}" if isinstance(torch, Torch) else ""),
        expected=f"version {oldest} or newer",
        fix=("sudo apt install g++-11 && export CXX=g++-11", "RHEL: sudo dnf install gcc-toolset-12-gcc-c++"),
        severity="problem" if goal.builds else "warning",
    )


RULES = (compiler_is_there, nvcc_accepts_compiler, compiler_is_new_enough)
