"""Data sets on disk: a nuScenes folder with its tables, images, CAN bus and info files, and a COCO folder."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.words import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of one version, v1.0-mini for example. `scenes` is None where scene.json could not be read.

    `images` are the camera files that a sample of its rows names, `lost` those of them that are not there.
    `indexed_categories`: whether category.json numbers its rows, as the lidarseg expansion does.
    """

    name: str
    missing: tuple[str, ...] = ()
    scenes: int | None = None
    images: int = 0
    lost: tuple[str, ...] = ()
    indexed_categories: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Infos:
    """An info file (.pkl) as converters write them, read without executing anything.

    `generation` is "infos" (mmdet3d 0.x), "data_list" (1.1 on) or empty where neither was seen. `count` is None where
    the file is too large to be read whole. `keys` are those of its first frame. `boxes` says which side of a car comes
    first: "wlh" (mmdet3d 0.x) or "lwh" (1.0 on). `problem` says why it could not be read.
    """

    name: str
    generation: str = ""
    version: str = ""
    count: int | None = None
    keys: tuple[str, ...] = ()
    boxes: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A nuScenes folder: which table versions are there, and what else the data path needs.

    `root_instead` is the folder that holds the tables where this one does not. `can_bus_instead` is where the CAN bus
    lies where it is not directly in can_bus/. `filesystem` is the type of the mount, empty where that is unknown.
    """

    path: str
    versions: tuple[str, ...]
    missing_tables: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    can_bus: bool = False
    exists: bool = True
    readable: bool = True
    root_instead: str = ""
    tables: tuple[Tables, ...] = ()
    sweeps: bool = True
    maps: bool = True
    maps_expansion: bool = True
    lidarseg: bool = False
    can_bus_instead: str = ""
    scenes_without_can_bus: tuple[str, ...] = ()
    infos: tuple[Infos, ...] = ()
    filesystem: str = ""

    def __str__(self) -> str:
        """Return one line."""
        return say("{path}: {what}", path=self.path, what=", ".join(self.versions) or "no tables")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coco:
    """A COCO folder: which annotation files and image folders of 2017 are there; `empty` are folders without images."""

    path: str
    annotations: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        what = ", ".join((*self.annotations, *self.images)) or "nothing of 2017"
        return say("{path}: COCO, {what}", path=self.path, what=what)
