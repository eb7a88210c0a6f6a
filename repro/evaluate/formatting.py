"""Detections in the LiDAR frame as boxes of the nuScenes submission format (spec §E.3, §E.4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.geometry import quaternion_product, rotation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from repro.data.records import FrameRecord
    from repro.tensors import Detections

CLASS_RANGE_M = {
    "car": 50,
    "truck": 50,
    "bus": 50,
    "trailer": 50,
    "construction_vehicle": 50,
    "pedestrian": 40,
    "motorcycle": 40,
    "bicycle": 40,
    "traffic_cone": 30,
    "barrier": 30,
}
MOVING_M_S = 0.2
WHEN_MOVING = {
    **dict.fromkeys(("car", "construction_vehicle", "bus", "truck", "trailer"), "vehicle.moving"),
    **dict.fromkeys(("bicycle", "motorcycle"), "cycle.with_rider"),
}
WHEN_STANDING = {"pedestrian": "pedestrian.standing", "bus": "vehicle.stopped"}
OTHERWISE = {
    **dict.fromkeys(("car", "trailer", "truck", "construction_vehicle"), "vehicle.parked"),
    "bus": "vehicle.moving",
    "pedestrian": "pedestrian.moving",
    **dict.fromkeys(("motorcycle", "bicycle"), "cycle.without_rider"),
    **dict.fromkeys(("barrier", "traffic_cone"), ""),
}


def format_detections(detections: Detections, record: FrameRecord, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the submission boxes of one frame, in global coordinates, those beyond their class's range left out."""
    boxes = detections.boxes.detach().cpu().numpy().astype(np.float32)
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    formatted = [
        _format(box, classes[label], score, record) for box, score, label in zip(boxes, scores, labels, strict=True)
    ]
    return [box for box in formatted if box is not None]


def attribute_of(name: str, speed: float) -> str:
    """Return the attribute that upstream guesses from a class and its speed in m/s."""
    return (WHEN_MOVING if speed > MOVING_M_S else WHEN_STANDING).get(name, OTHERWISE[name])


def _format(box: NDArray[np.float32], name: str, score: float, record: FrameRecord) -> dict[str, Any] | None:
    yaw = float(-box[6] - np.float32(math.pi / 2))  # mmdet3d's yaw to nuScenes', in float32 as upstream
    turn = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
    centre, velocity = box[:3].astype(float), np.array([box[7], box[8], 0.0], float)
    centre, turn, velocity = _moved(
        centre, turn, velocity, record.ego_from_lidar_rotation, record.ego_from_lidar_translation
    )
    if math.hypot(centre[0], centre[1]) > CLASS_RANGE_M[name]:
        return None
    centre, turn, velocity = _moved(
        centre, turn, velocity, record.global_from_ego_rotation, record.global_from_ego_translation
    )
    return {
        "sample_token": record.token,
        "translation": centre.tolist(),
        "size": box[3:6].astype(float).tolist(),
        "rotation": turn.tolist(),
        "velocity": velocity[:2].tolist(),
        "detection_name": name,
        "detection_score": score,
        "attribute_name": attribute_of(name, math.hypot(velocity[0], velocity[1])),
    }


def _moved(
    centre: NDArray[np.float64],
    turn: NDArray[np.float64],
    velocity: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return centre, orientation and velocity in the frame that `rotation` (w, x, y, z) and `translation` lead to."""
    matrix = rotation_of(rotation)
    return matrix @ centre + translation, quaternion_product(rotation, turn), matrix @ velocity
