"""The pinned stacks of `env/`: what each brings and needs, read from its stack.json. Choosing one: `advise.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.facts import GIB, Version, dotted
from doctor.versions import parse_pair, parse_version
from doctor.words import say

if TYPE_CHECKING:
    from pathlib import Path


class StackError(ValueError):
    """A stack.json that cannot be used; the message names the file, what was seen and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A pinned stack of `env/`: what it brings and what it needs. `archs` is by CPU architecture."""

    name: str
    torch: str
    torchvision: str
    cuda: tuple[int, int]
    min_driver: Version
    full_driver: Version
    python_min: tuple[int, int]
    python_max: tuple[int, int]
    glibc_min: Version
    gcc_min: int
    gcc_max: int
    disk: int
    archs: tuple[tuple[str, tuple[str, ...]], ...]
    role: str = "native"

    def archs_for(self, machine: str) -> tuple[str, ...]:
        """Return the GPU architectures covered on this CPU architecture, none where the wheels carry no CUDA."""
        return dict(self.archs).get(machine, ())


@dataclass(frozen=True, slots=True)
class Stacks:
    """The pinned stacks, newest CUDA first."""

    known: tuple[Stack, ...]

    def __str__(self) -> str:
        """Return one line."""
        return ", ".join(stack.name for stack in self.known)


def read_stacks(folder: Path) -> Stacks:
    """Read every `*/stack.json` under `folder` that a machine may run on, newest CUDA first. Raises StackError.

    Stacks with the role "comparison" (the authors' own) are judged like the others, and never chosen.
    """
    files = sorted(folder.glob("*/stack.json"))
    if not files:
        words = "{folder}: expected env/<stack>/stack.json files and found none; restore them: git checkout -- env"
        raise StackError(say(words, folder=folder))
    stacks = [stack for path in files if (stack := _read_stack(path)).role == "native"]
    return Stacks(tuple(sorted(stacks, key=lambda stack: stack.cuda, reverse=True)))


def _read_stack(path: Path) -> Stack:
    try:
        return _stack(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, ValueError, TypeError, AttributeError, KeyError) as why:
        words = "{path}: not a usable stack description ({problem}); restore it: git checkout -- {path}"
        raise StackError(say(words, path=path, problem=repr(why))) from why


def _stack(row: dict[str, Any]) -> Stack:
    return Stack(
        name=str(row["name"]),
        torch=str(row["torch"]),
        torchvision=str(row["torchvision"]),
        cuda=parse_pair(row["cuda"]),
        min_driver=parse_version(row["min_driver"]),
        full_driver=parse_version(row["full_driver"]),
        python_min=parse_pair(row["python_min"]),
        python_max=parse_pair(row["python_max"]),
        glibc_min=parse_version(row["glibc_min"]),
        gcc_min=int(row["gcc_min"]),
        gcc_max=int(row["gcc_max"]),
        disk=int(row["disk_gib"]) * GIB,
        archs=tuple((machine, tuple(_arch(a) for a in archs)) for machine, archs in row["archs"].items()),
        role=str(row.get("role", "native")),
    )


def _arch(entry: str) -> str:
    """Return `sm_80` for 8.0 and `compute_120` for 12.0+PTX."""
    number = dotted(parse_pair(entry.removesuffix("+PTX"))).replace(".", "")
    return ("compute_" if entry.endswith("+PTX") else "sm_") + number
