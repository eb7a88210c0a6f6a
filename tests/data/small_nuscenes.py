"""A nuScenes data set of two scenes that tests write in milliseconds: real tables, grey images, known motion.

Only for tests of the data path: pictures that a model can learn from are `repro.data.synth`'s business.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pyquaternion import Quaternion

from repro.recipe.schema import CAMERAS

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "v1.0-mini"
SCENES = {"scene-0061": 4, "scene-0103": 2}  # mini_train, mini_val
START_US, STEP_US = 1_500_000_000_000_000, 500_000
ROWS, COLUMNS = 90, 160
CATEGORIES = ("vehicle.car", "human.pedestrian.adult", "animal", "movable_object.barrier")
LOOKS_AT = dict(zip(CAMERAS, (0, -55, 55, 180, 110, -110), strict=True))  # degrees, ego frame

Row = dict[str, Any]


def write_small_nuscenes(root: Path, *, can_bus: bool = True) -> Path:
    """Write the data set and return its root."""
    tables = {**_fixed_tables(), **_moving_tables()}
    (root / VERSION).mkdir(parents=True)
    for name, rows in tables.items():
        (root / VERSION / f"{name}.json").write_text(json.dumps(rows))
    (root / "maps").mkdir()
    cv2.imwrite(str(root / "maps/blank.png"), np.zeros((8, 8), np.uint8))
    for row in tables["sample_data"]:
        if row["fileformat"] == "jpg":
            write_jpeg(root / row["filename"])
    if can_bus:
        write_pose_messages(root, "scene-0061", range(START_US - 10_000, START_US + 3 * STEP_US, 20_000))
    return root


def write_jpeg(path: Path, *, rows: int = ROWS, columns: int = COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = np.linspace(0, 255, rows * columns * 3).reshape(rows, columns, 3).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", shade)[1].tobytes())


def write_pose_messages(root: Path, scene: str, times: range) -> None:
    """Write CAN bus messages whose every number tells which message it came from."""
    (root / "can_bus").mkdir(exist_ok=True)
    messages = [
        {
            "accel": [i, i + 0.1, i + 0.2],
            "orientation": [1.0, 0.0, 0.0, i],
            "pos": [i, -i, 0.0],
            "rotation_rate": [i + 0.3, i + 0.4, i + 0.5],
            "utime": time,
            "vel": [i + 0.6, i + 0.7, i + 0.8],
        }
        for i, time in enumerate(times)
    ]
    (root / "can_bus" / f"{scene}_pose.json").write_text(json.dumps(messages))


def _turn(yaw: float, pitch: float = 0.0) -> list[float]:
    turn = Quaternion(axis=[0, 0, 1], radians=yaw) * Quaternion(axis=[0, 1, 0], radians=pitch)
    return [float(x) for x in turn.elements]


def _fixed_tables() -> dict[str, list[Row]]:
    towards_image = Quaternion(matrix=np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]))  # z forward, x right, y down
    sensors: list[Row] = [{"token": c, "channel": c, "modality": "camera"} for c in CAMERAS]
    calibrated: list[Row] = [
        {
            "token": f"calib-{c}",
            "sensor_token": c,
            "translation": [1.5 * math.cos(math.radians(a)), math.sin(math.radians(a)), 1.5],
            "rotation": [float(x) for x in (Quaternion(axis=[0, 0, 1], degrees=a) * towards_image).elements],
            "camera_intrinsic": [[126.6, 0.0, 81.6], [0.0, 126.6, 49.1], [0.0, 0.0, 1.0]],
        }
        for c, a in LOOKS_AT.items()
    ]
    sensors.append({"token": "LIDAR_TOP", "channel": "LIDAR_TOP", "modality": "lidar"})
    calibrated.append(
        {
            "token": "calib-LIDAR_TOP",
            "sensor_token": "LIDAR_TOP",
            "translation": [0.94, 0.0, 1.84],
            "rotation": _turn(-math.pi / 2, 0.01),
            "camera_intrinsic": [],
        }
    )
    return {
        "attribute": [{"token": "moving", "name": "vehicle.moving", "description": ""}],
        "calibrated_sensor": calibrated,
        "category": [{"token": c, "name": c, "description": ""} for c in CATEGORIES],
        "log": [{"token": "log", "logfile": "", "vehicle": "", "date_captured": "", "location": "singapore-onenorth"}],
        "map": [{"token": "map", "log_tokens": ["log"], "category": "semantic_prior", "filename": "maps/blank.png"}],
        "sensor": sensors,
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
    }


def _moving_tables() -> dict[str, list[Row]]:
    names = ("ego_pose", "instance", "sample", "sample_annotation", "sample_data", "scene")
    tables: dict[str, list[Row]] = {name: [] for name in names}
    for scene_number, (scene, length) in enumerate(SCENES.items()):
        tokens = [f"{scene}-{i}" for i in range(length)]
        tables["scene"].append(
            {
                "token": scene,
                "name": scene,
                "description": "",
                "log_token": "log",
                "nbr_samples": length,
                "first_sample_token": tokens[0],
                "last_sample_token": tokens[-1],
            }
        )
        tables["instance"] += [_instance(scene, category, length) for category in CATEGORIES]
        for i in range(length):
            time = START_US + scene_number * 3_600_000_000 + i * STEP_US
            links = {"prev": tokens[i - 1] if i else "", "next": tokens[i + 1] if i + 1 < length else ""}
            tables["sample"].append({"token": tokens[i], "timestamp": time, "scene_token": scene, **links})
            for channel in (*CAMERAS, "LIDAR_TOP"):
                data, pose = _sensor_data(tokens[i], channel, i, time)
                tables["sample_data"].append(data)
                tables["ego_pose"].append(pose)
            tables["sample_annotation"] += [_annotation(scene, tokens[i], c, i, length) for c in CATEGORIES]
    return tables


def _sensor_data(sample: str, channel: str, i: int, time: int) -> tuple[Row, Row]:
    """Return a sample_data row and its ego pose: 3 m ahead and 2° to the left per step, sensors not quite in sync."""
    camera = channel in CAMERAS
    late = 1000 * CAMERAS.index(channel) if camera else 0  # µs
    steps = i + late / STEP_US
    pose = {
        "token": f"{sample}-{channel}",
        "timestamp": time + late,
        "rotation": _turn(math.radians(2.0 * steps - 3.0), 0.02),
        "translation": [400.0 + 3.0 * steps, 1100.0 + 0.1 * steps, 0.0],
    }
    data = {
        "token": pose["token"],
        "sample_token": sample,
        "ego_pose_token": pose["token"],
        "calibrated_sensor_token": f"calib-{channel}",
        "timestamp": pose["timestamp"],
        "fileformat": "jpg" if camera else "pcd",
        "is_key_frame": True,
        "height": ROWS if camera else 0,
        "width": COLUMNS if camera else 0,
        "filename": f"samples/{channel}/{sample}.{'jpg' if camera else 'pcd.bin'}",
        "prev": "",
        "next": "",
    }
    return data, pose


def _instance(scene: str, category: str, length: int) -> Row:
    tokens = [f"{scene}-{i}-{category}" for i in range(length)]
    return {
        "token": f"{scene}-{category}",
        "category_token": category,
        "nbr_annotations": length,
        "first_annotation_token": tokens[0],
        "last_annotation_token": tokens[-1],
    }


def _annotation(scene: str, sample: str, category: str, i: int, length: int) -> Row:
    """Return one annotation: the car drives 2 m a step, the barrier was seen by no sensor."""
    kind = CATEGORIES.index(category)
    return {
        "token": f"{sample}-{category}",
        "sample_token": sample,
        "instance_token": f"{scene}-{category}",
        "attribute_tokens": ["moving"] if kind == 0 else [],
        "visibility_token": "4",
        "translation": [410.0 + 5.0 * kind + (2.0 * i if kind == 0 else 0.0), 1100.0 + 3.0 * kind, 1.0],
        "size": [1.9, 4.6, 1.7],
        "rotation": _turn(0.3 + kind),
        "num_lidar_pts": 0 if category == "movable_object.barrier" else 7,
        "num_radar_pts": 0,
        "prev": f"{scene}-{i - 1}-{category}" if i else "",
        "next": f"{scene}-{i + 1}-{category}" if i + 1 < length else "",
    }
