"""A frame of the user's own: a folder with six JPEGs and `calibration.json`, read into a frame record and written.

The format is described in docs/single_frame.md.
"""

from __future__ import annotations

import difflib
import json
import math
import shutil
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from repro.atomic import replacing, write_json
from repro.data.geometry import rotation_of
from repro.data.records import CameraRecord, DataError, FrameRecord
from repro.tensors import CAN_BUS_SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILE = "calibration.json"
LARGEST = 1 << 20  # bytes; a calibration is a page of numbers
Real = Annotated[float, Field(allow_inf_nan=False)]


class Pose(BaseModel):
    """A rigid transform: translation x, y, z in metres, rotation as a quaternion w, x, y, z of any length but zero."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    translation: tuple[Real, Real, Real]
    rotation: tuple[Real, Real, Real, Real]

    @field_validator("rotation")
    @classmethod
    def _turns(cls, rotation: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if not 1e-6 < math.hypot(*rotation) < 1e6:
            raise ValueError(f"{list(rotation)} is no rotation; expected a quaternion w, x, y, z of length 1")
        return rotation

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The transform as [4, 4]."""
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = rotation_of(np.array(self.rotation)), self.translation
        return transform


IDENTITY = Pose(translation=(0.0, 0.0, 0.0), rotation=(1.0, 0.0, 0.0, 0.0))


class Camera(BaseModel):
    """A camera: its JPEG, its intrinsic matrix in pixels of that JPEG, its pose in the car.

    global_from_ego is where the car was when the shutter opened; None: where it is at the frame's own time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    image: Annotated[str, Field(min_length=1)]
    intrinsic: list[list[Real]]
    ego_from_camera: Pose
    global_from_ego: Pose | None = None

    @field_validator("intrinsic")
    @classmethod
    def _is_a_camera_matrix(cls, rows: list[list[float]]) -> list[list[float]]:
        if [len(row) for row in rows] != [3, 3, 3]:
            shape = f"{len(rows)}×{'/'.join(str(n) for n in sorted({len(row) for row in rows})) or 0}"
            raise ValueError(f"{shape}; expected 3×3: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels")
        if rows[0][0] <= 0 or rows[1][1] <= 0 or rows[2] != [0.0, 0.0, 1.0]:
            raise ValueError(f"{rows}; expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0, in pixels")
        return rows


class Calibration(BaseModel):
    """What calibration.json holds. ego: x forward, y left, z up; lidar: x right, y forward, z up (nuScenes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1]
    token: Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")] = "frame"  # noqa: S105 — names the results' folder
    cameras: dict[str, Camera]
    ego_from_lidar: Pose
    global_from_ego: Pose = IDENTITY
    can_bus: Annotated[list[Real], Field(min_length=CAN_BUS_SLOTS, max_length=CAN_BUS_SLOTS)] | None = None


def read_calibration(path: Path, channels: Sequence[str]) -> Calibration:
    """Return what a calibration file holds, with every camera of `channels`. Raises DataError naming each mistake."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: {path.stat().st_size} bytes; a calibration is at most {LARGEST}")
        text = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}; --frame names a folder with six JPEGs and {FILE}; "
            "`predict --example DIR` writes one to start from"
        ) from error
    try:
        calibration = Calibration.model_validate_json(text)
    except ValidationError as error:
        lines = [f"{path}: {_word(problem)}" for problem in error.errors(include_url=False)]
        raise DataError("\n".join(lines)) from error
    missing = [channel for channel in channels if channel not in calibration.cameras]
    unknown = [name for name in calibration.cameras if name not in channels]
    if missing or unknown:
        parts = [f"no camera {', '.join(missing)}"] if missing else []
        parts += [f'unknown camera "{name}"{_guess(name, channels)}' for name in unknown]
        raise DataError(f"{path}: {'; '.join(parts)}; expected all of {', '.join(channels)}")
    return calibration


def _word(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{place}: missing"
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    if problem["type"] == "value_error":
        return f"{place}: {problem['ctx']['error']}"
    if problem["type"] == "json_invalid":
        return f"not JSON: {problem['ctx']['error']}"
    seen = json.dumps(problem["input"], default=str)
    return f"{place or 'the file'} is {seen[:60]}; {problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _guess(name: str, channels: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.upper(), channels, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def read_frame(folder: Path, channels: Sequence[str]) -> FrameRecord:
    """Return the frame in a folder: cameras in the order of `channels`, nothing annotated. Raises DataError."""
    calibration = read_calibration(folder / FILE, channels)
    ego, lidar = calibration.global_from_ego, calibration.ego_from_lidar
    return FrameRecord(
        token=calibration.token,
        prev="",
        next="",
        scene_token=calibration.token,
        scene_name=folder.name,
        frame_idx=0,
        timestamp=0,
        cameras=tuple(_camera(channel, calibration) for channel in channels),
        ego_from_lidar_translation=np.array(lidar.translation),
        ego_from_lidar_rotation=np.array(lidar.rotation),
        global_from_ego_translation=np.array(ego.translation),
        global_from_ego_rotation=np.array(ego.rotation),
        can_bus=np.zeros(CAN_BUS_SLOTS) if calibration.can_bus is None else np.array(calibration.can_bus),
        boxes=np.zeros((0, 7)),
        velocities=np.zeros((0, 2)),
        names=(),
        valid=np.zeros(0, bool),
    )


def check_photos(record: FrameRecord, folder: Path, size: tuple[int, int]) -> None:
    """Raise DataError unless every photo of a frame folder is a JPEG of `size` rows and columns."""
    rows, columns = size
    for camera in record.cameras:
        path = folder / camera.path
        try:
            with Image.open(path) as photo:
                kind, (wide, high) = photo.format, photo.size
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            words = getattr(error, "strerror", None) or "not an image that can be read"
            raise DataError(f"{path}: {words}; {camera.channel} needs a JPEG of {columns}×{rows} pixels") from error
        if kind != "JPEG":
            raise DataError(f"{path}: a {kind} image; {camera.channel} needs a JPEG: convert it at quality 95 or more")
        if (high, wide) != size:
            raise DataError(
                f"{path}: {wide}×{high} pixels; expected {columns}×{rows}: resize it, and multiply the first row "
                f"of its intrinsic by {columns / wide:.4g} and the second by {rows / high:.4g}"
            )


def _camera(channel: str, calibration: Calibration) -> CameraRecord:
    """Chain camera → ego at the camera's time → global → ego at the frame's time → LiDAR (spec §F.1)."""
    camera = calibration.cameras[channel]
    then = camera.global_from_ego or calibration.global_from_ego
    lidar_from_global = np.linalg.inv(calibration.global_from_ego.matrix @ calibration.ego_from_lidar.matrix)
    lidar_from_camera = lidar_from_global @ then.matrix @ camera.ego_from_camera.matrix
    return CameraRecord(
        channel=channel,
        path=camera.image,
        timestamp=0,
        intrinsic=np.array(camera.intrinsic),
        lidar_from_camera_rotation=lidar_from_camera[:3, :3],
        lidar_from_camera_translation=lidar_from_camera[:3, 3],
        ego_from_camera_translation=np.array(camera.ego_from_camera.translation),
        ego_from_camera_rotation=np.array(camera.ego_from_camera.rotation),
        global_from_ego_translation=np.array(then.translation),
        global_from_ego_rotation=np.array(then.rotation),
    )


def calibration_of(record: FrameRecord) -> Calibration:
    """Return the calibration of a frame record, its images named after the cameras."""
    return Calibration(
        schema_version=1,
        token=record.token,
        cameras={
            camera.channel: Camera(
                image=f"{camera.channel}.jpg",
                intrinsic=camera.intrinsic.tolist(),
                ego_from_camera=_pose(camera.ego_from_camera_translation, camera.ego_from_camera_rotation),
                global_from_ego=_pose(camera.global_from_ego_translation, camera.global_from_ego_rotation),
            )
            for camera in record.cameras
        },
        ego_from_lidar=_pose(record.ego_from_lidar_translation, record.ego_from_lidar_rotation),
        global_from_ego=_pose(record.global_from_ego_translation, record.global_from_ego_rotation),
        can_bus=record.can_bus.tolist(),
    )


def _pose(translation: NDArray[np.float64], rotation: NDArray[np.float64]) -> Pose:
    (x, y, z), (w, i, j, k) = translation.tolist(), rotation.tolist()
    return Pose(translation=(x, y, z), rotation=(w, i, j, k))


def write_frame(folder: Path, record: FrameRecord, dataroot: Path) -> None:
    """Write a frame as a folder that `read_frame` reads: copies of its photos, and its calibration last."""
    for camera in record.cameras:
        with replacing(folder / f"{camera.channel}.jpg") as part:
            shutil.copyfile(dataroot / camera.path, part)
    write_json(folder / FILE, calibration_of(record).model_dump(mode="json", exclude_none=True))
