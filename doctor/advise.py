"""Which pinned stack fits this machine, why the others do not, and what to type next. Pure: facts in, advice out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.compat.archs import coverage
from doctor.facts import Driver, DriverLibraries, Gpus, KernelModule, PciGpus, System, dotted, dotted_driver

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
    """All stacks, the best first, and the command to type next; `choice` is None where none can use the GPUs."""

    choice: Stack | None
    ranking: tuple[Fit, ...]
    next_command: str
    why: str


def advise(machine: Machine, stacks: Stacks) -> Advice:
    """Rank the stacks: those that fit first, by GPUs covered, by the driver having all of their CUDA, by age.

    Where the driver only runs a stack by minor-version compatibility, the oldest such stack misses least.
    """
    gpus = _capabilities(machine)
    ranking = tuple(sorted((_fit(stack, machine, gpus) for stack in stacks.known), key=_rank))
    best = ranking[0]
    if best.rejections:
        words = "; ".join(f"{fit.stack.name}: {', '.join(fit.rejections)}" for fit in ranking)
        cpu = stacks.known[0].name
        return Advice(
            None, ranking, f"BEVREADY_STACK={cpu} ./bevready doctor", f"no pinned stack can use this machine: {words}"
        )
    why = f"for {len(gpus)} GPU{'s' if len(gpus) != 1 else ''}" if gpus else "no GPU that is known: it runs on the CPU"
    return Advice(best.stack, ranking, "./bevready repro --recipe bevformer_tiny --data synth --smoke", why)


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
        archs = " ".join(stack.archs_for(cpu)) or f"no GPU at all on {cpu}"
        rejections.append(f"it has code for {archs}, not for sm_{gpus[0][0]}{gpus[0][1]}")
    elif covered < len(gpus):
        remarks.append(f"it covers {covered} of {len(gpus)} GPUs: choose them with CUDA_VISIBLE_DEVICES")
    if "ptx" in reached:
        remarks.append("one GPU runs from PTX: its first start takes minutes")
    version = _driver_version(machine) if gpus else None
    in_full = version is None or version >= stack.full_driver
    if version is not None and version < stack.min_driver:
        rejections.append(f"it needs driver {dotted_driver(stack.min_driver)}, here is {dotted_driver(version)}")
    elif version is not None and not in_full:
        remarks.append(f"driver {dotted_driver(version)} runs CUDA {dotted(stack.cuda)} by minor-version compatibility")
    elif gpus and version is None:
        remarks.append(f"install a driver of {dotted_driver(stack.min_driver)} or newer ({machine.driver})")
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
