"""A data set folder, as far as a quick look tells. It reads small tables only; the rest is the data path's business."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.facts import Coco, DataSet, Infos, Tables, Unknown

if TYPE_CHECKING:
    from doctor.shell import Host

TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)
INFOS_SCRIPT = Path(__file__).with_name("children") / "infos_facts.py"
INFOS_TIMEOUT_S = 3.0
MAX_INFOS = 8
MAX_NEIGHBOURS = 30
IMAGE = r"samples/CAM_[A-Z_]{1,20}/[\w.+-]{1,120}\.jpg"
NAME = r'"name": ?"[^"\n]{1,60}"'
PIECES = 24
VERSION = re.compile(r"v1\.0-[a-z]+")  # a folder of tables; v1.0-trainval01_blobs.tgz beside it is none
# The CAN bus expansion never had these scenes (nuscenes-devkit issues 465 and 1028): no fault of this copy.
NEVER_RECORDED = frozenset(f"scene-{number:04d}" for number in (*range(161, 169), *range(170, 177)))
COCO_FILES = tuple(f"instances_{split}.json" for split in ("train2017", "val2017"))
COCO_FOLDERS = ("train2017", "val2017")


def probe_data(host: Host, folder: str) -> tuple[DataSet | Unknown, Coco | Unknown]:
    """Look at the folder: as COCO where it looks like that, else as nuScenes."""
    if not folder:
        nothing = Unknown("no data set named (--dataroot DIR)")
        return nothing, nothing
    folder = folder.rstrip("/") or "/"
    names = host.listing(folder)
    versions = tuple(name for name in names if VERSION.fullmatch(name))
    if not versions and ("annotations" in names or set(COCO_FOLDERS) & set(names)) and "samples" not in names:
        return Unknown("the folder holds COCO, not nuScenes"), _coco(host, folder, names)
    return _nuscenes(host, folder, names, versions), Unknown("the folder holds no COCO")


def _coco(host: Host, folder: str, names: tuple[str, ...]) -> Coco:
    annotations = tuple(name for name in host.listing(f"{folder}/annotations") if name in COCO_FILES)
    images = tuple(name for name in COCO_FOLDERS if name in names)
    empty = tuple(name for name in images if not host.listing(f"{folder}/{name}"))
    return Coco(path=folder, annotations=annotations, images=images, empty=empty)


def _nuscenes(host: Host, folder: str, names: tuple[str, ...], versions: tuple[str, ...]) -> DataSet:
    access = host.access(folder)
    scenes = {version: _scene_names(host, f"{folder}/{version}") for version in versions}
    tables = tuple(_tables(host, folder, version, scenes[version]) for version in versions)
    maps = host.listing(f"{folder}/maps")
    wanted = tuple(name for found in scenes.values() for name in found or ())
    return DataSet(
        path=folder,
        exists=access.exists,
        readable=access.readable,
        versions=versions,
        root_instead="" if any(not table.missing for table in tables) else _root_instead(host, folder, names),
        tables=tables,
        missing_tables=tuple(f"{table.name}/{missing}.json" for table in tables for missing in table.missing),
        cameras=tuple(name for name in host.listing(f"{folder}/samples") if name.startswith("CAM_")),
        sweeps="sweeps" in names,
        maps=bool(maps),
        maps_expansion="expansion" in maps and bool(host.listing(f"{folder}/maps/expansion")),
        lidarseg="lidarseg" in names,
        infos=_infos(host, folder, names),
        filesystem=filesystem_of(host.real_path(folder) or folder, host.read("/proc/mounts") or ""),
        **_can_bus(host, folder, wanted),
    )


def _tables(host: Host, folder: str, version: str, scenes: tuple[str, ...] | None) -> Tables:
    place = f"{folder}/{version}"
    images = host.find_in(f"{place}/sample_data.json", IMAGE, PIECES)
    return Tables(
        name=version,
        missing=tuple(table for table in TABLES if not host.access(f"{place}/{table}.json").exists),
        scenes=None if scenes is None else len(scenes),
        images=len(images),
        lost=tuple(image for image in images if not host.access(f"{folder}/{image}").exists),
        indexed_categories=bool(host.find_in(f"{place}/category.json", '"index"')),
    )


def _scene_names(host: Host, place: str) -> tuple[str, ...] | None:
    """Return the names of the scenes, None where there is no such table."""
    if not host.access(f"{place}/scene.json").exists:
        return None
    return tuple(text.split('"')[-2] for text in host.find_in(f"{place}/scene.json", NAME))


def _can_bus(host: Host, folder: str, scenes: tuple[str, ...]) -> dict[str, Any]:
    """Return where the CAN bus is and which scenes lack it; scenes that never had one do not count."""
    for place in (f"{folder}/can_bus", f"{folder}/can_bus/can_bus", f"{folder.rpartition('/')[0]}/can_bus"):
        names = host.listing(place)
        known = {name.removesuffix("_pose.json") for name in names if name.endswith("_pose.json")}
        if known:
            lacking = sorted({*scenes} - known - NEVER_RECORDED)
            direct = place == f"{folder}/can_bus"
            return {
                "can_bus": direct,
                "can_bus_instead": "" if direct else place,
                "scenes_without_can_bus": tuple(lacking),
            }
    return {"can_bus": False}


def _root_instead(host: Host, folder: str, names: tuple[str, ...]) -> str:
    """Return the folder above or below this one that holds tables, empty where none does."""
    above, _, own = folder.rpartition("/")
    if own.startswith("v1.0-") and "scene.json" in names:
        return above or "/"
    if above and _holds_tables(host, above):
        return above
    below = [name for name in names if not name.endswith((".tgz", ".zip", ".json", ".pkl"))][:MAX_NEIGHBOURS]
    return next((f"{folder}/{name}" for name in below if _holds_tables(host, f"{folder}/{name}")), "")


def _holds_tables(host: Host, place: str) -> bool:
    return any(
        VERSION.fullmatch(name) and host.access(f"{place}/{name}/scene.json").exists for name in host.listing(place)
    )


def _infos(host: Host, folder: str, names: tuple[str, ...]) -> tuple[Infos, ...]:
    """Let a child read the info files, where there are any."""
    files = [name for name in names if re.search(r"infos.*\.pkl$", name)][:MAX_INFOS]
    if not files:
        return ()
    paths = [f"{folder}/{name}" for name in files]
    output = host.run_python(host.own_python(), INFOS_SCRIPT, *paths, timeout_s=INFOS_TIMEOUT_S)
    return parse_infos(tuple(files), output.out, output.problem or output.err.strip()[-200:])


def parse_infos(files: tuple[str, ...], text: str, problem: str = "") -> tuple[Infos, ...]:
    """Read what the child printed, one row a file; a file without a row could not be read."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = []
    rows = (
        rows
        if isinstance(rows, list) and len(rows) == len(files)
        else [{"problem": problem or "no answer"}] * len(files)
    )
    return tuple(_info(name, row if isinstance(row, dict) else {}) for name, row in zip(files, rows, strict=True))


def _info(name: str, row: dict[str, Any]) -> Infos:
    keys, count = row.get("keys"), row.get("count")
    return Infos(
        name=name,
        generation=str(row.get("generation") or ""),
        version=str(row.get("version") or ""),
        count=count if isinstance(count, int) else None,
        keys=tuple(str(key) for key in keys) if isinstance(keys, list) else (),
        boxes=str(row.get("boxes") or ""),
        problem=str(row.get("problem") or ""),
    )


def filesystem_of(path: str, mounts: str) -> str:
    """Return the type of the file system that holds a path, by /proc/mounts; empty where it names none."""
    best = ("", "")
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        place = words[1].replace("\\040", " ")
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best[0]):
            best = (place, words[2])
    return best[1]
