"""What the machine at hand adds to the cause that a log names: facts, findings, and which package to install again.

A log may come from another machine: what stands here is said apart from the cause and never changes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from doctor.compat.symbols import compiled_for, is_torch_symbol
from doctor.compat.torch import cxx11_abi, torch_row
from doctor.facts import (
    CudaHome,
    DataSet,
    Driver,
    Gpus,
    HostCompiler,
    KernelModule,
    Memory,
    Packages,
    PciGpus,
    System,
    Toolkit,
    Torch,
    dotted,
)
from doctor.versions import parse_version
from doctor.words import say

if TYPE_CHECKING:
    from doctor.consult import Consultation
    from doctor.logs.match import Hit
    from doctor.machine import Machine

FACTS: dict[str, tuple[type, ...]] = {
    "driver": (PciGpus, KernelModule, Driver),
    "secure-boot": (System, KernelModule),
    "driver-too-old-for-cuda": (Driver, Torch),
    "toolkit-missing": (Toolkit, CudaHome),
    "toolkit-torch-mismatch": (Toolkit, Torch),
    "host-compiler-too-new": (HostCompiler, Toolkit),
    "host-compiler-too-old": (HostCompiler, Torch),
    "gpu-arch-unsupported": (Gpus, Torch, Toolkit),
    "ext-missing-or-cpu-only": (Torch,),
    "ext-abi-mismatch": (Torch,),
    "torch-cpu-only-build": (Torch, Gpus),
    "header-removed-in-torch": (Torch,),
    "python-version": (Packages,),
    "build-tool": (Memory, HostCompiler),
    "docker-gpu-runtime": (System, Driver),
    "shared-memory-docker": (Memory,),
    "cuda-oom": (Gpus,),
    "dataset-layout": (DataSet,),
    "can-bus-missing": (DataSet,),
}
STACK_HELPS = frozenset({"driver-too-old-for-cuda", "gpu-arch-unsupported", "torch-cpu-only-build"})
PACKAGES_OF_CATEGORY = {
    "mm-stack-version-mismatch": ("mmcv", "mmcv-full", "mmcv-lite", "mmdet", "mmdet3d", "mmsegmentation", "mmengine"),
    "dependency-pin": ("numpy", "setuptools", "yapf", "numba", "protobuf", "torch"),
}
# whose file a shared object is, by a piece of its path
PACKAGE_OF_FILE = (
    (re.compile(r"mmcv/_ext"), "mmcv-full"),
    (re.compile(r"flash_attn"), "flash-attn"),
    (re.compile(r"torchvision/"), "torchvision"),
    (re.compile(r"detectron2/_C"), "detectron2"),
    (re.compile(r"torch_(scatter|sparse|cluster|spline_conv)"), r"torch-\1"),
    (re.compile(r"(spconv|xformers|natten|apex|pytorch3d|torchaudio)"), r"\1"),
    (re.compile(r"MultiScaleDeformableAttention"), "MultiScaleDeformableAttention"),
)


def here(hit: Hit, told: Consultation) -> tuple[str, ...]:
    """Return what this machine adds to a cause, the most telling first; nothing where it adds nothing."""
    machine, category = told.diagnosis.machine, hit.signature.category
    lines = [*_symbol(hit, machine), *_findings(category, told), *_facts(category, machine)]
    if category in STACK_HELPS and told.advice.choice:
        stack = told.advice.choice
        lines.append(say("the pinned stack that fits: {stack} (torch {torch})", stack=stack.name, torch=stack.torch))
    return tuple(dict.fromkeys(lines))


def _symbol(hit: Hit, machine: Machine) -> list[str]:
    """Return for which torch a module with an undefined symbol was compiled, and what to install again."""
    caught, torch = dict(hit.groups), machine.torch
    symbol, file = caught.get("symbol", ""), caught.get("file", "")
    if not isinstance(torch, Torch) or not is_torch_symbol(symbol):
        return []
    release = parse_version(torch.version)
    abi = cxx11_abi(release, torch.cuda)
    other = compiled_for([symbol], torch=release, cuda=torch.cuda is not None, cxx11_abi=abi)
    lines: list[str] = [
        say("torch {version} is installed; the module was compiled for {other}", version=torch.version, other=other)
    ]
    package = next((found.expand(to) for pattern, to in PACKAGE_OF_FILE if (found := pattern.search(file))), "")
    row = torch_row(release)
    if package == "torchvision" and row:
        lines.append(
            say(
                'install again: pip install --force-reinstall --no-deps "torchvision=={release}.*"',
                release=dotted(row.torchvision),
            )
        )
    elif package:
        words = (
            "install again, against this torch: "
            "pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation {package}"
        )
        lines.append(say(words, package=package))
    return lines


def _findings(category: str, told: Consultation) -> list[str]:
    """Return what the doctor itself finds wrong of this kind, here and now."""
    words = "the doctor sees it here too: {code}: {saw}"
    return [
        say(words, code=rule.code, saw=finding.saw)
        for rule, finding in told.diagnosis.findings
        if rule.category == category and category != "other"
    ]


def _facts(category: str, machine: Machine) -> list[str]:
    known = machine.known()
    lines = [str(known[fact]) if fact in known else _why_not(machine, fact) for fact in FACTS.get(category, ())]
    if category == "python-version" and isinstance(machine.packages, Packages):
        lines = [f"Python {dotted(machine.packages.version)} ({machine.packages.python})"]
    names = PACKAGES_OF_CATEGORY.get(category, ())
    if names and isinstance(machine.packages, Packages):
        have = [f"{name} {version}" for name in names if (version := machine.packages.of(name))]
        lines += [", ".join(have)] if have else []
    return [line for line in lines if line]


def _why_not(machine: Machine, fact: type) -> str:
    why = machine.why_unknown(fact)
    return why.why if why.looked else ""
