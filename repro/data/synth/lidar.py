"""A small but valid LiDAR sweep: points on the boxes that can be seen, and on the ground. No ray is traced."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from repro.data.synth.world import Actor, Pose

POINTS_AT_10_M = 60  # on a square metre of box, when wholly visible
GROUND_POINTS = 800
INSIDE = 0.98  # points lie this share of the way from the centre to the surface: inside the box beyond rounding


def box_points(
    actor: Actor, pose: Pose, distance: float, visible: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return points [P, 3] in the global frame inside a box's surface; none when it is hidden."""
    width, length, height = actor.size
    area = length * height + width * height
    count = int(visible * POINTS_AT_10_M * area * (10 / max(distance, 2.0)) ** 2)
    if visible > 0 and distance < 60:
        count = max(count, 1)
    unit = rng.uniform(-1, 1, (min(count, 400), 3))
    axis = np.abs(unit).argmax(1)
    unit[np.arange(len(unit)), axis] = np.sign(unit[np.arange(len(unit)), axis])  # onto the faces of a cube
    local = unit * INSIDE * np.array([length, width, height]) / 2
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    x = pose.x + cos * local[:, 0] - sin * local[:, 1]
    y = pose.y + sin * local[:, 0] + cos * local[:, 1]
    return np.stack([x, y, local[:, 2] + height / 2], -1)


def ground_points(ego: Pose, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return points [P, 3] just below the ground around the car, so that none lies in a box."""
    angle, radius = rng.uniform(-math.pi, math.pi, GROUND_POINTS), rng.uniform(4, 40, GROUND_POINTS)
    return np.stack([ego.x + radius * np.cos(angle), ego.y + radius * np.sin(angle), np.full(GROUND_POINTS, -0.05)], -1)


def sweep_bytes(points: Sequence[NDArray[np.float64]], ego: Pose, sensor_from_ego: NDArray[np.float64]) -> bytes:
    """Return the .pcd.bin of global points: float32 x, y, z, intensity, ring in the sensor's frame.

    sensor_from_ego [4, 4].
    """
    cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
    xyz = np.concatenate(points) - np.array([ego.x, ego.y, 0.0])
    in_ego = np.stack([cos * xyz[:, 0] + sin * xyz[:, 1], -sin * xyz[:, 0] + cos * xyz[:, 1], xyz[:, 2]], -1)
    in_sensor = in_ego @ sensor_from_ego[:3, :3].T + sensor_from_ego[:3, 3]
    rows = np.concatenate([in_sensor, np.full((len(xyz), 1), 30.0), np.zeros((len(xyz), 1))], 1)
    data: bytes = rows.astype(np.float32).tobytes()
    return data
