"""From a frame record to what is drawn of it: photos with their projections, annotated boxes, LiDAR points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from repro.data.dataset import annotated
from repro.data.geometry import img_from_lidar
from repro.data.images import read_jpeg
from repro.visualise.cuboids import Cuboids, cuboids_of_boxes
from repro.visualise.frame import CameraView

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data import FrameRecord

POINT_VALUES = 5  # x, y, z, intensity, ring: float32 each in nuScenes' .pcd.bin


def camera_views(record: FrameRecord, dataroot: Path, raw_size: tuple[int, int]) -> list[CameraView]:
    """Return the photos of a frame as they lie on disk, `raw_size` rows and columns each. Raises DataError."""
    return [
        CameraView(
            channel=camera.channel,
            pixels=np.asarray(cv2.cvtColor(read_jpeg(dataroot / camera.path, raw_size), cv2.COLOR_BGR2RGB), np.uint8),
            img_from_lidar=img_from_lidar(camera, 1.0),
        )
        for camera in record.cameras
    ]


def truth_of(record: FrameRecord, classes: Sequence[str]) -> Cuboids:
    """Return the annotated boxes of the ten classes that LiDAR or radar saw, in the LiDAR frame."""
    truth = annotated(record, classes)
    known = (truth.labels >= 0).numpy()
    names = [classes[label] for label in truth.labels.numpy()[known]]
    return cuboids_of_boxes(truth.boxes.numpy()[known], names)


def points_of(record: FrameRecord, dataroot: Path) -> NDArray[np.float32] | None:
    """Return x, y, z [n, 3] of the LiDAR sweep in metres; None where it is not on disk, for drawings do without."""
    path = dataroot / record.lidar_path
    if not record.lidar_path or not path.is_file():
        return None
    values = np.fromfile(path, np.float32)
    return values[: len(values) // POINT_VALUES * POINT_VALUES].reshape(-1, POINT_VALUES)[:, :3]
