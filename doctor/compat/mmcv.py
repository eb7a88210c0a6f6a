"""OpenMMLab's generations, what each accepts, and for which PyTorch its operators come compiled, as dated rows.

Sources: docs/en/_static/version.json of open-mmlab/mmcv (tag v1.7.2 and main), which the install page reads; the
version checks in each package's own `__init__.py`, read from wheels and git tags. Judging machines is for rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.facts import Version

AS_OF = "2026-11"


@dataclass(frozen=True, slots=True)
class Wheels:
    """The mmcv releases that come compiled for a line of torch, in these CUDA variants (and one for the CPU)."""

    torch: tuple[int, int]
    cudas: tuple[tuple[int, int], ...]
    oldest: Version
    newest: Version


MMCV_FULL = (
    Wheels((1, 13), ((11, 6), (11, 7)), oldest=(1, 7, 0), newest=(1, 7, 1)),
    Wheels((1, 12), ((10, 2), (11, 3), (11, 6)), oldest=(1, 6, 0), newest=(1, 7, 1)),
    Wheels((1, 11), ((10, 2), (11, 3), (11, 5)), oldest=(1, 4, 7), newest=(1, 7, 1)),
    Wheels((1, 10), ((10, 2), (11, 1), (11, 3)), oldest=(1, 3, 16), newest=(1, 7, 1)),
    Wheels((1, 9), ((10, 2), (11, 1)), oldest=(1, 3, 10), newest=(1, 7, 1)),
    Wheels((1, 8), ((10, 1), (10, 2), (11, 1)), oldest=(1, 3, 0), newest=(1, 7, 1)),
    Wheels((1, 7), ((9, 2), (10, 1), (10, 2), (11, 0)), oldest=(1, 2, 0), newest=(1, 7, 1)),
    Wheels((1, 6), ((9, 2), (10, 1), (10, 2)), oldest=(1, 0, 5), newest=(1, 7, 1)),
    Wheels((1, 5), ((9, 2), (10, 1), (10, 2)), oldest=(1, 0, 0), newest=(1, 7, 1)),
    Wheels((1, 4), ((9, 2), (10, 0), (10, 1)), oldest=(1, 0, 0), newest=(1, 2, 1)),
    Wheels((1, 3), ((9, 2), (10, 0), (10, 1)), oldest=(1, 0, 0), newest=(1, 3, 9)),
)
MMCV_2 = (
    Wheels((2, 4), ((11, 8), (12, 1)), oldest=(2, 2, 0), newest=(2, 2, 0)),
    Wheels((2, 3), ((11, 8), (12, 1)), oldest=(2, 2, 0), newest=(2, 2, 0)),
    Wheels((2, 2), ((11, 8), (12, 1)), oldest=(2, 2, 0), newest=(2, 2, 0)),
    Wheels((2, 1), ((11, 8), (12, 1)), oldest=(2, 1, 0), newest=(2, 2, 0)),
    Wheels((2, 0), ((11, 7), (11, 8)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 13), ((11, 6), (11, 7)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 12), ((10, 2), (11, 3), (11, 6)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 11), ((10, 2), (11, 3), (11, 5)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 10), ((10, 2), (11, 1), (11, 3)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 9), ((10, 2), (11, 1)), oldest=(2, 0, 0), newest=(2, 2, 0)),
    Wheels((1, 8), ((10, 1), (10, 2), (11, 1)), oldest=(2, 0, 0), newest=(2, 2, 0)),
)
FIRST_OF_GENERATION_2 = {"mmcv": (2,), "mmdet": (3,), "mmdet3d": (1, 1), "mmsegmentation": (1,)}


@dataclass(frozen=True, slots=True)
class Window:
    """What one release accepts of another package: `low` counts, `high` too where `inclusive`."""

    package: str
    version: Version
    other: str
    low: Version
    high: Version
    inclusive: bool = True

    def accepts(self, version: Version) -> bool:
        """Return whether the other package may have this version."""
        padded = (*version, 0, 0, 0)[:3]
        below = padded <= self.high if self.inclusive else padded < self.high
        return padded >= self.low and below


WINDOWS = (
    Window("mmdet", (2, 14, 0), "mmcv-full", (1, 3, 8), (1, 4, 0)),
    Window("mmdet", (2, 25, 0), "mmcv-full", (1, 3, 17), (1, 6, 0)),
    Window("mmdet", (3, 3, 0), "mmcv", (2, 0, 0), (2, 2, 0), inclusive=False),
    Window("mmdet", (3, 3, 0), "mmengine", (0, 7, 1), (1, 0, 0), inclusive=False),
    Window("mmsegmentation", (0, 14, 1), "mmcv-full", (1, 3, 1), (1, 4, 0)),
    Window("mmsegmentation", (1, 2, 2), "mmcv", (2, 0, 0), (2, 2, 0), inclusive=False),
    Window("mmsegmentation", (1, 2, 2), "mmengine", (0, 5, 0), (1, 0, 0), inclusive=False),
    Window("mmdet3d", (0, 17, 1), "mmcv-full", (1, 3, 8), (1, 4, 0)),
    Window("mmdet3d", (0, 17, 1), "mmdet", (2, 14, 0), (3, 0, 0)),
    Window("mmdet3d", (0, 17, 1), "mmsegmentation", (0, 14, 1), (1, 0, 0)),
    Window("mmdet3d", (0, 18, 1), "mmcv-full", (1, 3, 8), (1, 5, 0)),
    Window("mmdet3d", (0, 18, 1), "mmdet", (2, 19, 0), (3, 0, 0)),
    Window("mmdet3d", (0, 18, 1), "mmsegmentation", (0, 20, 0), (1, 0, 0)),
    Window("mmdet3d", (1, 0, 0), "mmcv-full", (1, 3, 8), (1, 7, 0)),  # 1.0.0rc0 to rc6: the widest of their windows
    Window("mmdet3d", (1, 0, 0), "mmdet", (2, 19, 0), (3, 0, 0)),
    Window("mmdet3d", (1, 0, 0), "mmsegmentation", (0, 20, 0), (1, 0, 0)),
    Window("mmdet3d", (1, 1, 0), "mmcv", (2, 0, 0), (2, 1, 0), inclusive=False),
    Window("mmdet3d", (1, 1, 0), "mmengine", (0, 7, 1), (1, 0, 0), inclusive=False),
    Window("mmdet3d", (1, 1, 0), "mmdet", (3, 0, 0), (3, 1, 0), inclusive=False),
    Window("mmdet3d", (1, 4, 0), "mmcv", (2, 0, 0), (2, 2, 0), inclusive=False),
    Window("mmdet3d", (1, 4, 0), "mmengine", (0, 8, 0), (1, 0, 0), inclusive=False),
    Window("mmdet3d", (1, 4, 0), "mmdet", (3, 0, 0), (3, 4, 0), inclusive=False),
)


def generation(package: str, version: Version) -> int:
    """Return 1 for the line that mmcv 1.x carries, 2 for the one on mmengine and mmcv 2.x."""
    if package == "mmcv-full":
        return 1
    first = FIRST_OF_GENERATION_2["mmcv" if package == "mmcv-lite" else package]
    return 2 if version >= first else 1


def wheels_for(package: str, torch: Version) -> Wheels | None:
    """Return the compiled releases of mmcv-full, or of mmcv 2, for a torch; None where there are none."""
    table = MMCV_FULL if package == "mmcv-full" else MMCV_2
    return next((row for row in table if row.torch == torch[:2]), None)
