"""What `env` puts into the upstream environment as `bevready_guard`: stand-ins for what a CPU machine cannot have.

Two things, both announced here and nowhere hidden. (1) mmdet3d 0.17.1 imports its compiled operators as it is imported,
and they need CUDA; BEVFormer uses none of them. A module of the names below that is not installed is replaced by one
whose every attribute fails when it is used, and says why. (2) While mmdet3d is built, its extension modules are left
out, as they do not compile without nvcc. It also stands in for detectron2, which only BEVFormer v2's data mapper needs.
Runs under Python 3.8, with the standard library alone.
"""

# ruff: noqa: UP035, UP045
from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from types import ModuleType
from typing import Any, NoReturn, Optional, Sequence

BUILDING = "BEVREADY_WITHOUT_CUDA_OPERATORS"
OPERATORS = {
    "spconv": "sparse_conv_ext",
    "iou3d": "iou3d_cuda",
    "voxel": "voxel_layer",
    "roiaware_pool3d": "roiaware_pool3d_ext",
    "ball_query": "ball_query_ext",
    "knn": "knn_ext",
    "paconv": "assign_score_withk_ext",
    "group_points": "group_points_ext",
    "interpolate": "interpolate_ext",
    "furthest_point_sample": "furthest_point_sample_ext",
    "gather_points": "gather_points_ext",
}
NAMES = frozenset("mmdet3d.ops.%s.%s" % pair for pair in OPERATORS.items())  # noqa: UP031
ABSENT = ("detectron2", "fvcore")  # stood in for only where they are not installed


class Missing(type):
    """The type of what stands in for an operator or a class: to look at and to inherit from, not to use."""

    why: str  # a class of the authors' that inherits from a stand-in has it, too

    def __call__(cls, *_: object, **__: object) -> NoReturn:
        """Say why this cannot be used here."""
        raise RuntimeError(cls.why)


class StandIn(ModuleType):
    """A module that is not installed here."""

    def __getattr__(self, name: str) -> Any:
        """Return a class that fails when it is used."""
        if name.startswith("__"):
            raise AttributeError(name)
        v2 = "only BEVFormer v2's data mapper needs it, and it is on no package index"
        why = (
            v2 if self.__name__.split(".")[0] in ABSENT else "it needs CUDA, and BEVFormer uses none of these operators"
        )
        return Missing(name, (), {"why": self.__name__ + "." + name + " is not installed here: " + why})


class Guard(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: it is asked only for what nobody else has."""

    def find_spec(
        self, fullname: str, _path: Optional[Sequence[Any]] = None, _target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        """Return a stand-in for the names above."""
        if fullname in NAMES or fullname.split(".", maxsplit=1)[0] in ABSENT:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the empty stand-in."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


def build_without_operators(package: str) -> None:
    """Let setup() of `package` build no extension modules; others are left as they are."""
    setuptools: Any = importlib.import_module("setuptools")

    whole = setuptools.setup

    def setup(**words: Any) -> Any:
        if words.get("name") == package:
            words["ext_modules"] = []
        return whole(**words)

    setuptools.setup = setup


sys.meta_path.append(Guard())
if os.environ.get(BUILDING):
    build_without_operators(os.environ[BUILDING])
