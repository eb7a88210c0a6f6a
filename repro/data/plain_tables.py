"""The tables read without the devkit: the few lookups that an index needs, and a sample's boxes in one go.

The devkit links every sweep to every other and makes an object of a box; `repro/bench/index_speed.py` measures it.
Numbers equal the devkit's to rounding (1e-9 m): tests/data/test_plain_tables.py.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.geometry import rotation_of
from repro.data.records import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Row = dict[str, Any]
UNKNOWN = (math.nan, math.nan, math.nan)
LONGEST_GAP_S = 1.5  # between two annotations of one object; twice that for a difference of both sides


class PlainTables:
    """Stands where the devkit's NuScenes stands, for what `frame_records` asks of it."""

    def __init__(self, dataroot: Path, version: str) -> None:
        """Read the tables. Raises OSError, ValueError, KeyError or TypeError where the devkit would raise, too."""
        self.version = version
        folder = dataroot / version
        self.sample, self.scene = _rows(folder, "sample"), _rows(folder, "scene")
        self._tables = {name: _by_token(_rows(folder, name)) for name in ("calibrated_sensor", "sensor")}
        frames = [row for row in _rows(folder, "sample_data") if row["is_key_frame"]]
        self._tables["sample_data"] = _by_token(frames)
        needed = {row["ego_pose_token"] for row in frames}
        self._tables["ego_pose"] = _by_token([row for row in _rows(folder, "ego_pose") if row["token"] in needed])
        self._tables["sample_annotation"] = _by_token(_rows(folder, "sample_annotation"))
        self._link(folder, frames)

    def _link(self, folder: Path, frames: Sequence[Row]) -> None:
        categories = {row["token"]: row["name"] for row in _rows(folder, "category")}
        names = {row["token"]: categories[row["category_token"]] for row in _rows(folder, "instance")}
        samples = _by_token(self.sample)
        self._times = {token: row["timestamp"] for token, row in samples.items()}
        for row in self.sample:
            row["data"], row["anns"] = {}, []
        for row in frames:
            sensor = self._tables["calibrated_sensor"][row["calibrated_sensor_token"]]["sensor_token"]
            samples[row["sample_token"]]["data"][self._tables["sensor"][sensor]["channel"]] = row["token"]
        for row in self._tables["sample_annotation"].values():
            row["category_name"] = names[row["instance_token"]]
            samples[row["sample_token"]]["anns"].append(row["token"])

    def get(self, table: str, token: str) -> Row:
        """Return a row. Raises KeyError."""
        return self._tables[table][token]

    def boxes_and_velocities(
        self, tokens: Sequence[str], sensor: Row, ego: Row
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return boxes [G, 7] and velocities [G, 2] in the LiDAR frame, in upstream's convention (spec §F.1)."""
        rows = [self._tables["sample_annotation"][token] for token in tokens]
        if not rows:
            return np.zeros((0, 7)), np.zeros((0, 2))
        centres = np.array([row["translation"] for row in rows], float)
        turns = np.array([row["rotation"] for row in rows], float)
        speeds = np.array([self._velocity(row) for row in rows], float)
        for pose in (ego, sensor):
            inverse: NDArray[np.float64] = np.array(pose["rotation"], float) * np.array([1.0, -1.0, -1.0, -1.0])
            inverse = inverse / np.linalg.norm(inverse)
            matrix = rotation_of(inverse)
            centres = (centres - np.array(pose["translation"], float)) @ matrix.T
            speeds = speeds @ matrix.T
            turns = _product(inverse, turns)
        w, x, y, z = (turns / np.linalg.norm(turns, axis=1, keepdims=True)).T
        yaw = np.arctan2(2 * (w * z - x * y), 1 - 2 * (y**2 + z**2))  # pyquaternion's, with roll and pitch
        sizes = np.array([row["size"] for row in rows], float)
        return np.concatenate([centres, sizes, (-yaw - np.pi / 2)[:, None]], 1), speeds[:, :2]

    def _velocity(self, row: Row) -> tuple[float, float, float]:
        """Return metres a second between the neighbours of an annotation, NaN where they are too far apart in time."""
        before, after = row["prev"], row["next"]
        annotations = self._tables["sample_annotation"]
        if not before and not after:
            return UNKNOWN
        first, last = annotations[before] if before else row, annotations[after] if after else row
        seconds = 1e-6 * self._times[last["sample_token"]] - 1e-6 * self._times[first["sample_token"]]
        if seconds > (2 if before and after else 1) * LONGEST_GAP_S:
            return UNKNOWN
        here, there = last["translation"], first["translation"]
        return (here[0] - there[0]) / seconds, (here[1] - there[1]) / seconds, 0.0


def _rows(folder: Path, name: str) -> list[Row]:
    rows: list[Row] = json.loads((folder / f"{name}.json").read_bytes())
    if not isinstance(rows, list):
        raise DataError(f"{folder / name}.json: not a list of rows")
    return rows


def _by_token(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["token"]: row for row in rows}


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quaternions a·b [G, 4] of one and many."""
    w, x, y, z = a
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    turned: NDArray[np.float64] = b @ left.T
    return turned
