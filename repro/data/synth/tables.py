"""The thirteen nuScenes tables of a synthetic data set, as lists of rows with tokens that link up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.data.synth.rig import CAMERAS, IMAGE_SIZE, LIDAR, Sensor
from repro.data.synth.world import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from repro.data.synth.world import Actor, Ego, Pose

Row = dict[str, Any]
ATTRIBUTES = (
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.moving",
    "pedestrian.standing",
    "pedestrian.sitting_lying_down",
    "vehicle.moving",
    "vehicle.parked",
    "vehicle.stopped",
)
VISIBILITIES = ("v0-40", "v40-60", "v60-80", "v80-100")
VISIBILITY_LIMITS = (0.4, 0.6, 0.8)
MAP_FILE = "maps/synthetic.png"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An actor in one key frame: its pose, the share of its silhouette that is seen, and LiDAR points inside it."""

    actor: Actor
    pose: Pose
    visible: float
    lidar_points: int


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One key frame: the LiDAR's time in µs, the file of each sensor, and what is annotated."""

    timestamp: int
    files: Mapping[str, str]
    sightings: Sequence[Sighting]


@dataclass(frozen=True, slots=True)
class SceneFrames:
    """A scene: its name, when it started (µs), the car, and its key frames in order."""

    name: str
    start_us: int
    ego: Ego
    frames: Sequence[KeyFrame]


def token(*words: object) -> str:
    """Return the 32 hex digits that name something."""
    return hashlib.sha256("/".join(map(str, ("bevready-synth", *words))).encode()).hexdigest()[:32]


def all_tables(scenes: Sequence[SceneFrames]) -> dict[str, list[Row]]:
    """Return every table by name."""
    tables = _fixed_tables([scene.name for scene in scenes])
    for scene in scenes:
        _add_scene(tables, scene)
    return tables


def _fixed_tables(scene_names: Sequence[str]) -> dict[str, list[Row]]:
    log = token("log")
    sensors = (*CAMERAS, LIDAR)
    return {
        "attribute": [{"token": token("attribute", a), "name": a, "description": ""} for a in ATTRIBUTES],
        "category": [{"token": token("category", k), "name": v[0], "description": k} for k, v in KINDS.items()],
        "visibility": [
            {"token": str(number), "level": level, "description": ""} for number, level in enumerate(VISIBILITIES, 1)
        ],
        "log": [
            {
                "token": log,
                "logfile": "synthetic",
                "vehicle": "synthetic",
                "date_captured": "2018-07-24",
                "location": "singapore-onenorth",
            }
        ],
        "map": [{"token": token("map"), "category": "semantic_prior", "filename": MAP_FILE, "log_tokens": [log]}],
        "sensor": [
            {
                "token": token("sensor", s.channel),
                "channel": s.channel,
                "modality": "camera" if s.focal else "lidar",
            }
            for s in sensors
        ],
        "calibrated_sensor": [
            {
                "token": token("calibrated_sensor", name, s.channel),
                "sensor_token": token("sensor", s.channel),
                "translation": list(s.translation),
                "rotation": list(s.rotation),
                "camera_intrinsic": s.intrinsic,
            }
            for name in scene_names
            for s in sensors
        ],
        **{name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")},
    }


def _add_scene(tables: dict[str, list[Row]], scene: SceneFrames) -> None:
    count = len(scene.frames)
    samples = [token("sample", scene.name, i) for i in range(count)]
    tables["scene"].append(
        {
            "token": token("scene", scene.name),
            "log_token": token("log"),
            "nbr_samples": count,
            "first_sample_token": samples[0],
            "last_sample_token": samples[-1],
            "name": scene.name,
            "description": "synthetic: cuboids on a curved street",
        }
    )
    for i, frame in enumerate(scene.frames):
        tables["sample"].append(
            {
                "token": samples[i],
                "timestamp": frame.timestamp,
                **_links(samples, i),
                "scene_token": token("scene", scene.name),
            }
        )
        for sensor in (*CAMERAS, LIDAR):
            _add_sensor_data(tables, scene, i, sensor)
    _add_annotations(tables, scene)


def _links(chain: Sequence[str], i: int) -> Row:
    return {"prev": chain[i - 1] if i else "", "next": chain[i + 1] if i + 1 < len(chain) else ""}


def _add_sensor_data(tables: dict[str, list[Row]], scene: SceneFrames, i: int, sensor: Sensor) -> None:
    chain = [token("sample_data", scene.name, sensor.channel, j) for j in range(len(scene.frames))]
    frame = scene.frames[i]
    timestamp = frame.timestamp + sensor.delay_us
    pose = scene.ego.pose((timestamp - scene.start_us) / 1e6)
    tables["ego_pose"].append(
        {
            "token": chain[i],
            "timestamp": timestamp,
            "rotation": list(pose.quaternion),
            "translation": [pose.x, pose.y, 0.0],
        }
    )
    rows, columns = IMAGE_SIZE if sensor.focal else (0, 0)
    tables["sample_data"].append(
        {
            "token": chain[i],
            "sample_token": token("sample", scene.name, i),
            "ego_pose_token": chain[i],
            "calibrated_sensor_token": token("calibrated_sensor", scene.name, sensor.channel),
            "timestamp": timestamp,
            "fileformat": "jpg" if sensor.focal else "pcd",
            "is_key_frame": True,
            "height": rows,
            "width": columns,
            "filename": frame.files[sensor.channel],
            **_links(chain, i),
        }
    )


def _add_annotations(tables: dict[str, list[Row]], scene: SceneFrames) -> None:
    """Add the annotations of every actor, chained over the frames in which it is annotated."""
    seen: dict[int, list[tuple[int, Sighting]]] = {}
    for i, frame in enumerate(scene.frames):
        for sighting in frame.sightings:
            seen.setdefault(sighting.actor.number, []).append((i, sighting))
    for number, sightings in sorted(seen.items()):
        chain = [token("annotation", scene.name, number, i) for i, _ in sightings]
        instance = token("instance", scene.name, number)
        tables["instance"].append(
            {
                "token": instance,
                "category_token": token("category", sightings[0][1].actor.kind),
                "nbr_annotations": len(chain),
                "first_annotation_token": chain[0],
                "last_annotation_token": chain[-1],
            }
        )
        for k, (i, sighting) in enumerate(sightings):
            row = {"token": chain[k], "sample_token": token("sample", scene.name, i), "instance_token": instance}
            tables["sample_annotation"].append(row | _annotation(sighting) | _links(chain, k))


def _annotation(sighting: Sighting) -> Row:
    actor, pose = sighting.actor, sighting.pose
    level = sum(sighting.visible >= limit for limit in VISIBILITY_LIMITS)
    return {
        "visibility_token": str(level + 1),
        "attribute_tokens": [token("attribute", actor.attribute)] if actor.attribute else [],
        "translation": [pose.x, pose.y, actor.size[2] / 2],
        "size": list(actor.size),
        "rotation": list(pose.quaternion),
        "num_lidar_pts": sighting.lidar_points,
        "num_radar_pts": 0,
    }
