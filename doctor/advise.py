"""Which pinned stack fits this machine, why the others do not, and what to type next. Pure: facts in, advice out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.compat.archs import coverage
from doctor.compat.recipes import MIB, ROOM_FOR_NUSCENES, need_of, smaller
from doctor.facts import (
    GIB,
    DataSet,
    Disk,
    Driver,
    DriverLibraries,
    Gpus,
    KernelModule,
    PciGpus,
    System,
    dotted,
    dotted_driver,
)
from doctor.finding import Goal
from doctor.words import counted, joined, say

if TYPE_CHECKING:
    from doctor.facts import Capability, Version
    from doctor.machine import Machine
    from doctor.stacks import Stack, Stacks

SMOKE = "./bevready repro --recipe bevformer_tiny --data synth --smoke"


@dataclass(frozen=True, slots=True)
class Fit:
    """How a stack fits: `rejections` say why it cannot be taken, `remarks` what to know if it is.

    `covered` are the places, in the driver's order, of the GPUs that it has code for.
    """

    stack: Stack
    rejections: tuple[str, ...]
    remarks: tuple[str, ...]
    covered: tuple[int, ...]
    in_full: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """All stacks, the best first, and the command to type next; `choice` is None where none can use the GPUs.

    `recipe` says what the goal's recipe lacks here: GPU memory, room on disk, data.
    """

    choice: Stack | None
    ranking: tuple[Fit, ...]
    next_command: str
    why: str
    recipe: tuple[str, ...] = ()


def advise(machine: Machine, stacks: Stacks, goal: Goal | None = None) -> Advice:
    """Rank the stacks: those that fit first, by GPUs covered, by the driver having all of their CUDA, by age.

    Where the driver only runs a stack by minor-version compatibility, the oldest such stack misses least.
    """
    goal = goal or Goal()
    gpus = _capabilities(machine)
    ranking = tuple(sorted((_fit(stack, machine, gpus) for stack in stacks.known), key=_rank))
    best = ranking[0]
    lacks = _lacks(machine, goal) if goal.kind == "recipe" else ()
    if best.rejections:
        words = joined("; ", (_rejected(fit) for fit in ranking))
        why = say("no pinned stack can use this machine: {words}", words=words)
        return Advice(None, ranking, f"BEVREADY_STACK={stacks.known[0].name} ./bevready doctor", why, lacks)
    command = _choose_gpus(best, len(gpus)) + _next(machine, goal)
    told = _for_gpus(len(gpus)) if gpus else "no GPU that is known: it runs on the CPU"
    return Advice(best.stack, ranking, command, told, lacks)


def _rejected(fit: Fit) -> str:
    return say("{stack}: {reasons}", stack=fit.stack.name, reasons=joined(", ", fit.rejections))


def _for_gpus(number: int) -> str:
    return counted(number, "for {number} GPU", "for {number} GPUs")


def _next(machine: Machine, goal: Goal) -> str:
    """Return the command that serves the goal; a recipe runs on the data set that was found, else on synthetic data."""
    if goal.kind == "build-ext":
        return "./bevready build-ext"
    if goal.kind == "docker":
        return "./bevready docker-run doctor"
    if goal.kind == "run":
        return SMOKE
    data = machine.data_set
    if not isinstance(data, DataSet) or data.missing_tables or not data.versions:
        return f"./bevready repro --recipe {goal.recipe} --data synth --smoke"
    mini = "" if "v1.0-trainval" in data.versions else " --data nuscenes-mini"
    return f"./bevready repro --recipe {goal.recipe}{mini} --dataroot {data.path}"


def _choose_gpus(fit: Fit, num_gpus: int) -> str:
    """Return the variables that leave only the covered GPUs visible, empty where all are."""
    if len(fit.covered) in {0, num_gpus}:
        return ""
    return f"CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={','.join(map(str, fit.covered))} "


def _lacks(machine: Machine, goal: Goal) -> tuple[str, ...]:
    """Return what the recipe lacks on this machine, each with what to do."""
    return tuple(filter(None, (_memory_lacks(machine, goal.recipe), *_data_lacks(machine))))


def _memory_lacks(machine: Machine, recipe: str) -> str:
    need = need_of(recipe)
    sizes = [gpu.memory for gpu in machine.gpus.found if gpu.memory] if isinstance(machine.gpus, Gpus) else []
    if need is None or not sizes or max(sizes) >= need.training:
        return ""
    words = {"recipe": recipe, "need": f"{need.training / MIB / 1024:.1f}", "here": f"{max(sizes) / GIB:.1f}"}
    other = smaller(max(sizes))
    if other is None:
        return say("training {recipe} takes about {need} GiB per GPU, here are {here}: evaluate only", **words)
    text = "training {recipe} takes about {need} GiB per GPU, here are {here}: evaluate only, or train {other}"
    return say(text, **words, other=other)


def _data_lacks(machine: Machine) -> tuple[str, ...]:
    """Return that there is no data set, and that there would be no room for one."""
    if isinstance(machine.data_set, DataSet) and machine.data_set.versions:
        return ()
    told = "no nuScenes folder is named: add --dataroot DIR; without one, --data synth tries everything but the numbers"
    disk = machine.disk
    if not isinstance(disk, Disk) or disk.free >= ROOM_FOR_NUSCENES:
        return (told,)
    room = say(
        "{free} GB are free at {path}; nuScenes trainval takes about {needed}",
        free=f"{disk.free / 10**9:.0f}",
        path=disk.path,
        needed=f"{ROOM_FOR_NUSCENES / 10**9:.0f}",
    )
    return told, room


def _rank(fit: Fit) -> tuple[bool, int, bool, tuple[int, int]]:
    major, minor = fit.stack.cuda
    newest_first = (-major, -minor)
    if fit.rejections:
        return True, 0, False, newest_first
    return False, -len(fit.covered), not fit.in_full, newest_first if fit.in_full else fit.stack.cuda


def _fit(stack: Stack, machine: Machine, gpus: tuple[Capability, ...]) -> Fit:
    cpu = machine.system.machine if isinstance(machine.system, System) else "x86_64"
    reached = [coverage(stack.archs_for(cpu), gpu) for gpu in gpus]
    covered = tuple(place for place, how in enumerate(reached) if how != "none")
    rejections: list[str] = []
    remarks: list[str] = []
    if gpus and not covered:
        archs = " ".join(stack.archs_for(cpu)) or say("no GPU at all on {cpu}", cpu=cpu)
        rejections.append(say("it has code for {archs}, not for {sm}", archs=archs, sm=f"sm_{gpus[0][0]}{gpus[0][1]}"))
    elif len(covered) < len(gpus):
        words = "it covers {covered} of {number} GPUs: choose them with CUDA_VISIBLE_DEVICES"
        remarks.append(say(words, covered=len(covered), number=len(gpus)))
    if "ptx" in reached:
        remarks.append("one GPU runs from PTX: its first start takes minutes")
    version = _driver_version(machine) if gpus else None
    in_full = version is None or version >= stack.full_driver
    oldest = dotted_driver(stack.min_driver)
    if version is not None and version < stack.min_driver:
        rejections.append(say("it needs driver {oldest}, here is {here}", oldest=oldest, here=dotted_driver(version)))
    elif version is not None and not in_full:
        words = "driver {here} runs CUDA {cuda} by minor-version compatibility"
        remarks.append(say(words, here=dotted_driver(version), cuda=dotted(stack.cuda)))
    elif gpus and version is None:
        remarks.append(say("install a driver of {oldest} or newer ({why})", oldest=oldest, why=machine.driver))
    return Fit(stack, tuple(rejections), tuple(remarks), covered, in_full)


def _driver_version(machine: Machine) -> Version | None:
    """Return the driver's version from whoever knows it: a driver that does not answer still has one."""
    if isinstance(machine.driver, Driver):
        return machine.driver.version
    if isinstance(machine.kernel_module, KernelModule) and machine.kernel_module.loaded:
        return machine.kernel_module.loaded
    return machine.driver_libraries.version if isinstance(machine.driver_libraries, DriverLibraries) else None


def _capabilities(machine: Machine) -> tuple[Capability, ...]:
    """Return the GPUs' compute capabilities, from the driver or else from the PCI bus."""
    if isinstance(machine.gpus, Gpus):
        return tuple(gpu.capability for gpu in machine.gpus.found)
    if isinstance(machine.pci_gpus, PciGpus):
        return tuple(gpu.capability for gpu in machine.pci_gpus.found if gpu.capability)
    return ()
