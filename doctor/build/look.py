"""What stands here that a build depends on: the few facts it needs, and the doctor's word on whether to begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from doctor.build.plan import Plan, check_sources
from doctor.consult import HOME, consult, question_here
from doctor.facts import Gpus, Unknown, dotted
from doctor.finding import Goal
from doctor.probes import gather
from doctor.probes.driver import probe_driver
from doctor.probes.python import probe_python
from doctor.probes.toolchain import probe_compiler
from doctor.rules import ALL_RULES
from doctor.stacks import read_stacks
from doctor.toolchain import (
    ToolchainError,
    archs_for_devices,
    check_compiler,
    check_targets,
    find_nvrtc,
    find_torch,
    read_archs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from doctor.consult import Consultation
    from doctor.facts import Environment, HostCompiler, Packages, Torch
    from doctor.shell import Host
    from doctor.toolchain import Nvrtc, TargetTorch

# whose rules a build asks; data, networks and other people's packages are not its business
ROOMS = ("SYS", "DRV", "WSL", "STK", "TOR", "CXX", "CUD", "CON")
PATIENCE_S = 20.0
OLDEST_PYTHON = (3, 10)


@dataclass(frozen=True, slots=True)
class Seen:
    """The few facts that a build depends on."""

    packages: Packages | Unknown
    torch: Torch | Unknown
    environment: Environment | Unknown
    compiler: HostCompiler | Unknown
    gpus: Gpus | Unknown


def look(host: Host, python: str, *, gpus: bool) -> Seen:
    """Ask side by side for what a build depends on; for the GPUs only where they decide."""
    facts = gather(
        (
            (("compiler",), lambda: (probe_compiler(host),)),
            (("packages", "torch", "environment", "_extensions"), lambda: probe_python(host, python, deep=False)),
            (("_l", "_d", "gpus", "_w"), lambda: probe_driver(host) if gpus else (Unknown("not asked"),) * 4),
        ),
        PATIENCE_S,
    )
    return Seen(facts["packages"], facts["torch"], facts["environment"], facts["compiler"], facts["gpus"])


def plan_for(host: Host, python: str, arch: str, folder: Path) -> tuple[Plan, str]:
    """Return what to build, and a sentence on its architectures. Raises ToolchainError where something is missing."""
    check_sources(folder)
    seen = look(host, python, gpus=not arch)
    _check_python(seen.packages)
    torch = find_torch(python, seen.torch, seen.environment)
    archs, nvrtc, words = _architectures(host, torch, seen.gpus, arch)
    compiler = check_compiler(seen.compiler)
    plan = Plan(folder=folder, torch=torch, compiler=compiler, nvrtc=nvrtc, archs=archs, machine=host.machine())
    return plan, words


def _check_python(packages: Packages | Unknown) -> None:
    """Refuse an interpreter that does not answer, or that the operators' Python side does not run on."""
    if isinstance(packages, Unknown):
        raise ToolchainError(packages.why, "name an interpreter that starts: --python PATH")
    if packages.version[:2] < OLDEST_PYTHON:
        words = (
            f"{packages.python} is Python {dotted(packages.version)}; bevready's operators need {dotted(OLDEST_PYTHON)}"
        )
        raise ToolchainError(words, "name a newer one: --python PATH")


def _architectures(
    host: Host, torch: TargetTorch, gpus: Gpus | Unknown, arch: str
) -> tuple[tuple[str, ...], Nvrtc | None, str]:
    """Return the architectures, the compiler for them, and why these: asked for, present, or none."""
    if arch:
        nvrtc = find_nvrtc(host, torch)
        archs = read_archs(arch, _of_stack(host, torch, nvrtc) if arch.strip().lower() == "all" else ())
        check_targets(archs, nvrtc)
        return archs, nvrtc, f"asked for: {', '.join(archs)}"
    if isinstance(gpus, Unknown):
        return (), None, f"no device code: {gpus.why}; name the GPUs to build for: --arch 8.6,9.0 or --arch all"
    if torch.cuda is None:
        return (), None, f"no device code: torch {torch.version} is a CPU-only build and would not use {gpus}"
    nvrtc = find_nvrtc(host, torch)
    archs = archs_for_devices([gpu.capability for gpu in gpus.found], nvrtc.targets)
    return archs, nvrtc, f"for {gpus}"


def _of_stack(host: Host, torch: TargetTorch, nvrtc: Nvrtc) -> tuple[str, ...]:
    """Return the architectures of the pinned stack of this CUDA release; of another release, what NVRTC and we know."""
    stacks = read_stacks(HOME / "env").known
    named = [stack.archs_for(host.machine()) for stack in stacks if stack.cuda == torch.cuda]
    archs = tuple(arch for arch in (named[0] if named else ()) if arch.startswith("sm_"))
    if not archs:
        cuda = dotted(torch.cuda or ())
        known = ", ".join(stack.name for stack in stacks)
        words = f"--arch all: torch {torch.version} is of CUDA {cuda}, and no pinned stack is ({known})"
        raise ToolchainError(
            words, f"name them; NVRTC {nvrtc.version} knows {', '.join(f'{n / 10:.1f}' for n in nvrtc.targets)}"
        )
    return archs


def preflight(host: Host, python: str) -> Consultation:
    """Ask the doctor whether to begin: the whole machine is looked at, the rules of the rooms that matter are asked."""
    rules = tuple(rule for rule in ALL_RULES if rule.code.startswith(ROOMS))
    question = replace(question_here(host, python=python), dataroot="")
    return consult(host, question=question, goal=Goal("build-ext"), rules=rules)
