"""Which GPU code runs on which GPU: the binary-compatibility rule of the CUDA programming guide, written once.

A cubin for X.Y runs on X.Z with Z >= Y; Tegra chips take only their own; `a` code only its own chip, `f` code its
family (same major, same or higher minor). PTX of X.Y is compiled on first use for any later GPU, by a driver that knows
its version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from doctor.compat import About

if TYPE_CHECKING:
    from collections.abc import Iterable

    from doctor.facts import Capability

AS_OF = "2026-11"
ABOUT = About(
    "which code runs on a GPU of each compute capability",
    AS_OF,
    (
        "the binary-compatibility rule of the CUDA programming guide",
        "toolkits: ptxas --help of each release from 11.7 on, older ones from meson, clang and spack",
        "last driver branch: the driver installation guide of branch 610",
    ),
)
Coverage = Literal["native", "ptx", "none"]
TEGRA: frozenset[Capability] = frozenset({(5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)})
ENTRY = re.compile(r"(sm|compute)_([0-9]{1,2})([0-9])([af]?)", re.ASCII)


def coverage(archs: Iterable[str], capability: Capability) -> Coverage:
    """Return how code for `archs` (sm_80, compute_90, sm_90a …) reaches a GPU; other entries are left out."""
    entries = [match for entry in archs if (match := ENTRY.fullmatch(entry))]
    if any(match[1] == "sm" and _runs(match, capability) for match in entries):
        return "native"
    return "ptx" if any(match[1] == "compute" and _compiles(match, capability) for match in entries) else "none"


def _runs(match: re.Match[str], capability: Capability) -> bool:
    code = int(match[2]), int(match[3])
    if match[4] == "a" or code in TEGRA or capability in TEGRA:
        return code == capability
    return code[0] == capability[0] and code[1] <= capability[1]


def _compiles(match: re.Match[str], capability: Capability) -> bool:
    code = int(match[2]), int(match[3])
    if match[4]:
        return _runs(match, capability)
    return code <= capability
