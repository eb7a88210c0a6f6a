"""Which driver runs which CUDA, as dated rows. How to apply them is written here once; judging machines is for rules.

Sources: CUDA 13.2 Update 2 release notes, tables 2 and 3 (rows up to 13.2, cross-checked with meson's table);
13.3 from meson and two quotes of its release notes. 13.4 and 13.5 bundle no driver and have no number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.compat import About

if TYPE_CHECKING:
    from doctor.facts import Capability, Flavour, Version

AS_OF = "2026-11"
ABOUT = About(
    "the oldest driver that runs each CUDA",
    AS_OF,
    (
        "CUDA 13.2 Update 2 release notes, tables 2 and 3",
        "13.3: meson and two quotes of its release notes; 13.4 and 13.5 bundle no driver and have no row",
    ),
)


@dataclass(frozen=True, slots=True)
class DriverRow:
    """The Linux driver that came with the first release of a CUDA minor version: it runs all of it."""

    cuda: tuple[int, int]
    driver: Version
    source: str


DRIVERS = (
    DriverRow((13, 3), (610, 43, 2), "secondary-x2"),
    DriverRow((13, 2), (595, 45, 4), "verified-release-notes"),
    DriverRow((13, 1), (590, 44, 1), "verified-release-notes"),
    DriverRow((13, 0), (580, 65, 6), "verified-release-notes"),
    DriverRow((12, 9), (575, 51, 3), "verified-release-notes"),
    DriverRow((12, 8), (570, 26), "verified-release-notes"),
    DriverRow((12, 6), (560, 28, 3), "verified-release-notes"),
    DriverRow((12, 5), (555, 42, 2), "verified-release-notes"),
    DriverRow((12, 4), (550, 54, 14), "verified-release-notes"),
    DriverRow((12, 3), (545, 23, 6), "verified-release-notes"),
    DriverRow((12, 2), (535, 54, 3), "verified-release-notes"),
    DriverRow((12, 1), (530, 30, 2), "verified-release-notes"),
    DriverRow((12, 0), (525, 60, 13), "verified-release-notes"),
    DriverRow((11, 8), (520, 61, 5), "verified-release-notes"),
    DriverRow((11, 7), (515, 43, 4), "verified-release-notes"),
    DriverRow((11, 6), (510, 39, 1), "verified-release-notes"),
    DriverRow((11, 5), (495, 29, 5), "verified-release-notes"),
    DriverRow((11, 4), (470, 42, 1), "verified-release-notes"),
    DriverRow((11, 3), (465, 19, 1), "verified-release-notes"),
    DriverRow((11, 2), (460, 27, 3), "verified-release-notes"),
    DriverRow((11, 1), (455, 23), "verified-release-notes"),
    DriverRow((11, 0), (450, 51, 5), "verified-release-notes"),
    DriverRow((10, 2), (440, 33), "verified-release-notes"),
    DriverRow((10, 1), (418, 39), "verified-release-notes"),
    DriverRow((10, 0), (410, 48), "verified-release-notes"),
)

# Table 2: from this driver on, code built (as SASS) with any minor version of that CUDA major runs.
MINOR_VERSION_COMPATIBILITY: dict[int, Version] = {
    11: (450, 80, 2),
    12: (525, 60, 13),
    13: (580, 65, 6),
}

NEWEST_BRANCH = 615  # the driver of CUDA 13.4, named by CUTLASS 4.8 and cuDNN 9.25 (its exact number: unverified)
BRANCH_STEP = 5  # branches are numbered in steps of five; what lies between is an update or a preview

# The last driver branch for GPUs below a compute capability (driver installation guide of branch 610).
LAST_BRANCH_BELOW: tuple[tuple[Capability, int], ...] = (
    ((5, 0), 470),  # Kepler
    ((7, 5), 580),  # Maxwell, Pascal, Volta
)

# NVIDIA's two kernel modules (driver installation guide of branch 610): the open one begins with Turing, and from
# Blackwell on, and on Grace Hopper, the proprietary one does not work.
OPEN_FROM: Capability = (7, 5)
OPEN_ONLY_FROM: Capability = (10, 0)
OPEN_ONLY_NAME = "GH200"

# Forward compatibility (the package cuda-compat-X-Y) works on data-centre GPUs and
# some RTX server cards, never on consumer ones.
CONSUMER = re.compile(r"\b(?:GeForce|GTX|TITAN)\b", re.IGNORECASE)
DATA_CENTRE = re.compile(
    r"\bTesla\b|\b(?:A(?:2|10|10G|16|30|40|100|800)|[HB](?:20|100|200|300|800)|GH200|GB[23]00|L(?:2|4|20|40|40S))\b"
)

WSL_KERNEL: Version = (5, 10, 43, 3)  # Microsoft, "Enable NVIDIA CUDA on WSL 2"


def min_driver(cuda: tuple[int, int]) -> Version | None:
    """Return the oldest driver for this CUDA, minor-version compatibility counted; None where that is unknown."""
    if cuda[0] in MINOR_VERSION_COMPATIBILITY:
        return MINOR_VERSION_COMPATIBILITY[cuda[0]]
    return full_driver(cuda)


def full_driver(cuda: tuple[int, int]) -> Version | None:
    """Return the driver from which on nothing of this CUDA is missing; None where the table has no such row."""
    return next((row.driver for row in DRIVERS if row.cuda == cuda), None)


def is_newer_than_table(driver: Version) -> bool:
    """Return whether this driver's branch came after the table was written."""
    return driver[0] >= NEWEST_BRANCH + BRANCH_STEP


def last_branch_for(capability: Capability) -> int | None:
    """Return the last driver branch that knows this GPU, None where branches still come."""
    return next((branch for below, branch in LAST_BRANCH_BELOW if capability < below), None)


def needed_flavour(capability: Capability, name: str) -> Flavour:
    """Return the only module that drives this GPU, empty where both do."""
    if capability >= OPEN_ONLY_FROM or OPEN_ONLY_NAME in name:
        return "open"
    return "proprietary" if capability < OPEN_FROM else ""


def drives(module: Version, flavour: Flavour, capability: Capability, name: str) -> bool:
    """Return whether a module of this version and kind takes this GPU; an unknown kind is believed to."""
    last = last_branch_for(capability)
    if last is not None and module[0] > last:
        return False
    return not flavour or needed_flavour(capability, name) in {"", flavour}


def is_consumer(name: str) -> bool:
    """Return whether this is a GPU for which there is no forward compatibility."""
    return CONSUMER.search(name) is not None


def is_data_centre(name: str) -> bool:
    """Return whether this is a data-centre GPU, which has no display of its own."""
    return DATA_CENTRE.search(name) is not None
