"""What is known of one key frame: the nouns of the data path. Nothing here reads a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DataError(ValueError):
    """A data set that cannot be used; the message says what was seen and what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """One camera's image of a key frame (spec §F.1).

    path relative to the data root; intrinsic [3, 3]; a point p in the camera is `lidar_from_camera_rotation` [3, 3]
    @ p + `lidar_from_camera_translation` [3] in the LiDAR frame of the key frame, ego motion between the two
    timestamps included. What only upstream's info files ask for: the token of the image, and the poses of the camera in
    the car and of the car at the camera's time, translations [3], quaternions [4] (w, x, y, z).
    """

    channel: str
    path: str
    timestamp: int
    intrinsic: NDArray[np.float64]
    lidar_from_camera_rotation: NDArray[np.float64]
    lidar_from_camera_translation: NDArray[np.float64]
    token: str = ""
    ego_from_camera_translation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    ego_from_camera_rotation: NDArray[np.float64] = field(default_factory=lambda: np.array([1.0, 0, 0, 0]))
    global_from_ego_translation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    global_from_ego_rotation: NDArray[np.float64] = field(default_factory=lambda: np.array([1.0, 0, 0, 0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecord:
    """One key frame (spec §F.1): cameras in the recipe's order, poses at the LiDAR's timestamp, annotations.

    Quaternions are (w, x, y, z). boxes [G, 7] are x, y, z (gravity centre), w, l, h, yaw in the LiDAR frame with
    mmdet3d 0.17's yaw; velocities [G, 2] m/s in the LiDAR frame, NaN where unknown; names are detection classes, or
    the raw category where the benchmark has none; valid [G] where LiDAR or radar saw at least one point.
    can_bus [18] holds the raw messages; slots 0..6, 16, 17 are set from the pose when a frame is loaded (spec §F.2).
    lidar_path and the points [G] of LiDAR and radar in each box are what only upstream's info files ask for.
    """

    token: str
    prev: str
    next: str
    scene_token: str
    scene_name: str
    frame_idx: int
    timestamp: int
    cameras: tuple[CameraRecord, ...]
    ego_from_lidar_translation: NDArray[np.float64]
    ego_from_lidar_rotation: NDArray[np.float64]
    global_from_ego_translation: NDArray[np.float64]
    global_from_ego_rotation: NDArray[np.float64]
    can_bus: NDArray[np.float64]
    boxes: NDArray[np.float64]
    velocities: NDArray[np.float64]
    names: tuple[str, ...]
    valid: NDArray[np.bool_]
    lidar_path: str = ""
    lidar_points: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    radar_points: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
