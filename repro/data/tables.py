"""The data set's own tables, by way of the official devkit, as frame records. Storage is `index.py`'s business."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from nuscenes.nuscenes import NuScenes
from pyquaternion import Quaternion

from repro.data.can_bus import can_bus_vector
from repro.data.geometry import rotation_of, yaw_of
from repro.data.records import CameraRecord, DataError, FrameRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

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
META_ARCHIVE = {"v1.0-mini": "v1.0-mini.tgz", "v1.0-trainval": "v1.0-trainval_meta.tgz"}
# raw category → detection class (spec §F.1)
CLASS_OF_CATEGORY = {
    "movable_object.barrier": "barrier",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}


def check_tables(dataroot: Path, version: str) -> None:
    """Raise DataError unless `dataroot`/`version` holds all thirteen tables, and say where they might be instead."""
    archive = META_ARCHIVE.get(version, f"{version}.tgz")
    if not dataroot.is_dir():
        raise DataError(f"{dataroot}: no such folder; name the one that holds {version}/ with --dataroot DIR")
    folder = dataroot / version
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; " + _where_instead(dataroot, version, archive))
    missing = [name for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(TABLES)} tables are missing ({', '.join(missing)}); "
            f"extract {archive} into {dataroot} again"
        )


def _where_instead(dataroot: Path, version: str, archive: str) -> str:
    if dataroot.name == version:
        return f"this is the tables' own folder: use --dataroot {dataroot.parent}"
    deeper = next((path.parent for path in sorted(dataroot.glob(f"*/{version}"))), None)
    if deeper:
        return f"it is one level deeper: use --dataroot {deeper}"
    others = sorted(path.name for path in dataroot.glob("v1.0-*") if path.is_dir())
    if others:
        kind = "nuscenes-mini" if "v1.0-mini" in others else "nuscenes"
        return f"there is {', '.join(others)}: use --data {kind}, or extract {archive} into {dataroot}"
    return f"extract {archive} into {dataroot}"


def open_tables(dataroot: Path, version: str) -> NuScenes:
    """Return the devkit's view of a checked data set. Raises DataError when a table is damaged."""
    for name in TABLES:
        path = dataroot / version / f"{name}.json"
        try:
            rows = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: damaged ({error}); extract {META_ARCHIVE.get(version, version)} again") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "token" in row for row in rows):
            raise DataError(f"{path}: not a nuScenes table (a list of rows with tokens); extract the tables again")
    try:
        return NuScenes(version=version, dataroot=str(dataroot), verbose=False)
    except (KeyError, IndexError, AssertionError) as error:
        raise DataError(
            f"{dataroot / version}: the tables do not belong together ({type(error).__name__}: {error}); "
            "extract them again, all from one archive"
        ) from error


def scenes_without_can_bus(tables: NuScenes, dataroot: Path) -> list[str]:
    """Return the names of scenes that have no pose messages; some real ones have none either."""
    folder = dataroot / "can_bus"
    names = [scene["name"] for scene in tables.scene]
    return [name for name in names if not (folder / f"{name}_pose.json").is_file()]


def frame_records(tables: NuScenes, dataroot: Path, channels: Sequence[str], *, rates: str) -> Iterator[FrameRecord]:
    """Yield every key frame, in the order of the sample table; `rates` as in `can_bus_vector`."""
    poses = _PoseMessages(dataroot)
    scenes = {scene["token"]: scene["name"] for scene in tables.scene}
    frame_idx = 0
    for sample in tables.sample:
        scene_name = scenes[sample["scene_token"]]
        vector = can_bus_vector(poses.of(scene_name), sample["timestamp"], rates=rates)
        yield _record(tables, sample, scene_name, frame_idx, vector, channels)
        frame_idx = frame_idx + 1 if sample["next"] else 0


class _PoseMessages:
    """The pose messages of one scene at a time; none where a scene has no file."""

    def __init__(self, dataroot: Path) -> None:
        folder = dataroot / "can_bus"
        self._api = NuScenesCanBus(dataroot=str(dataroot)) if folder.is_dir() else None
        self._folder = folder
        self._scene, self._messages = "", list[dict[str, Any]]()

    def of(self, scene: str) -> list[dict[str, Any]]:
        if scene != self._scene:
            there = self._api is not None and (self._folder / f"{scene}_pose.json").is_file()
            self._scene, self._messages = scene, self._read(scene) if there else []
        return self._messages

    def _read(self, scene: str) -> list[dict[str, Any]]:
        assert self._api is not None
        if int(scene[-4:]) in self._api.can_blacklist:
            return []
        try:
            return list(self._api.get_messages(scene, "pose"))
        except ValueError as error:
            path = self._folder / f"{scene}_pose.json"
            raise DataError(f"{path}: damaged ({error}); extract can_bus.zip again") from error


def _record(
    tables: NuScenes,
    sample: Mapping[str, Any],
    scene_name: str,
    frame_idx: int,
    can_bus: NDArray[np.float64],
    channels: Sequence[str],
) -> FrameRecord:
    missing = [channel for channel in (*channels, "LIDAR_TOP") if channel not in sample["data"]]
    if missing:
        raise DataError(f"sample {sample['token']}: sample_data.json has no key frame of {', '.join(missing)}")
    lidar = tables.get("sample_data", sample["data"]["LIDAR_TOP"])
    sensor = tables.get("calibrated_sensor", lidar["calibrated_sensor_token"])
    ego = tables.get("ego_pose", lidar["ego_pose_token"])
    boxes, velocities, names, valid = _annotations(tables, sample, sensor, ego)
    return FrameRecord(
        token=sample["token"],
        prev=sample["prev"],
        next=sample["next"],
        scene_token=sample["scene_token"],
        scene_name=scene_name,
        frame_idx=frame_idx,
        timestamp=int(sample["timestamp"]),
        cameras=tuple(_camera(tables, sample["data"][channel], channel, sensor, ego) for channel in channels),
        ego_from_lidar_translation=np.array(sensor["translation"], float),
        ego_from_lidar_rotation=np.array(sensor["rotation"], float),
        global_from_ego_translation=np.array(ego["translation"], float),
        global_from_ego_rotation=np.array(ego["rotation"], float),
        can_bus=can_bus,
        boxes=boxes,
        velocities=velocities,
        names=names,
        valid=valid,
    )


def _camera(
    tables: NuScenes, token: str, channel: str, lidar_sensor: Mapping[str, Any], lidar_ego: Mapping[str, Any]
) -> CameraRecord:
    """Chain camera → ego at the camera's time → global → ego at the LiDAR's time → LiDAR (spec §F.1)."""
    data = tables.get("sample_data", token)
    sensor = tables.get("calibrated_sensor", data["calibrated_sensor_token"])
    ego = tables.get("ego_pose", data["ego_pose_token"])
    rotation, translation = _pose(sensor)
    for pose, inverse in ((ego, False), (lidar_ego, True), (lidar_sensor, True)):
        r, t = _pose(pose)
        rotation = r.T @ rotation if inverse else r @ rotation
        translation = r.T @ (translation - t) if inverse else r @ translation + t
    return CameraRecord(
        channel=channel,
        path=data["filename"],
        timestamp=int(data["timestamp"]),
        intrinsic=np.array(sensor["camera_intrinsic"], float),
        lidar_from_camera_rotation=rotation,
        lidar_from_camera_translation=translation,
    )


def _pose(row: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return rotation_of(np.array(row["rotation"], float)), np.array(row["translation"], float)


def _annotations(
    tables: NuScenes, sample: Mapping[str, Any], sensor: Mapping[str, Any], ego: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...], NDArray[np.bool_]]:
    """Return boxes [G, 7], velocities [G, 2], names and valid flags in annotation order, in the LiDAR frame."""
    lidar_from_global = _pose(sensor)[0].T @ _pose(ego)[0].T
    rows, velocities, names, valid = [], [], [], []
    for token in sample["anns"]:
        annotation = tables.get("sample_annotation", token)
        box = tables.get_box(token)
        for row in (ego, sensor):
            box.translate(-np.array(row["translation"], float))
            box.rotate(Quaternion(row["rotation"]).inverse)
        yaw = yaw_of(box.orientation.elements)
        rows.append([*box.center, *box.wlh, -yaw - np.pi / 2])
        velocities.append((lidar_from_global @ [*tables.box_velocity(token)[:2], 0.0])[:2])
        names.append(CLASS_OF_CATEGORY.get(annotation["category_name"], annotation["category_name"]))
        valid.append(annotation["num_lidar_pts"] + annotation["num_radar_pts"] > 0)
    return (
        np.array(rows, float).reshape(-1, 7),
        np.array(velocities, float).reshape(-1, 2),
        tuple(names),
        np.array(valid, bool),
    )
