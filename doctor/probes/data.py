"""A nuScenes folder, as far as a look at its folders tells. Reading tables is the data path's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.facts import DataSet, Unknown

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


def probe_data(host: Host, folder: str) -> DataSet | Unknown:
    """List the folder's versions, tables, cameras and CAN bus."""
    if not folder:
        return Unknown("no data set named (--dataroot DIR)")
    names = host.listing(folder)
    versions = tuple(name for name in names if name.startswith("v1.0-"))
    missing = [
        f"{version}/{table}.json"
        for version in versions
        for table in TABLES
        if not host.access(f"{folder}/{version}/{table}.json").exists
    ]
    return DataSet(
        path=folder,
        versions=versions,
        missing_tables=tuple(missing),
        cameras=tuple(name for name in host.listing(f"{folder}/samples") if name.startswith("CAM_")),
        can_bus=bool(host.listing(f"{folder}/can_bus")),
    )
