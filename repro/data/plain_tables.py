"""The tables read without the devkit: the few lookups that an index needs, and all boxes in one go.

The devkit links every sweep to every other and makes an object of a box; `repro/bench/index_speed.py` measures it.
Numbers equal the devkit's to rounding (1e-9 m): tests/data/test_plain_tables.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from repro.data.geometry import quaternion_product, rotations_of
from repro.data.records import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Row = dict[str, Any]
LONGEST_GAP_S = 1.5  # between two annotations of one object; twice that for a difference of both sides
CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


class Boxes(NamedTuple):
    """Annotated boxes [G, 7] in the LiDAR frame, velocities [G, 2], categories, points [G, 2] of LiDAR and radar."""

    boxes: NDArray[np.float64]
    velocities: NDArray[np.float64]
    categories: list[str]
    points: NDArray[np.int64]


class PlainTables:
    """Stands where the devkit's NuScenes stands, for what `frame_records` asks of it."""

    def __init__(self, dataroot: Path, version: str) -> None:
        """Read the tables. Raises OSError, or ValueError, LookupError, TypeError or ZeroDivisionError for odd ones."""
        self.version = version
        folder = dataroot / version
        self.sample, self.scene = _rows(folder, "sample"), _rows(folder, "scene")
        self._tables = {name: _by_token(_rows(folder, name)) for name in ("calibrated_sensor", "sensor")}
        frames = [row for row in _rows(folder, "sample_data") if row["is_key_frame"]]
        self._tables["sample_data"] = _by_token(frames)
        needed = {row["ego_pose_token"] for row in frames}
        self._tables["ego_pose"] = _by_token([row for row in _rows(folder, "ego_pose") if row["token"] in needed])
        self._link(frames)
        self._rows_of: dict[str, list[int]] = {row["token"]: [] for row in self.sample}
        self._boxes = self._boxes_in(folder)

    def _link(self, frames: Sequence[Row]) -> None:
        samples = _by_token(self.sample)
        for row in self.sample:
            row["data"] = {}
        for row in frames:
            sensor = self._tables["calibrated_sensor"][row["calibrated_sensor_token"]]["sensor_token"]
            samples[row["sample_token"]]["data"][self._tables["sensor"][sensor]["channel"]] = row["token"]

    def get(self, table: str, token: str) -> Row:
        """Return a row. Raises KeyError."""
        return self._tables[table][token]

    def boxes_of(self, sample: str) -> Boxes:
        """Return the boxes of a sample, in the order of their table and in upstream's convention (spec §F.1)."""
        rows, whole = self._rows_of[sample], self._boxes
        return Boxes(whole.boxes[rows], whole.velocities[rows], [whole.categories[r] for r in rows], whole.points[rows])

    def _boxes_in(self, folder: Path) -> Boxes:
        """Return all boxes, A of them, and note which belong to a sample."""
        rows = _rows(folder, "sample_annotation")
        for number, row in enumerate(rows):
            self._rows_of[row["sample_token"]].append(number)
        categories = {row["token"]: row["name"] for row in _rows(folder, "category")}
        names = {row["token"]: categories[row["category_token"]] for row in _rows(folder, "instance")}
        numbers = {sample: number for number, sample in enumerate(self._rows_of)}
        sample_of = np.array([numbers[row["sample_token"]] for row in rows], int)  # [A]
        centres, turns = _column(rows, "translation", 3), _column(rows, "rotation", 4)
        speeds = _velocities(rows, centres, {row["token"]: row["timestamp"] for row in self.sample})
        for pose in self._lidar_poses():
            inverse = pose.turns * CONJUGATE / np.linalg.norm(pose.turns, axis=1, keepdims=True)  # [S, 4]
            matrices = rotations_of(inverse)[sample_of]  # [A, 3, 3]
            centres = np.einsum("aij,aj->ai", matrices, centres - pose.places[sample_of])
            speeds = np.einsum("aij,aj->ai", matrices, speeds)
            turns = quaternion_product(inverse[sample_of], turns)
        w, x, y, z = (turns / np.linalg.norm(turns, axis=1, keepdims=True)).T
        yaw = np.arctan2(2 * (w * z - x * y), 1 - 2 * (y**2 + z**2))  # pyquaternion's, with roll and pitch
        boxes: NDArray[np.float64] = np.concatenate(
            [centres, _column(rows, "size", 3), (-yaw - np.pi / 2)[:, None]], axis=1
        )
        points = np.array([(row["num_lidar_pts"], row["num_radar_pts"]) for row in rows], np.int64)
        return Boxes(boxes, speeds[:, :2], [str(names[row["instance_token"]]) for row in rows], points.reshape(-1, 2))

    def _lidar_poses(self) -> tuple[_Poses, _Poses]:
        """Return the car's poses in the world and the LiDAR's in the car, one a sample. Raises KeyError."""
        frames = [self._tables["sample_data"][sample["data"]["LIDAR_TOP"]] for sample in self.sample]
        egos = [self._tables["ego_pose"][row["ego_pose_token"]] for row in frames]
        sensors = [self._tables["calibrated_sensor"][row["calibrated_sensor_token"]] for row in frames]
        return _poses(egos), _poses(sensors)


class _Poses(NamedTuple):
    places: NDArray[np.float64]  # [S, 3]
    turns: NDArray[np.float64]  # [S, 4]


def _poses(rows: Sequence[Row]) -> _Poses:
    return _Poses(_column(rows, "translation", 3), _column(rows, "rotation", 4))


def _velocities(rows: Sequence[Row], centres: NDArray[np.float64], times: Mapping[str, int]) -> NDArray[np.float64]:
    """Return metres a second [A, 3] between each box's neighbours, NaN where they are too far apart in time.

    `times` are the samples' in µs. Raises ZeroDivisionError when neighbours are of one time.
    """
    numbers, here = {row["token"]: number for number, row in enumerate(rows)}, np.arange(len(rows))
    first = np.array([numbers[row["prev"]] if row["prev"] else n for n, row in enumerate(rows)], int)
    last = np.array([numbers[row["next"]] if row["next"] else n for n, row in enumerate(rows)], int)
    at = 1e-6 * np.array([times[row["sample_token"]] for row in rows], float)
    seconds, alone = at[last] - at[first], first == last
    if (seconds[~alone] == 0).any():
        raise ZeroDivisionError("two annotations of one object at the same time")
    longest = np.where((first != here) & (last != here), 2, 1) * LONGEST_GAP_S
    seconds[alone | (seconds > longest)] = np.nan
    velocities: NDArray[np.float64] = (centres[last] - centres[first]) / seconds[:, None]
    velocities[:, 2] *= 0.0  # in the plane; NaN stays NaN
    return velocities


def _rows(folder: Path, name: str) -> list[Row]:
    rows: list[Row] = json.loads((folder / f"{name}.json").read_bytes())
    if not isinstance(rows, list):
        raise DataError(f"{folder / name}.json: not a list of rows")
    return rows


def _by_token(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["token"]: row for row in rows}


def _column(rows: Sequence[Row], name: str, width: int) -> NDArray[np.float64]:
    return np.array([row[name] for row in rows], float).reshape(len(rows), width)
