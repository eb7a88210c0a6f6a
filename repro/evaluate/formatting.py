"""Detections as the benchmark's result file: global boxes with names, scores and attributes (spec §E.3, §E.4)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from repro.atomic import replacing
from repro.data.geometry import quaternion_product, rotation_of
from repro.tensors import BOX_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data.records import FrameRecord
    from repro.tensors import Detections

META = {"use_lidar": False, "use_camera": True, "use_radar": False, "use_map": False, "use_external": True}
CLASS_RANGE_M = {  # detection_cvpr_2019
    "car": 50.0,
    "truck": 50.0,
    "bus": 50.0,
    "trailer": 50.0,
    "construction_vehicle": 50.0,
    "pedestrian": 40.0,
    "motorcycle": 40.0,
    "bicycle": 40.0,
    "traffic_cone": 30.0,
    "barrier": 30.0,
}
MOVING_SPEED = 0.2  # m/s, global frame
ATTRIBUTE_BY_DEFAULT = {
    "car": "vehicle.parked",
    "trailer": "vehicle.parked",
    "truck": "vehicle.parked",
    "construction_vehicle": "vehicle.parked",
    "bus": "vehicle.moving",
    "pedestrian": "pedestrian.moving",
    "motorcycle": "cycle.without_rider",
    "bicycle": "cycle.without_rider",
    "barrier": "",
    "traffic_cone": "",
}
ATTRIBUTE_WHEN_MOVING = {
    "car": "vehicle.moving",
    "construction_vehicle": "vehicle.moving",
    "bus": "vehicle.moving",
    "truck": "vehicle.moving",
    "trailer": "vehicle.moving",
    "bicycle": "cycle.with_rider",
    "motorcycle": "cycle.with_rider",
}
ATTRIBUTE_WHEN_STILL = {"pedestrian": "pedestrian.standing", "bus": "vehicle.stopped"}


class EvaluationError(ValueError):
    """Detections or a result file that cannot be scored; the message says what was seen and what to type."""


class ResultBox(TypedDict):
    """One entry of the result file: global frame, metres, m/s, quaternion (w, x, y, z), size w, l, h."""

    sample_token: str
    translation: list[float]
    size: list[float]
    rotation: list[float]
    velocity: list[float]
    detection_name: str
    detection_score: float
    attribute_name: str


def format_detections(detections: Detections, record: FrameRecord, classes: Sequence[str]) -> list[ResultBox]:
    """Return the detections [R, 9] of one frame as entries of the result file, best first, as they came.

    Boxes farther from the ego vehicle than their class's range are left out, as upstream does.
    """
    boxes = detections.boxes.detach().cpu().numpy().astype(np.float32).reshape(-1, BOX_COLUMNS)
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    assert len(boxes) == len(scores) == len(labels), (len(boxes), len(scores), len(labels))
    entries = (
        _entry(box, classes[label], score, record) for box, label, score in zip(boxes, labels, scores, strict=True)
    )
    return [entry for entry in entries if entry is not None]


def attribute_of(name: str, speed: float) -> str:
    """Return the attribute that upstream gives a class at a speed in m/s; "" where the class has none."""
    by_motion = ATTRIBUTE_WHEN_MOVING if speed > MOVING_SPEED else ATTRIBUTE_WHEN_STILL
    return by_motion.get(name, ATTRIBUTE_BY_DEFAULT[name])


def _entry(box: NDArray[np.float32], name: str, score: float, record: FrameRecord) -> ResultBox | None:
    """Return one box [9] in the global frame, None when it lies out of range in the ego frame."""
    yaw = float(-box[6] - np.float32(math.pi / 2))  # float32, as upstream computes it
    center, velocity = box[:3].astype(float), np.array([box[7], box[8], 0.0], float)
    orientation = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
    center, orientation, velocity = _moved(
        center, orientation, velocity, record.ego_from_lidar_rotation, record.ego_from_lidar_translation
    )
    if math.hypot(center[0], center[1]) > CLASS_RANGE_M[name]:
        return None
    center, orientation, velocity = _moved(
        center, orientation, velocity, record.global_from_ego_rotation, record.global_from_ego_translation
    )
    return ResultBox(
        sample_token=record.token,
        translation=center.tolist(),
        size=box[3:6].astype(float).tolist(),
        rotation=orientation.tolist(),
        velocity=velocity[:2].tolist(),
        detection_name=name,
        detection_score=score,
        attribute_name=attribute_of(name, math.hypot(velocity[0], velocity[1])),
    )


def _moved(
    center: NDArray[np.float64],
    orientation: NDArray[np.float64],
    velocity: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return centre [3], orientation [4] and velocity [3] after one rigid transform; small roll and pitch stay."""
    matrix = rotation_of(rotation)
    unit = rotation / np.linalg.norm(rotation)
    return matrix @ center + translation, quaternion_product(unit, orientation), matrix @ velocity


def write_results(path: Path, results: Mapping[str, Sequence[ResultBox]]) -> None:
    """Write the result file, whole or not at all: sample token → entries, empty where nothing was found.

    A full split is hundreds of megabytes, so samples are written one by one. Raises EvaluationError for a value that is
    not finite: the evaluator would refuse the file much later.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(f'{{"meta": {json.dumps(META)}, "results": {{')
        for position, (token, entries) in enumerate(results.items()):
            try:
                text = json.dumps(entries, allow_nan=False)
            except ValueError as error:
                raise EvaluationError(
                    f"sample {token}: a detection has a value that is not finite; the model diverged: "
                    "train again with a lower [optimizer] lr, or choose an earlier checkpoint"
                ) from error
            file.write(("," if position else "") + f"\n{json.dumps(token)}: {text}")
        file.write("\n}}\n")
