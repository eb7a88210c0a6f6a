"""The data set's own tables, by way of the official devkit, as frame records. Storage is `index.py`'s business."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from nuscenes.nuscenes import NuScenes
from pyquaternion import Quaternion

from repro.data.can_bus import can_bus_vector
from repro.data.geometry import rotation_of, rotations_of
from repro.data.plain_tables import PlainTables
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
    if (dataroot.parent / version).is_dir():
        return f"it is one level up: use --dataroot {dataroot.parent}"
    deeper = next((path.parent for path in sorted(dataroot.glob(f"*/{version}"))), None)
    if deeper:
        return f"it is one level deeper: use --dataroot {deeper}"
    others = sorted(path.name for path in dataroot.glob("v1.0-*") if path.is_dir())
    if others:
        kind = "nuscenes-mini" if "v1.0-mini" in others else "nuscenes"
        return f"there is {', '.join(others)}: use --data {kind}, or extract {archive} into {dataroot}"
    return f"extract {archive} into {dataroot}"


def open_tables(dataroot: Path, version: str) -> NuScenes:
    """Return the devkit's view of a data set. Raises DataError when tables are missing, damaged or of two kinds.

    The devkit also wants the map masks that the map table names, though it reads none of them here.
    """
    check_tables(dataroot, version)
    try:
        return NuScenes(version=version, dataroot=str(dataroot), verbose=False)
    except (AssertionError, IndexError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        rows = {name: _rows(dataroot, version, name) for name in TABLES}  # the full parse once more, to name the file
        _check_maps(dataroot, rows["map"])
        raise _unrelated(dataroot / version, error) from error


def _rows(dataroot: Path, version: str, name: str) -> list[dict[str, Any]]:
    """Return a table. Raises DataError unless it is a list of rows with tokens."""
    path, archive = dataroot / version / f"{name}.json", META_ARCHIVE.get(version, f"{version}.tgz")
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error}); extract {archive} again") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "token" in row for row in rows):
        raise DataError(f"{path}: not a nuScenes table (a list of rows with tokens); extract {archive} again")
    return rows


def _check_maps(dataroot: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    files = [str(row.get("filename", "")) for row in rows]
    missing = [name for name in files if not (dataroot / name).is_file()]
    if missing:
        raise DataError(
            f"{dataroot}: {len(missing)} of {len(files)} map masks are missing, the first is {missing[0]}; "
            "extract the archive of the tables again: it holds maps/ too"
        )


def _unrelated(place: object, error: Exception) -> DataError:
    return DataError(
        f"{place}: the tables do not belong together ({type(error).__name__}: {error}); "
        "extract them again, all from one archive"
    )


def scenes_without_can_bus(tables: NuScenes | PlainTables, dataroot: Path) -> list[str]:
    """Return the names of scenes that have no pose messages; some real ones have none either."""
    folder = dataroot / "can_bus"
    names = [scene["name"] for scene in tables.scene]
    return [name for name in names if not (folder / f"{name}_pose.json").is_file()]


def frame_records(
    tables: NuScenes | PlainTables, dataroot: Path, channels: Sequence[str], *, rates: str
) -> Iterator[FrameRecord]:
    """Yield every key frame, in the order of the sample table; `rates` as in `can_bus_vector`."""
    poses = _PoseMessages(dataroot)
    scenes = {scene["token"]: scene["name"] for scene in tables.scene}
    frame_idx = 0
    for sample in tables.sample:
        try:
            scene_name = scenes[sample["scene_token"]]
            vector = poses.at(scene_name, sample["timestamp"], rates)
            record = _record(tables, sample, scene_name, frame_idx, vector, channels)
        except (IndexError, KeyError, TypeError) as error:
            raise _unrelated(f"{dataroot / tables.version}: sample {sample['token']}", error) from error
        yield record
        frame_idx = frame_idx + 1 if sample["next"] else 0


class _PoseMessages:
    """The pose messages of one scene at a time; none where a scene has no file."""

    def __init__(self, dataroot: Path) -> None:
        folder = dataroot / "can_bus"
        self._api = NuScenesCanBus(dataroot=str(dataroot)) if folder.is_dir() else None
        self._folder = folder
        self._scene, self._messages = "", list[dict[str, Any]]()

    def at(self, scene: str, timestamp: int, rates: str) -> NDArray[np.float64]:
        """Return the raw vector [18] at a time in µs. Raises DataError for a damaged file."""
        path = self._folder / f"{scene}_pose.json"
        try:
            if scene != self._scene:
                self._messages = self._read(scene) if path.is_file() else []
                self._scene = scene
            return can_bus_vector(self._messages, timestamp, rates=rates)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged ({type(error).__name__}: {error}); extract can_bus.zip again") from error

    def _read(self, scene: str) -> list[dict[str, Any]]:
        number = scene.removeprefix("scene-")
        if self._api is None or (number.isdecimal() and int(number) in self._api.can_blacklist):
            return []
        return list(self._api.get_messages(scene, "pose"))


def _record(
    tables: NuScenes | PlainTables,
    sample: Mapping[str, Any],
    scene_name: str,
    frame_idx: int,
    can_bus: NDArray[np.float64],
    channels: Sequence[str],
) -> FrameRecord:
    missing = [channel for channel in (*channels, "LIDAR_TOP") if channel not in sample["data"]]
    if missing:
        raise DataError(
            f"sample {sample['token']}: sample_data.json has no key frame of {', '.join(missing)}; "
            "extract the archive of the tables again"
        )
    lidar = tables.get("sample_data", sample["data"]["LIDAR_TOP"])
    sensor = tables.get("calibrated_sensor", lidar["calibrated_sensor_token"])
    ego = tables.get("ego_pose", lidar["ego_pose_token"])
    boxes, velocities, names, points = _annotations(tables, sample, sensor, ego)
    return FrameRecord(
        token=sample["token"],
        prev=sample["prev"],
        next=sample["next"],
        scene_token=sample["scene_token"],
        scene_name=scene_name,
        frame_idx=frame_idx,
        timestamp=int(sample["timestamp"]),
        cameras=_cameras(tables, sample["data"], channels, sensor, ego),
        ego_from_lidar_translation=np.array(sensor["translation"], float),
        ego_from_lidar_rotation=np.array(sensor["rotation"], float),
        global_from_ego_translation=np.array(ego["translation"], float),
        global_from_ego_rotation=np.array(ego["rotation"], float),
        can_bus=can_bus,
        boxes=boxes,
        velocities=velocities,
        names=names,
        valid=points.sum(1) > 0,
        lidar_path=lidar["filename"],
        lidar_points=points[:, 0],
        radar_points=points[:, 1],
    )


def _cameras(
    tables: NuScenes | PlainTables,
    tokens: Mapping[str, str],
    channels: Sequence[str],
    lidar_sensor: Mapping[str, Any],
    lidar_ego: Mapping[str, Any],
) -> tuple[CameraRecord, ...]:
    """Chain camera → ego at the camera's time → global → ego at the LiDAR's time → LiDAR (spec §F.1), all at once."""
    rows = [tables.get("sample_data", tokens[channel]) for channel in channels]
    sensors = [tables.get("calibrated_sensor", row["calibrated_sensor_token"]) for row in rows]
    egos = [tables.get("ego_pose", row["ego_pose_token"]) for row in rows]
    poses = [*sensors, *egos, lidar_ego, lidar_sensor]
    quaternions = np.array([pose["rotation"] for pose in poses], float)
    translations = np.array([pose["translation"] for pose in poses], float)
    rotations, n = rotations_of(quaternions), len(rows)
    turned = rotations[n : 2 * n] @ rotations[:n]
    moved = (rotations[n : 2 * n] @ translations[:n, :, None])[..., 0] + translations[n : 2 * n]
    for lidar in (2 * n, 2 * n + 1):
        turned = rotations[lidar].T @ turned
        moved = (moved - translations[lidar]) @ rotations[lidar]
    intrinsics = np.array([sensor["camera_intrinsic"] for sensor in sensors], float)
    return tuple(
        CameraRecord(
            channel=channel,
            path=row["filename"],
            timestamp=int(row["timestamp"]),
            intrinsic=intrinsics[i],
            lidar_from_camera_rotation=turned[i],
            lidar_from_camera_translation=moved[i],
            token=tokens[channel],
            ego_from_camera_translation=translations[i],
            ego_from_camera_rotation=quaternions[i],
            global_from_ego_translation=translations[n + i],
            global_from_ego_rotation=quaternions[n + i],
        )
        for i, (channel, row) in enumerate(zip(channels, rows, strict=True))
    )


def _rotation(row: Mapping[str, Any]) -> NDArray[np.float64]:
    return rotation_of(np.array(row["rotation"], float))


def _annotations(
    tables: NuScenes | PlainTables, sample: Mapping[str, Any], sensor: Mapping[str, Any], ego: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...], NDArray[np.int64]]:
    """Return boxes [G, 7], velocities [G, 2], names, points [G, 2] of LiDAR and radar: LiDAR frame, in their order."""
    if isinstance(tables, PlainTables):
        found = tables.boxes_of(sample["token"])
        names = tuple(CLASS_OF_CATEGORY.get(category, category) for category in found.categories)
        return found.boxes, found.velocities, names, found.points
    lidar_from_global = _rotation(sensor).T @ _rotation(ego).T
    rows, velocities, classes, points = [], [], [], []
    for token in sample["anns"]:
        annotation = tables.get("sample_annotation", token)
        box = tables.get_box(token)
        for row in (ego, sensor):
            box.translate(-np.array(row["translation"], float))
            box.rotate(Quaternion(row["rotation"]).inverse)
        yaw = box.orientation.yaw_pitch_roll[0]  # not `yaw_of`: with roll and pitch the two differ by 1e-4 rad (§F.1)
        rows.append([*box.center, *box.wlh, -yaw - np.pi / 2])
        velocities.append((lidar_from_global @ [*tables.box_velocity(token)[:2], 0.0])[:2])
        classes.append(CLASS_OF_CATEGORY.get(annotation["category_name"], annotation["category_name"]))
        points.append((annotation["num_lidar_pts"], annotation["num_radar_pts"]))
    return (
        np.array(rows, float).reshape(-1, 7),
        np.array(velocities, float).reshape(-1, 2),
        tuple(classes),
        np.array(points, np.int64).reshape(-1, 2),
    )
