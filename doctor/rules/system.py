"""SYS: memory for a build's jobs, CPU that a container is given, folders, limits, and the C++ runtime that loads."""

import re

from doctor.facts import GIB, BuildVariables, Cpu, CxxRuntimes, Memory, OpenFiles, Places, Toolkit
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

MEMORY_OF_A_JOB = 5 * GIB  # one nvcc over PyTorch's headers, as reported for large kernels
ROOM_FOR_BUILDS = 2 * GIB  # pip unpacks torch's wheels (0.9 GB the largest) below TMPDIR
FEWEST_OPEN_FILES = 1024


@rule("SYS01", "memory suffices for as many compilers as a build starts", category="build-tool")
def jobs_fit_memory(
    memory: Memory, cpu: Cpu, variables: BuildVariables, toolkit: Toolkit, goal: Goal
) -> Finding | None:
    """`Killed`, exit 137: ninja starts a compiler for every core, and each nvcc takes about 5 GiB."""
    asked = variables.max_jobs
    jobs = int(asked) if re.fullmatch(r"[0-9]{1,6}", asked, re.ASCII) else cpu.cores
    fitting = max(1, memory.available // MEMORY_OF_A_JOB)
    if not goal.builds or jobs <= fitting:
        return None
    return Finding(
        saw=say(
            "{jobs} compilers at once, about 5 GiB each, with {free} GiB of memory free",
            jobs=jobs,
            free=memory.available // GIB,
        ),
        expected=say("at most {fitting} at once", fitting=fitting),
        fix=(say("export MAX_JOBS={fitting}", fitting=fitting),),
        severity="warning",
        confidence="likely",
        evidence=(str(toolkit),),
    )


@rule("SYS02", "the folder for temporary files can be used", category="build-tool")
def temporary_folder_works(places: Places, goal: Goal) -> Finding | None:
    """Pip, compilers and data loaders keep files there; on noexec mounts what a build has made does not start."""
    place = places.temporary
    if place is None:
        return None
    free = ROOM_FOR_BUILDS if place.free is None else place.free
    full = free < ROOM_FOR_BUILDS
    if not place.writable:
        saw = say("{path} cannot be written", path=place.path)
    elif full:
        saw = say("{path} has {free} MiB free", path=place.path, free=free >> 20)
    elif place.noexec:
        saw = say("{path} is mounted noexec", path=place.path)
    else:
        return None
    return Finding(
        saw=saw,
        expected="a folder that can be written and executed from, with 2 GiB free",
        fix=("mkdir -p ~/tmp && export TMPDIR=~/tmp",),
        severity="warning" if goal.builds or full or not place.writable else "note",
    )


@rule("SYS03", "the home folder can be written", category="other")
def home_is_writable(places: Places) -> Finding | None:
    """PyTorch, pip and Triton keep what they compile and download below it."""
    home = places.home
    if home is None or home.writable:
        return None
    return Finding(
        saw=say("{path} cannot be written", path=home.path),
        expected="a folder of your own",
        fix=("export HOME=/path/with/room XDG_CACHE_HOME=/path/with/room/.cache",),
        severity="warning",
    )


@rule("SYS04", "the CPU cores that are seen are the cores that are given", category="other")
def cores_are_given(cpu: Cpu, goal: Goal) -> Finding | None:
    """Ninja, OpenMP and data loaders count cores; where the control group gives fewer they slow each other down."""
    if cpu.effective >= cpu.cores:
        return None
    return Finding(
        saw=say("{cores} CPU cores are seen, the control group gives {quota}", cores=cpu.cores, quota=f"{cpu.quota:g}"),
        expected="as many processes as cores are given",
        fix=(
            say("export MAX_JOBS={given} OMP_NUM_THREADS={given}", given=cpu.effective),
            "or start the container with more: docker run --cpus=8 …",
        ),
        severity=_for_build(goal),
    )


@rule("SYS05", "no older C++ runtime comes before the system's", category="glibc-or-libstdcxx")
def runtime_is_newest(runtimes: CxxRuntimes, goal: Goal) -> Finding | None:
    """`GLIBCXX_3.4.30 not found`: what the system's compiler builds needs a libstdc++ as new as its own."""
    system = runtimes.by("system")
    older = [one for one in runtimes.found if system and one.symbols < system.symbols and one.source != "system"]
    if not older:
        return None
    first = older[0]
    conda = first.source == "conda"
    remedy = "conda install -c conda-forge 'libstdcxx-ng>=13'" if conda else "unset LD_LIBRARY_PATH"
    return Finding(
        saw=say("{first} comes before {system}", first=first, system=system),
        expected="the newest one first",
        fix=(remedy, say("export LD_PRELOAD={path} # for one command", path=system.path if system else "")),
        severity=_for_build(goal) if conda else "warning",
        confidence="likely",
    )


@rule("SYS06", "enough files may be open", category="other")
def files_may_be_open(files: OpenFiles) -> Finding | None:
    """`Too many open files`: every worker of a data loader holds several for each batch that it hands over."""
    if files.soft >= FEWEST_OPEN_FILES:
        return None
    return Finding(
        saw=say("{soft} open files at most", soft=files.soft),
        expected=say("{fewest} or more", fewest=FEWEST_OPEN_FILES),
        fix=(
            say("ulimit -n {number}", number=min(files.hard, 65536)),
            *(("ask the administrator for more: /etc/security/limits.conf",) if files.hard < FEWEST_OPEN_FILES else ()),
        ),
        severity="warning",
    )


def _for_build(goal: Goal) -> Severity:
    return "warning" if goal.builds else "note"


RULES = (
    jobs_fit_memory,
    temporary_folder_works,
    home_is_writable,
    cores_are_given,
    runtime_is_newest,
    files_may_be_open,
)
