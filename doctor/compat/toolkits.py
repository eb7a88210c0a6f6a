"""What each nvcc accepts: host compilers and GPU architectures, as dated rows. Judging machines is for rules.

Sources: `crt/host_config.h` of each release from 11.7 on (GCC and clang maxima; status verified-file), older ones where
spack, nixpkgs and torch agree (secondary); GCC minima from the installation guides. Architectures: `ptxas --help` of
each release from 11.7 on, older ones from meson, clang and spack. There is no CUDA 12.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.compat import About

if TYPE_CHECKING:
    from doctor.facts import Capability, Version

AS_OF = "2026-11"
ABOUT = About(
    "the host compilers and GPU architectures of each nvcc",
    AS_OF,
    (
        "verified-file: crt/host_config.h and ptxas --help of each release from 11.7 on",
        "secondary: spack, nixpkgs, torch, meson and clang where they agree",
        "GCC minima: the installation guides",
    ),
)


@dataclass(frozen=True, slots=True)
class ToolkitRow:
    """One CUDA release: the GCC majors nvcc accepts, the newest clang, and the architectures it compiles for."""

    cuda: tuple[int, int]
    gcc_min: int
    gcc_max: int
    clang_max: int
    sm: tuple[int, ...]
    source: str

    def compiles_for(self, capability: Capability) -> bool:
        """Return whether nvcc knows the architecture of this GPU by name."""
        return capability[0] * 10 + capability[1] in self.sm


TOOLKITS = (
    ToolkitRow((13, 5), 6, 16, 22, (75, 80, 86, 87, 88, 89, 90, 100, 103, 107, 110, 120, 121), "verified-file"),
    ToolkitRow((13, 4), 6, 16, 22, (75, 80, 86, 87, 88, 89, 90, 100, 103, 107, 110, 120, 121), "verified-file"),
    ToolkitRow((13, 3), 6, 15, 21, (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121), "verified-file"),
    ToolkitRow((13, 2), 6, 15, 21, (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121), "verified-file"),
    ToolkitRow((13, 1), 6, 15, 21, (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121), "verified-file"),
    ToolkitRow((13, 0), 6, 15, 20, (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121), "verified-file"),
    ToolkitRow(
        (12, 9),
        6,
        14,
        19,
        (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 103, 120, 121),
        "verified-file",
    ),
    ToolkitRow(
        (12, 8), 6, 14, 19, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 120), "verified-file"
    ),
    ToolkitRow((12, 6), 6, 13, 18, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 5), 6, 13, 17, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 4), 6, 13, 17, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 3), 6, 12, 16, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 2), 6, 12, 16, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 1), 6, 12, 15, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((12, 0), 6, 12, 14, (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((11, 8), 6, 11, 14, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90), "verified-file"),
    ToolkitRow((11, 7), 6, 11, 13, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87), "verified-file"),
    ToolkitRow((11, 6), 6, 11, 13, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87), "secondary"),
    ToolkitRow((11, 5), 6, 11, 12, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87), "secondary"),
    ToolkitRow((11, 4), 6, 11, 12, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87), "secondary"),
    ToolkitRow((11, 3), 5, 10, 11, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86), "secondary"),
    ToolkitRow((11, 2), 5, 10, 11, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86), "secondary"),
    ToolkitRow((11, 1), 5, 10, 10, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86), "secondary"),
    ToolkitRow((11, 0), 5, 9, 9, (35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80), "secondary"),
    ToolkitRow((10, 2), 5, 8, 8, (30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75), "secondary"),
    ToolkitRow((10, 1), 5, 8, 8, (30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75), "secondary"),
    ToolkitRow((10, 0), 5, 7, 6, (30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75), "secondary"),
)
NEWEST = TOOLKITS[0].cuda


def toolkit_row(nvcc: Version) -> ToolkitRow | None:
    """Return the row of the release that this nvcc belongs to, None where the table has none."""
    return next((row for row in TOOLKITS if row.cuda == nvcc[:2]), None)


def first_toolkit_for(capability: Capability) -> tuple[int, int] | None:
    """Return the oldest release that compiles for this GPU, None where no known one does."""
    fitting = [row.cuda for row in TOOLKITS if row.compiles_for(capability)]
    return min(fitting) if fitting else None


# the family names that torch.utils.cpp_extension reads in TORCH_CUDA_ARCH_LIST (torch 2.11; Tegra's moved over time)
FAMILIES: dict[str, tuple[Capability, ...]] = {
    "Kepler+Tesla": ((3, 7),),
    "Kepler": ((3, 5),),
    "Maxwell+Tegra": ((5, 3),),
    "Maxwell": ((5, 0), (5, 2)),
    "Pascal": ((6, 0), (6, 1)),
    "Volta+Tegra": ((7, 2),),
    "Volta": ((7, 0),),
    "Turing": ((7, 5),),
    "Ampere+Tegra": ((8, 7),),
    "Ampere": ((8, 0), (8, 6)),
    "Ada": ((8, 9),),
    "Hopper": ((9, 0),),
    "Blackwell+Tegra": ((11, 0),),
    "Blackwell": ((10, 0), (10, 3), (12, 0), (12, 1)),
}


@dataclass(frozen=True, slots=True)
class ArchList:
    """TORCH_CUDA_ARCH_LIST: the architectures, their names as in a binary, and the words that are none."""

    archs: tuple[Capability, ...] = ()
    names: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


def parse_arch_list(text: str) -> ArchList:
    """Read `8.6;9.0a 12.0+PTX` as PyTorch does: words split by semicolons or spaces, never by commas."""
    archs: list[Capability] = []
    names: list[str] = []
    bad: list[str] = []
    for word in re.split(r"[;\s]+", text.strip()):
        found = re.fullmatch(r"([0-9]{1,2})\.([0-9])([af]?)(\+PTX)?", word, re.ASCII)
        if found:
            number = f"{found[1]}{found[2]}{found[3]}"
            archs.append((int(found[1]), int(found[2])))
            names += [f"sm_{number}"] + ([f"compute_{number}"] if found[4] else [])
        elif word in FAMILIES:
            archs += FAMILIES[word]
            names += [f"sm_{major}{minor}" for major, minor in FAMILIES[word]]
            names += ["compute_{}{}".format(*FAMILIES[word][-1])] if "+" not in word else []
        elif word:
            bad.append(word)
    return ArchList(tuple(archs), tuple(names), tuple(bad))
