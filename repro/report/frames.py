"""Key frames to look at: six cameras, their projections, and boxes in the LiDAR frame (spec §E.3, §F.1)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.geometry import img_from_lidar, rotation_of
from repro.report.look import Look, Shown, View, picture_of, spread

if TYPE_CHECKING:
    from collections.abc import Collection

    from repro.artifacts import DataReady
    from repro.data import FrameRecord, Subset
    from repro.recipe import Recipe

LONGEST_SIDE = 480
NOTICE = "Images: nuScenes, CC BY-NC-SA 4.0, for non-commercial use. Keep that notice with this page."
# as a driver would lay them out; cameras of other names follow
LAYOUT = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
Boxes = list[dict[str, Any]]


def look_at_frames(recipe: Recipe, data: DataReady, samples: Subset, results: Path, evaluated: int) -> Look:
    """Return some of the first `evaluated` frames of `samples`, evenly apart, with what a result file holds of them.

    Raises DataError for an image that cannot be read, OSError and ValueError for the result file.
    """
    records = [samples[position] for position in spread(evaluated)]
    found = boxes_of(results, {record.token for record in records})
    size = (recipe.images.raw_size[1], recipe.images.raw_size[0])
    return Look(
        kind="frames",
        shown=tuple(
            shown_frame(record, found.get(record.token, []), recipe.data.classes, Path(data.dataroot), size)
            for record in records
        ),
        of=evaluated,
        reach=max(recipe.model.bev.range[3:5]),
        notice="" if data.synthetic else NOTICE,
    )


def boxes_of(results: Path, tokens: set[str]) -> dict[str, Boxes]:
    """Return the boxes of some samples out of a result file as `evaluate` writes it: one line a sample.

    A full split is hundreds of megabytes, so only the lines that are wanted are parsed.
    """
    found: dict[str, Boxes] = {}
    with results.open(encoding="utf-8") as lines:
        for line in lines:
            token = line[1:].partition('"')[0]
            if token in tokens:
                found |= json.loads("{" + line.rstrip().rstrip(",") + "}")
    return found


def shown_frame(
    record: FrameRecord, found: Boxes, classes: Collection[str], dataroot: Path, size: tuple[int, int]
) -> Shown:
    """Return one frame: `found` moved from the global frame, and the annotated boxes that the judge may count.

    Those are of `classes`, with at least one point of LiDAR or radar in them.
    """
    places = {name: place for place, name in enumerate(LAYOUT)}
    cameras = sorted(record.cameras, key=lambda camera: places.get(camera.channel, len(LAYOUT)))
    counted = [i for i, name in enumerate(record.names) if name in classes and record.valid[i]]
    return Shown(
        title=f"{record.scene_name}, key frame {record.frame_idx}",
        views=tuple(
            View(
                name=camera.channel,
                picture=picture_of(dataroot / camera.path, size, LONGEST_SIDE),
                size=size,
                projection=tuple(round(float(value), 5) for value in img_from_lidar(camera, 1.0)[:3].flatten()),
            )
            for camera in cameras
        ),
        annotated=tuple(_annotated(record.boxes[i]) for i in counted),
        annotated_classes=tuple(record.names[i] for i in counted),
        found=tuple(_found(box, record) for box in found),
        found_classes=tuple(str(box["detection_name"]) for box in found),
        scores=tuple(round(float(box["detection_score"]), 4) for box in found),
    )


def _annotated(box: Any) -> tuple[float, ...]:
    """Return x, y, z, l, w, h, heading of an annotated box [7]: mmdet3d 0.17's yaw is -heading - π/2 (spec §F.1)."""
    x, y, z, w, l, h, yaw = (float(value) for value in box)
    return _rounded(x, y, z, l, w, h, -yaw - math.pi / 2)


def _found(box: dict[str, Any], record: FrameRecord) -> tuple[float, ...]:
    """Return x, y, z, l, w, h, heading in the LiDAR frame of an entry of the result file, which is global."""
    center, turn = np.array(box["translation"], float), rotation_of(np.array(box["rotation"], float))
    for rotation, translation in (
        (record.global_from_ego_rotation, record.global_from_ego_translation),
        (record.ego_from_lidar_rotation, record.ego_from_lidar_translation),
    ):
        back = rotation_of(rotation).T
        center, turn = back @ (center - translation), back @ turn
    w, l, h = (float(value) for value in box["size"])
    x, y, z = (float(value) for value in center)
    return _rounded(x, y, z, l, w, h, math.atan2(turn[1, 0], turn[0, 0]))


def _rounded(*values: float) -> tuple[float, ...]:
    """Return metres to the centimetre and the heading, in -π..π, to the milliradian: it is a drawing."""
    *metres, heading = values
    turns = math.floor(heading / (2 * math.pi) + 0.5)
    return (*(round(value, 2) for value in metres), round(heading - 2 * math.pi * turns, 3))
