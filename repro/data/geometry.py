"""Rotations, yaws and projections of nuScenes as numpy arrays; float64 throughout (spec §F.1, §F.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from repro.data.records import CameraRecord


def rotation_of(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation matrix [3, 3] of a quaternion (w, x, y, z) of any length but zero."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotations_of(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation matrices [N, 3, 3] of quaternions [N, 4] (w, x, y, z) of any length but zero."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    columns = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    matrices: NDArray[np.float64] = np.stack(columns, 1).reshape(-1, 3, 3)
    return matrices


def quaternion_product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Hamilton product a·b of quaternions [..., 4] (w, x, y, z): first turn by b, then by a."""
    aw, ax, ay, az = a.T
    bw, bx, by, bz = b.T
    product: NDArray[np.float64] = np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )
    return product


def yaw_of(quaternion: NDArray[np.float64]) -> float:
    """Return the heading in radians, -π..π: the direction of the turned x axis in the x-y plane."""
    forward = rotation_of(quaternion)[:, 0]
    return math.atan2(forward[1], forward[0])


def img_from_lidar(camera: CameraRecord, scale: float) -> NDArray[np.float64]:
    """Return the projection [4, 4] from LiDAR metres to pixels of the image resized by `scale` (spec §B.1, §F.2)."""
    intrinsic = np.eye(4)
    intrinsic[:3, :3] = camera.intrinsic
    resize = np.diag([scale, scale, 1.0, 1.0])
    projection: NDArray[np.float64] = resize @ (intrinsic @ camera_from_lidar(camera))
    return projection


def camera_from_lidar(camera: CameraRecord) -> NDArray[np.float64]:
    """Return the rigid transform [4, 4] from the LiDAR frame to the camera's."""
    inverse = np.linalg.inv(camera.lidar_from_camera_rotation)
    transform = np.eye(4)
    transform[:3, :3] = inverse
    transform[:3, 3] = -inverse @ camera.lidar_from_camera_translation
    return transform


def wrapped(angle: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return angles in -π..π, in the arithmetic of mmdet3d's `limit_period` (spec §F.2)."""
    turns = np.floor(angle / np.float32(2 * math.pi) + np.float32(0.5))
    inside: NDArray[np.float32] = angle - turns * np.float32(2 * math.pi)
    return inside
