"""Which pinned stack fits this machine, why the others do not, and what to type next. Pure: facts in, advice out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.compat.archs import coverage
from doctor.facts import Driver, DriverLibraries, Gpus, KernelModule, PciGpus, System, dotted, dotted_driver
from doctor.words import counted, joined, say

if TYPE_CHECKING:
    from doctor.facts import Capability, Version
    from doctor.machine import Machine
    from doctor.stacks import Stack, Stacks


@dataclass(frozen=True, slots=True)
class Fit:
    """How a stack fits: `rejections` say why it cannot be taken, `remarks` what to know if it is."""

    stack: Stack
    rejections: tuple[str, ...]
    remarks: tuple[str, ...]
    num_gpus: int
    in_full: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """All stacks, the best first, and the command to type next; `choice` is None where none can use the GPUs.

    `recipe` says what the goal's recipe lacks here.
    """

    choice: Stack | None
    ranking: tuple[Fit, ...]
    next_command: str
    why: str
    recipe: tuple[str, ...] = ()


def advise(machine: Machine, stacks: Stacks) -> Advice:
    """Rank the stacks: those that fit first, by GPUs covered, by the driver having all of their CUDA, by age.

    Where the driver only runs a stack by minor-version compatibility, the oldest such stack misses least.
    """
    gpus = _capabilities(machine)
    ranking = tuple(sorted((_fit(stack, machine, gpus) for stack in stacks.known), key=_rank))
    best = ranking[0]
    if best.rejections:
        words = joined("; ", (_rejected(fit) for fit in ranking))
        why = say("no pinned stack can use this machine: {words}", words=words)
        return Advice(None, ranking, f"BEVREADY_STACK={stacks.known[0].name} ./bevready doctor", why)
    told = _for_gpus(len(gpus)) if gpus else "no GPU that is known: it runs on the CPU"
    return Advice(best.stack, ranking, "./bevready repro --recipe bevformer_tiny --data synth --smoke", told)


def _rejected(fit: Fit) -> str:
    return say("{stack}: {reasons}", stack=fit.stack.name, reasons=joined(", ", fit.rejections))


def _for_gpus(number: int) -> str:
    return counted(number, "for {number} GPU", "for {number} GPUs")


def _rank(fit: Fit) -> tuple[bool, int, bool, tuple[int, int]]:
    major, minor = fit.stack.cuda
    newest_first = (-major, -minor)
    if fit.rejections:
        return True, 0, False, newest_first
    return False, -fit.num_gpus, not fit.in_full, newest_first if fit.in_full else fit.stack.cuda


def _fit(stack: Stack, machine: Machine, gpus: tuple[Capability, ...]) -> Fit:
    cpu = machine.system.machine if isinstance(machine.system, System) else "x86_64"
    reached = [coverage(stack.archs_for(cpu), gpu) for gpu in gpus]
    covered = sum(how != "none" for how in reached)
    rejections: list[str] = []
    remarks: list[str] = []
    if gpus and not covered:
        archs = " ".join(stack.archs_for(cpu)) or say("no GPU at all on {cpu}", cpu=cpu)
        rejections.append(say("it has code for {archs}, not for {sm}", archs=archs, sm=f"sm_{gpus[0][0]}{gpus[0][1]}"))
    elif covered < len(gpus):
        words = "it covers {covered} of {number} GPUs: choose them with CUDA_VISIBLE_DEVICES"
        remarks.append(say(words, covered=covered, number=len(gpus)))
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
