"""Where the synthetic car carries its sensors: the calibration of one real nuScenes car, to a few digits.

Figures: nuScenes v1.0-mini, scene-0061 (calibrated_sensor and sample_data tables). No code beyond their types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repro.data.geometry import rotation_of

IMAGE_SIZE = (900, 1600)  # rows, columns


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor on the car: metres and (w, x, y, z) in the ego frame; trigger time in µs relative to the LiDAR's.

    `focal` and `center` are pixels; None for the LiDAR.
    """

    channel: str
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    delay_us: int
    focal: float | None = None
    center: tuple[float, float] | None = None

    @property
    def intrinsic(self) -> list[list[float]]:
        """The camera matrix as the table stores it, empty for the LiDAR."""
        if self.focal is None or self.center is None:
            return []
        return [[self.focal, 0.0, self.center[0]], [0.0, self.focal, self.center[1]], [0.0, 0.0, 1.0]]

    @property
    def ego_from_sensor(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The rotation [3, 3]."""
        return rotation_of(np.array(self.rotation))


CAMERAS = (
    Sensor("CAM_FRONT", (1.701, 0.016, 1.511), (0.4998, -0.5030, 0.4998, -0.4974), -35491, 1266.42, (816.27, 491.51)),
    Sensor(
        "CAM_FRONT_RIGHT", (1.551, -0.493, 1.496), (0.2060, -0.2027, 0.6825, -0.6714), -27612, 1260.85, (807.97, 495.33)
    ),
    Sensor(
        "CAM_FRONT_LEFT", (1.524, 0.495, 1.509), (0.6757, -0.6736, 0.2121, -0.2112), -43107, 1272.60, (826.62, 479.75)
    ),
    Sensor("CAM_BACK", (0.028, 0.003, 1.579), (0.5038, -0.4974, -0.4942, 0.5045), -10426, 809.22, (829.22, 481.78)),
    Sensor("CAM_BACK_LEFT", (1.036, 0.485, 1.591), (0.6924, -0.7032, -0.1165, 0.1120), -528, 1256.74, (792.11, 492.78)),
    Sensor(
        "CAM_BACK_RIGHT", (1.015, -0.481, 1.562), (0.1228, -0.1324, -0.7004, 0.6905), -20058, 1259.51, (807.25, 501.20)
    ),
)
LIDAR = Sensor("LIDAR_TOP", (0.944, 0.0, 1.840), (0.7078, -0.0065, 0.0106, -0.7063), 0)
