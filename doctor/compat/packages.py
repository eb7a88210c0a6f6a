"""Packages that moved under older code: from which release on, beside what, and the release that still fits.

Each row names its source: threads of the projects named, or the releases' own notes. Judging machines is for rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.facts import Version

AS_OF = "2026-11"


@dataclass(frozen=True, slots=True)
class Drift:
    """`package` from `since` on breaks `guest` from `first` to below `below`: the message, and what to pin."""

    package: str
    since: Version
    guest: str
    below: Version
    message: str
    pin: str
    source: str
    first: Version = ()


YAPF = "FormatCode() got an unexpected keyword argument 'verify'"
ALIASES = "module 'numpy' has no attribute 'int'"
DESCRIPTORS = "Descriptors cannot not be created directly"
ARRAY_API = "_ARRAY_API not found"
DRIFTS = (
    Drift("yapf", (0, 40, 2), "mmcv-full", (2,), YAPF, "yapf==0.40.1", "open-mmlab/mmdetection issue 10962"),
    Drift("yapf", (0, 40, 2), "mmcv", (2,), YAPF, "yapf==0.40.1", "open-mmlab/mmdetection issue 10962"),
    Drift("yapf", (0, 40, 2), "mmengine", (0, 9), YAPF, "yapf==0.40.1", "open-mmlab/mmengine issue 1364"),
    Drift(
        "setuptools",
        (59, 6),
        "torch",
        (1, 11),
        "module 'distutils' has no attribute 'version'",
        "setuptools==59.5.0",
        "torch 1.10's torch/utils/tensorboard reads distutils.version",
    ),
    Drift(
        "setuptools",
        (82,),
        "openmim",
        (99,),
        "No module named 'pkg_resources'",
        "setuptools<82",
        "setuptools 82 no longer brings pkg_resources",
    ),
    Drift(
        "setuptools",
        (82,),
        "mmcv-full",
        (2,),
        "No module named 'pkg_resources'",
        "setuptools<82",
        "mmcv-full's setup.py imports pkg_resources",
    ),
    Drift("setuptools", (82,), "torch", (2, 13), "", "setuptools<82", "torch 2.11 and 2.12 ask for it", (2, 11)),
    Drift("numpy", (1, 24), "mmcv-full", (1, 5), ALIASES, "numpy==1.23.5", "np.int in mmcv-full 1.4.0, 3 places"),
    Drift("numpy", (1, 24), "mmdet", (2, 15), ALIASES, "numpy==1.23.5", "np.int and np.bool in mmdet 2.14"),
    Drift("numpy", (1, 24), "mmsegmentation", (0, 15), ALIASES, "numpy==1.23.5", "np.float in mmseg 0.14"),
    Drift("numpy", (1, 24), "mmdet3d", (1,), ALIASES, "numpy==1.23.5", "np.long and np.bool in mmdet3d 0.17.1"),
    Drift("numpy", (2,), "scipy", (1, 13), ARRAY_API, "numpy<2", "numpy/numpy issue 26191"),
    Drift("numpy", (2,), "pandas", (2, 2, 2), ARRAY_API, "numpy<2", "numpy/numpy issue 26191"),
    Drift("numpy", (2,), "matplotlib", (3, 8, 4), ARRAY_API, "numpy<2", "numpy/numpy issue 26191"),
    Drift("numpy", (2,), "opencv-python", (4, 10), ARRAY_API, "numpy<2", "opencv/opencv issue 26779"),
    Drift("numpy", (2,), "opencv-python-headless", (4, 10), ARRAY_API, "numpy<2", "opencv/opencv issue 26779"),
    Drift("numpy", (2,), "scikit-learn", (1, 4, 2), ARRAY_API, "numpy<2", "numpy/numpy issue 26191"),
    Drift("numpy", (2,), "mmcv-full", (2,), ARRAY_API, "numpy<2", "its users' torch predates NumPy 2"),
    Drift("protobuf", (4,), "tensorboard", (2, 12), DESCRIPTORS, "protobuf==3.20.3", "tensorboard issues 5703, 5708"),
    Drift("protobuf", (4,), "tensorboardx", (2, 6), DESCRIPTORS, "protobuf==3.20.3", "tensorboardX issue 663"),
    Drift("protobuf", (4,), "onnx", (1, 13), DESCRIPTORS, "protobuf==3.20.3", "onnx 1.12 asks for protobuf<=3.20.1"),
)
NEWEST_NUMPY_OF_NUMBA: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((0, 48), (1, 19)),  # expected dtype object, got 'numpy.dtype[bool_]'
    ((0, 53), (1, 20)),
    ((0, 54), (1, 20)),
    ((0, 55), (1, 22)),
    ((0, 56), (1, 23)),
    ((0, 57), (1, 24)),
    ((0, 58), (1, 26)),
    ((0, 59), (1, 26)),
    ((0, 60), (2, 0)),
    ((0, 61), (2, 2)),
)
ALSO_NAMED = {"mmsegmentation": "mmseg", "opencv-python-headless": "cv2", "opencv-python": "cv2"}
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def drifts_of(package: str, version: Version) -> tuple[Drift, ...]:
    """Return the rows in which this release of the package breaks something."""
    return tuple(row for row in DRIFTS if row.package == package and version >= row.since)


def newest_numpy(numba: Version) -> tuple[int, int] | None:
    """Return the newest NumPy line that a numba accepts, None where the table does not know it."""
    return dict(NEWEST_NUMPY_OF_NUMBA).get((numba[0], numba[1])) if len(numba) > 1 else None
