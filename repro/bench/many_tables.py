"""Tables as large as trainval's without a single image: scenes of 40 key frames, 35 boxes a frame, and sweeps."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from repro.recipe.schema import CAMERAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAMES, BOXES, STEP_US = 40, 35, 500_000
CHANNELS = (*CAMERAS, "LIDAR_TOP")
CATEGORIES = ("vehicle.car", "human.pedestrian.adult", "movable_object.barrier", "animal")
Row = dict[str, Any]


def write_many_tables(root: Path, *, samples: int, sweeps: int) -> None:
    """Write v1.0-trainval of `samples` key frames, with `sweeps` more rows of sensor data for each (trainval: 65)."""
    folder = root / "v1.0-trainval"
    folder.mkdir(parents=True)
    (root / "maps").mkdir()
    (root / "maps/blank.png").write_bytes(b"")
    turn = [math.cos(0.1), 0.0, 0.0, math.sin(0.1)]
    scenes = -(-samples // FRAMES)
    pose: Row = {
        "translation": [1.0, 0.5, 1.5],
        "rotation": turn,
        "camera_intrinsic": [[1266.0, 0, 816], [0, 1266, 491], [0, 0, 1]],
    }
    tables: dict[str, Iterator[Row] | list[Row]] = {
        "attribute": [{"token": "a", "name": "vehicle.moving"}],
        "visibility": [{"token": "4", "level": "v80-100"}],
        "category": [{"token": name, "name": name} for name in CATEGORIES],
        "sensor": [{"token": channel, "channel": channel, "modality": "camera"} for channel in CHANNELS],
        "calibrated_sensor": [{"token": f"c{channel}", "sensor_token": channel, **pose} for channel in CHANNELS],
        "log": [{"token": "log", "location": "boston-seaport"}],
        "map": [{"token": "map", "log_tokens": ["log"], "category": "semantic_prior", "filename": "maps/blank.png"}],
        "scene": [{"token": f"s{n}", "name": f"scene-{n:04d}", "log_token": "log"} for n in range(scenes)],
        "instance": [
            {"token": f"s{n}b{b}", "category_token": CATEGORIES[b % 4]} for n in range(scenes) for b in range(BOXES)
        ],
        "sample": (_sample(n, samples) for n in range(samples)),
        "sample_data": (_data(n, i) for n in range(samples) for i in range(len(CHANNELS) + sweeps)),
        "ego_pose": (_pose(n, i, turn) for n in range(samples) for i in range(len(CHANNELS) + sweeps)),
        "sample_annotation": (_box(n, b, samples, turn) for n in range(samples) for b in range(BOXES)),
    }
    for name, rows in tables.items():
        with (folder / f"{name}.json").open("w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(json.dumps(row, separators=(",\n", ": ")) for row in rows) + "\n]")


def _neighbours(n: int, samples: int, before: str, after: str) -> Row:
    last = n % FRAMES == FRAMES - 1 or n == samples - 1
    return {"prev": before if n % FRAMES else "", "next": "" if last else after}


def _sample(n: int, samples: int) -> Row:
    links = _neighbours(n, samples, f"{n - 1:032d}", f"{n + 1:032d}")
    return {
        "token": f"{n:032d}",
        "timestamp": 1_500_000_000_000_000 + n * STEP_US,
        "scene_token": f"s{n // FRAMES}",
        **links,
    }


def _data(n: int, i: int) -> Row:
    channel = CHANNELS[i % len(CHANNELS)]
    return {
        "token": f"{n:024d}{i:08d}",
        "sample_token": f"{n:032d}",
        "ego_pose_token": f"{n:024d}{i:08d}",
        "calibrated_sensor_token": f"c{channel}",
        "timestamp": 1_500_000_000_000_000 + n * STEP_US + i * 1000,
        "fileformat": "jpg",
        "is_key_frame": i < len(CHANNELS),
        "height": 900,
        "width": 1600,
        "filename": f"samples/{channel}/n015-2018-07-24-11-22-45+0800__{channel}__{n:010d}{i:06d}.jpg",
        "prev": "",
        "next": "",
    }


def _pose(n: int, i: int, turn: list[float]) -> Row:
    place = [400.0 + 0.1 * (n % FRAMES), 1100.0 + 0.001 * i, 0.0]
    return {"token": f"{n:024d}{i:08d}", "timestamp": n * STEP_US + i, "rotation": turn, "translation": place}


def _box(n: int, b: int, samples: int, turn: list[float]) -> Row:
    return {
        "token": f"{n:024d}b{b:07d}",
        "sample_token": f"{n:032d}",
        "instance_token": f"s{n // FRAMES}b{b}",
        "visibility_token": "4",
        "attribute_tokens": ["a"],
        "translation": [400.0 + b, 1100.0 + 0.2 * (n % FRAMES), 1.0],
        "size": [1.9, 4.6, 1.7],
        "rotation": turn,
        "num_lidar_pts": b,
        "num_radar_pts": 0,
        **_neighbours(n, samples, f"{n - 1:024d}b{b:07d}", f"{n + 1:024d}b{b:07d}"),
    }
