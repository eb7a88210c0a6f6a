"""PyTorch's official Linux builds, release by release, as dated rows. Judging machines is for rules.

Sources: metadata of one wheel per release line; PyTorch's RELEASE.md and previous-versions page; release scripts
for the architecture lists (`source`: measured, confirmed, source-script, inferred, conflict, unverified).
"""

from __future__ import annotations

from dataclasses import dataclass

from doctor.compat import About

AS_OF = "2026-11"
ABOUT = About(
    "PyTorch's official Linux builds",
    AS_OF,
    (
        "metadata of one wheel per release line; PyTorch's RELEASE.md and previous-versions page",
        (
            "architectures (x86_64): measured, confirmed by a maintainer's output, from the release scripts, inferred, "
            "in conflict between sources, or unverified, as each row says"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Build:
    """One CUDA variant of a release: its GPU code on x86_64, separated by spaces."""

    cuda: tuple[int, int]
    archs: str
    source: str


@dataclass(frozen=True, slots=True)
class TorchRow:
    """A release line: the Pythons with wheels, its torchvision line, and whether it runs on NumPy 2."""

    torch: tuple[int, int]
    python_min: tuple[int, int]
    python_max: tuple[int, int]
    torchvision: tuple[int, int]
    numpy2: bool
    builds: tuple[Build, ...]


RELEASES = (
    TorchRow(
        (1, 7),
        (3, 6),
        (3, 9),
        (0, 8),
        False,
        (
            Build((9, 2), "sm_37 sm_50 sm_60 sm_70", "source-script"),
            Build((10, 1), "sm_37 sm_50 sm_60 sm_70 sm_75", "source-script"),
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70 sm_75", "source-script"),
            Build((11, 0), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80", "source-script"),
        ),
    ),
    TorchRow(
        (1, 8),
        (3, 6),
        (3, 9),
        (0, 9),
        False,
        (
            Build((10, 1), "sm_37 sm_50 sm_60 sm_70", "conflict"),
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70", "conflict"),
            Build((11, 1), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "conflict"),
        ),
    ),
    TorchRow(
        (1, 9),
        (3, 6),
        (3, 9),
        (0, 10),
        False,
        (
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70", "measured"),
            Build((11, 1), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
        ),
    ),
    TorchRow(
        (1, 10),
        (3, 6),
        (3, 9),
        (0, 11),
        False,
        (
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70", "source-script"),
            Build((11, 1), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
            Build((11, 3), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
        ),
    ),
    TorchRow(
        (1, 11),
        (3, 7),
        (3, 10),
        (0, 12),
        False,
        (
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70", "source-script"),
            Build((11, 3), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
            Build((11, 5), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
        ),
    ),
    TorchRow(
        (1, 12),
        (3, 7),
        (3, 10),
        (0, 13),
        False,
        (
            Build((10, 2), "sm_37 sm_50 sm_60 sm_70", "source-script"),
            Build((11, 3), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
            Build((11, 6), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
        ),
    ),
    TorchRow(
        (1, 13),
        (3, 7),
        (3, 11),
        (0, 14),
        False,
        (
            Build((11, 6), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
            Build((11, 7), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
        ),
    ),
    TorchRow(
        (2, 0),
        (3, 8),
        (3, 11),
        (0, 15),
        False,
        (
            Build((11, 7), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86", "source-script"),
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 1),
        (3, 8),
        (3, 11),
        (0, 16),
        False,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 1), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 2),
        (3, 8),
        (3, 12),
        (0, 17),
        False,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 1), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 3),
        (3, 8),
        (3, 12),
        (0, 18),
        True,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 1), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 4),
        (3, 8),
        (3, 12),
        (0, 19),
        True,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 1), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 4), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 5),
        (3, 9),
        (3, 13),
        (0, 20),
        True,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 1), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 4), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 6),
        (3, 9),
        (3, 13),
        (0, 21),
        True,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 4), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "inferred"),
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
        ),
    ),
    TorchRow(
        (2, 7),
        (3, 9),
        (3, 13),
        (0, 22),
        True,
        (
            Build((11, 8), "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "inferred"),
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "measured"),
            Build((12, 8), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 8),
        (3, 9),
        (3, 13),
        (0, 23),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "inferred"),
            Build((12, 8), "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "source-script"),
            Build((12, 9), "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 9),
        (3, 10),
        (3, 14),
        (0, 24),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "inferred"),
            Build((12, 8), "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "confirmed"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 10),
        (3, 10),
        (3, 14),
        (0, 25),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((12, 8), "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "confirmed"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 11),
        (3, 10),
        (3, 14),
        (0, 26),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "confirmed"),
            Build((12, 8), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "confirmed"),
            Build((12, 9), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "measured"),
        ),
    ),
    TorchRow(
        (2, 12),
        (3, 10),
        (3, 14),
        (0, 27),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
            Build((13, 2), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 13),
        (3, 10),
        (3, 14),
        (0, 28),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "confirmed"),
            Build((12, 9), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "confirmed"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
            Build((13, 2), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 14),
        (3, 10),
        (3, 14),
        (0, 29),
        True,
        (
            Build((12, 6), "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "source-script"),
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
            Build((13, 2), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "source-script"),
        ),
    ),
    TorchRow(
        (2, 15),
        (3, 11),
        (3, 15),
        (0, 29),
        True,
        (
            Build((13, 0), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "unverified"),
            Build((13, 2), "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120 compute_120", "unverified"),
        ),
    ),
)
NEWEST = RELEASES[-1].torch
FIRST_READ_FOR_AARCH64 = (2, 9)
AARCH64 = {
    (12, 6): "sm_80 sm_90",
    (12, 8): "sm_80 sm_90 sm_100 sm_120",
    (12, 9): "sm_80 sm_90 sm_100 sm_120",
    (13, 0): "sm_80 sm_90 sm_100 sm_110 sm_120 compute_120",
    (13, 2): "sm_80 sm_90 sm_100 sm_110 sm_120 compute_120",
}


def torch_row(version: tuple[int, ...]) -> TorchRow | None:
    """Return the row of a release such as (2, 11, 0), None where the table has none."""
    return next((row for row in RELEASES if row.torch == version[:2]), None)


def archs_of(version: tuple[int, ...], cuda: tuple[int, int], machine: str = "x86_64") -> tuple[str, ...] | None:
    """Return the architectures in the official build of torch `version` for `cuda`, None where unknown.

    On aarch64 they go by CUDA alone, from the first release whose lists were read.
    """
    row = torch_row(version)
    build = next((build for build in row.builds if build.cuda == cuda), None) if row else None
    if build is None or machine not in {"x86_64", "aarch64"}:
        return None
    if machine == "aarch64":
        archs = AARCH64.get(cuda) if version >= FIRST_READ_FOR_AARCH64 else None
        return tuple(archs.split()) if archs else None
    return tuple(build.archs.split())


def cxx11_abi(version: tuple[int, ...], cuda: tuple[int, int] | None) -> bool | None:
    """Return whether the official build uses the C++11 ABI of std::string, None where the table does not know."""
    if torch_row(version) is None:
        return None
    if version[:2] == (2, 6):  # the first release that has both
        return cuda == (12, 6)
    return version[:2] > (2, 6)
