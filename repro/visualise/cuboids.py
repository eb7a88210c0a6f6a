"""Boxes as eight corners in the LiDAR frame of a key frame, whatever they came from, and their edges in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.geometry import rotation_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from repro.data import FrameRecord

NEAR_M = 0.1  # edges are cut this far before the lens
# Corners 0..3 are the bottom, front left, front right, back right, back left; 4..7 the top in the same order.
ALONG, LEFT, UP = (
    np.array(signs, float) / 2 for signs in ([1, 1, -1, -1] * 2, [1, -1, -1, 1] * 2, [-1, -1, -1, -1, 1, 1, 1, 1])
)  # in units of length, width and height
EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
FRONT = (0, 1, 5, 4)  # the face a vehicle drives towards, in order around it


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuboids:
    """R boxes: corners [R, 8, 3] m and velocities [R, 2] m/s (x, y) in the LiDAR frame, names, scores [R] or None.

    Ground truth has no scores. Corner order as in `FRONT` and `EDGES`.
    """

    corners: NDArray[np.float64]
    velocities: NDArray[np.float64]
    names: tuple[str, ...]
    scores: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def above(self, threshold: float) -> Cuboids:
        """Return the boxes that score at least `threshold`; all of them where there are no scores."""
        if self.scores is None:
            return self
        kept = np.flatnonzero(self.scores >= threshold)
        return Cuboids(
            corners=self.corners[kept],
            velocities=self.velocities[kept],
            names=tuple(self.names[i] for i in kept),
            scores=self.scores[kept],
        )


def cuboids_of_boxes(boxes: NDArray[Any], names: Sequence[str], scores: NDArray[Any] | None = None) -> Cuboids:
    """Return the cuboids of boxes [R, 9] as `repro.tensors` lays them out: LiDAR frame, mmdet3d 0.17's yaw."""
    boxes = np.asarray(boxes, float).reshape(-1, 9)
    headings = -boxes[:, 6] - math.pi / 2  # nuScenes' yaw, counted from the x axis (spec §E.3)
    turns = np.zeros((len(boxes), 3, 3))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(headings)
    turns[:, 1, 0], turns[:, 0, 1] = np.sin(headings), -np.sin(headings)
    turns[:, 2, 2] = 1.0
    return Cuboids(
        corners=_corners(boxes[:, :3], boxes[:, 3:6], turns),
        velocities=boxes[:, 7:9],
        names=tuple(names),
        scores=None if scores is None else np.asarray(scores, float),
    )


def cuboids_of_results(entries: Sequence[Mapping[str, Any]], record: FrameRecord) -> Cuboids:
    """Return the cuboids of entries of a nuScenes result file (global frame) in the LiDAR frame of `record`."""
    ego, lidar = rotation_of(record.global_from_ego_rotation), rotation_of(record.ego_from_lidar_rotation)
    lidar_from_global = lidar.T @ ego.T
    centres = np.array([entry["translation"] for entry in entries], float).reshape(-1, 3)
    centres = (centres - record.global_from_ego_translation) @ ego - record.ego_from_lidar_translation
    turns = [lidar_from_global @ rotation_of(np.array(entry["rotation"], float)) for entry in entries]
    moving = np.array([[*entry["velocity"], 0.0] for entry in entries], float).reshape(-1, 3)
    return Cuboids(
        corners=_corners(
            centres @ lidar,
            np.array([entry["size"] for entry in entries], float).reshape(-1, 3),
            np.array(turns, float).reshape(-1, 3, 3),
        ),
        velocities=(moving @ lidar_from_global.T)[:, :2],
        names=tuple(str(entry["detection_name"]) for entry in entries),
        scores=np.array([entry["detection_score"] for entry in entries], float),
    )


def _corners(
    centres: NDArray[np.float64], sizes: NDArray[np.float64], turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return corners [R, 8, 3] of centres [R, 3], sizes w, l, h [R, 3] and rotations [R, 3, 3]."""
    width, length, height = (sizes[:, i, None] for i in range(3))
    local = np.stack([length * ALONG, width * LEFT, height * UP], -1)  # [R, 8, 3]
    corners: NDArray[np.float64] = local @ turns.transpose(0, 2, 1) + centres[:, None]
    return corners


def edges_in_image(corners: NDArray[np.float64], img_from_lidar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of one box [8, 3] as they fall on the image plane: [E, 2, 2] pixels, E ≤ 12.

    Edges that pass the plane `NEAR_M` before the camera are cut there; what lies behind it is left out.
    """
    ends = homogeneous(corners, img_from_lidar)[np.array(EDGES)]  # [12, 2, 3] as (u·d, v·d, d)
    depth = ends[..., 2]
    ahead = depth > NEAR_M
    crossing = ahead[:, 0] != ahead[:, 1]
    share = np.divide(NEAR_M - depth[:, 0], depth[:, 1] - depth[:, 0], out=np.zeros(len(ends)), where=crossing)
    cut = ends[:, 0] + share[:, None] * (ends[:, 1] - ends[:, 0])
    ends = np.where(ahead[..., None], ends, cut[:, None])[ahead.any(1)]
    pixels: NDArray[np.float64] = ends[..., :2] / ends[..., 2:]
    return pixels


def face_in_image(corners: NDArray[np.float64], img_from_lidar: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the front face of one box as [4, 2] pixels, None unless all of it lies before the camera."""
    points = homogeneous(corners[list(FRONT)], img_from_lidar)
    if not (points[:, 2] > NEAR_M).all():
        return None
    pixels: NDArray[np.float64] = points[:, :2] / points[:, 2:]
    return pixels


def homogeneous(points: NDArray[np.float64], img_from_lidar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (u·d, v·d, d) [P, 3] of points [P, 3] in LiDAR metres: d is the depth in metres."""
    projected: NDArray[np.float64] = points @ img_from_lidar[:3, :3].T + img_from_lidar[:3, 3]
    return projected
