"""Writing a synthetic nuScenes data set: the story from a seed to a folder that the official devkit reads."""

from __future__ import annotations

import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from nuscenes.utils.splits import mini_train, mini_val

from repro.atomic import source_digest, write_json
from repro.data.records import DataError
from repro.data.synth.can_bus import pose_messages
from repro.data.synth.lidar import box_points, ground_points, sweep_bytes
from repro.data.synth.render import corners_of, draw, silhouette, view_of
from repro.data.synth.rig import CAMERAS, LIDAR
from repro.data.synth.tables import MAP_FILE, KeyFrame, SceneFrames, Sighting, all_tables
from repro.data.synth.world import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from repro.data.synth.world import Actor, Ego

VERSION = "v1.0-mini"
MARKER = "bevready-synth.json"
KEY_FRAME_S = 0.5
START_US = 1_532_402_927_000_000
SCENE_EVERY_US = 100_000_000
ANNOTATED_M = 65.0
JPEG_QUALITY = 90
WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthOptions:
    """What determines every byte of the data set."""

    seed: int
    scenes: int
    frames: int

    def __post_init__(self) -> None:
        most = len(mini_train) + len(mini_val)
        if not 2 <= self.scenes <= most:
            raise DataError(f"{self.scenes} synthetic scenes; choose 2 to {most}: v1.0-mini has no more names")
        if self.frames < 1:
            raise DataError(f"{self.frames} key frames a scene; choose at least 1")


def scene_names(count: int) -> list[str]:
    """Return names of the devkit's mini splits: at least one of each, mostly for training."""
    held_out = min(len(mini_val), max(1, count // 4))
    held_out = max(held_out, count - len(mini_train))
    return [*mini_train[: count - held_out], *mini_val[:held_out]]


def write_synth(
    root: Path,
    *,
    seed: int = 0,
    scenes: int = 2,
    frames: int = 6,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> bool:
    """Make sure `root` holds the data set of these options; return whether it had to be written.

    It is built beside `root` and takes its place when whole. `tell(done, total)` hears about frames. Raises DataError
    for impossible options, or when `root` holds something that this function did not write.
    """
    options = SynthOptions(seed=seed, scenes=scenes, frames=frames)
    about = {
        "what": "synthetic data in the nuScenes format, made by bevready; not nuScenes",
        "seed": seed,
        "scenes": scenes,
        "frames": frames,
        "source": source_digest(Path(__file__).parent),
    }
    if _read_marker(root) == about:
        return False
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    _write(part, options, tell)
    write_json(part / MARKER, about)
    if root.exists():
        shutil.rmtree(root)
    part.rename(root)
    return True


def options_of(root: Path) -> SynthOptions:
    """Return the options that a synthetic data set was made with, the usual ones where there is none yet."""
    about = _read_marker(root)
    numbers = {key: about.get(key) for key in ("seed", "scenes", "frames")} if isinstance(about, dict) else {}
    known = {key: value for key, value in numbers.items() if isinstance(value, int)}
    return SynthOptions(**{"seed": 0, "scenes": 2, "frames": 6, **known})


def _read_marker(root: Path) -> object:
    """Return what a synthetic data set says of itself, None for a new or empty place. Raises DataError for others."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return None
    try:
        return json.loads((root / MARKER).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{root}: there is something here that is not a synthetic data set, and it will not be overwritten; "
            "choose another place with --dataroot DIR"
        ) from error
    except (OSError, ValueError):
        return "damaged"


def _write(root: Path, options: SynthOptions, tell: Callable[[int, int], None]) -> None:
    scenes, names = [], scene_names(options.scenes)
    for number, name in enumerate(names):
        start = START_US + number * SCENE_EVERY_US
        ego, actors = make_scene(options.seed, number, options.frames * KEY_FRAME_S)
        frames = []
        for i in range(options.frames):
            frames.append(_write_frame(root, name, start, ego, actors, i, seed=options.seed))
            tell(number * options.frames + i + 1, options.scenes * options.frames)
        scenes.append(SceneFrames(name, start, ego, frames))
        messages = pose_messages(ego, start, (options.frames - 1) * KEY_FRAME_S)
        _json(root / "can_bus" / f"{name}_pose.json", messages)
    for table, rows in all_tables(scenes).items():
        _json(root / VERSION / f"{table}.json", rows)
    (root / MAP_FILE).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / MAP_FILE), np.zeros((200, 200), np.uint8))


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _write_frame(
    root: Path, scene: str, start_us: int, ego: Ego, actors: tuple[Actor, ...], i: int, *, seed: int
) -> KeyFrame:
    """Write the six pictures and the sweep of one key frame and return what the tables need."""
    t = i * KEY_FRAME_S
    timestamp = start_us + round(t * 1e6)
    here = ego.pose(t)
    near = tuple(a for a in actors if math.dist((a.pose(t).x, a.pose(t).y), (here.x, here.y)) < ANNOTATED_M)

    def shoot(number: int) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
        camera = CAMERAS[number]
        moment = t + camera.delay_us / 1e6
        view = view_of(camera, ego.pose(moment))
        picture, owner = draw(view, ego.road, [(a, a.pose(moment)) for a in near])
        name = f"samples/{camera.channel}/{scene}__{camera.channel}__{timestamp + camera.delay_us}.jpg"
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded.tobytes())
        seen = np.bincount(owner.ravel(), minlength=len(near) + 1)[1:]
        whole = [silhouette(view, corners_of(a, a.pose(moment))) for a in near]
        return name, seen, np.array(whole)

    with ThreadPoolExecutor(WORKERS) as pool:
        shots = list(pool.map(shoot, range(len(CAMERAS))))
    share = np.sum([s for _, s, _ in shots], 0) / np.maximum(np.sum([w for _, _, w in shots], 0), 1)
    rng = np.random.default_rng([seed, timestamp])
    sightings, points = [], [ground_points(here, rng)]
    for actor, visible in zip(near, share, strict=True):
        pose = actor.pose(t)
        inside = box_points(actor, pose, math.dist((pose.x, pose.y), (here.x, here.y)), float(visible), rng)
        points.append(inside)
        sightings.append(Sighting(actor, pose, float(visible), len(inside)))
    sweep = f"samples/{LIDAR.channel}/{scene}__{LIDAR.channel}__{timestamp}.pcd.bin"
    (root / sweep).parent.mkdir(parents=True, exist_ok=True)
    (root / sweep).write_bytes(sweep_bytes(points, here, _sensor_from_ego()))
    files = {camera.channel: name for camera, (name, _, _) in zip(CAMERAS, shots, strict=True)}
    return KeyFrame(timestamp, {**files, LIDAR.channel: sweep}, sightings)


def _sensor_from_ego() -> NDArray[np.float64]:
    transform = np.eye(4)
    transform[:3, :3] = LIDAR.ego_from_sensor.T
    transform[:3, 3] = -LIDAR.ego_from_sensor.T @ np.array(LIDAR.translation)
    return transform
