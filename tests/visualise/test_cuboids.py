"""Boxes land in the photos where the devkit says they do, and are cut at the lens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.geometry_utils import view_points

from repro.data import NuScenesIndex, open_nuscenes
from repro.data.geometry import img_from_lidar
from repro.recipe.schema import CAMERAS, CLASSES
from repro.visualise.cuboids import NEAR_M, cuboids_of_boxes, cuboids_of_results, edges_in_image, homogeneous
from repro.visualise.records import points_of, truth_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

AHEAD = np.array([[500.0, 400.0, 0.0, 0.0], [0.0, 300.0, -500.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0, 0, 0, 1]])  # along +y


@pytest.fixture(scope="module")
def index(synth_root: Path, tmp_path_factory: pytest.TempPathFactory) -> NuScenesIndex:
    return open_nuscenes(synth_root, "v1.0-mini", tmp_path_factory.mktemp("index"), channels=CAMERAS)


def test_result_boxes_land_where_the_devkit_projects_them(synth_root: Path, index: NuScenesIndex) -> None:
    tables = NuScenes("v1.0-mini", str(synth_root), verbose=False)
    record = index[1]
    sample = tables.get("sample", record.token)
    annotations = [tables.get("sample_annotation", token) for token in sample["anns"]]
    entries = [{**row, "velocity": [0.0, 0.0], "detection_name": "car", "detection_score": 1.0} for row in annotations]
    ours = cuboids_of_results(entries, record)
    compared = 0
    for camera in record.cameras:
        _, boxes, intrinsic = tables.get_sample_data(sample["data"][camera.channel], box_vis_level=0)
        places = {box.token: box for box in boxes}
        for row, corners in zip(annotations, ours.corners, strict=True):
            if row["token"] not in places:
                continue
            theirs = view_points(places[row["token"]].corners(), intrinsic, normalize=True)[:2].T
            projected = homogeneous(corners, img_from_lidar(camera, 1.0))
            pixels = projected[:, :2] / projected[:, 2:]
            # the devkit counts corners: front (top left, top right, bottom right, bottom left), then back
            np.testing.assert_allclose(pixels[[4, 5, 1, 0, 7, 6, 2, 3]], theirs, atol=1e-3)
            compared += 1
    assert compared > 10


def test_annotated_boxes_lie_where_the_same_boxes_of_a_result_file_lie(synth_root: Path, index: NuScenesIndex) -> None:
    tables = NuScenes("v1.0-mini", str(synth_root), verbose=False)
    record = index[0]
    rows = [tables.get("sample_annotation", token) for token in tables.get("sample", record.token)["anns"]]
    seen = [row for row, valid in zip(rows, record.valid, strict=True) if valid]
    entries = [{**row, "velocity": [0.0, 0.0], "detection_name": "car", "detection_score": 1.0} for row in seen]
    truth, same = truth_of(record, CLASSES), cuboids_of_results(entries, record)
    assert len(truth) == len(same) > 3
    # the LiDAR leans a degree to the ground, and annotated boxes stand upright in its frame (spec §F.1)
    np.testing.assert_allclose(truth.corners.mean(1), same.corners.mean(1), atol=1e-4)
    assert np.abs(truth.corners - same.corners).max() < 0.25


@pytest.mark.shared
def test_on_a_real_frame_each_drawn_box_holds_the_laser_points_that_its_annotation_counts(
    shared_dir: Path, tmp_path: Path
) -> None:
    root = shared_dir / "nuscenes_one_frame"
    record = open_nuscenes(root, "v1.0-mini", tmp_path, channels=CAMERAS)[0]
    known = [name in CLASSES and bool(valid) for name, valid in zip(record.names, record.valid, strict=True)]
    truth, points = truth_of(record, CLASSES), points_of(record, root)
    assert points is not None
    held = np.array([inside(corners, points) for corners in truth.corners])
    counted = record.lidar_points[known]
    assert held.sum() == pytest.approx(counted.sum(), rel=0.02)
    assert (np.abs(held - counted) <= 1 + 0.1 * counted).mean() > 0.95


def inside(corners: NDArray[np.float64], points: NDArray[np.float32]) -> int:
    """Return how many points lie in a box, from its corners alone."""
    sides = corners[[3, 1, 4]] - corners[0]  # along, across, up from the bottom front left corner
    shares = (points - corners[0]) @ (sides / (sides**2).sum(1, keepdims=True)).T
    return int(((shares >= 0) & (shares <= 1)).all(1).sum())


def test_a_box_that_heads_forward_has_its_front_ahead_and_its_left_side_left() -> None:
    heading = math.pi / 2  # nuScenes' yaw of the LiDAR's +y
    box = cuboids_of_boxes(np.array([[0, 10, 0, 2, 4, 1.5, -heading - math.pi / 2, 0, 3]]), ["car"])
    np.testing.assert_allclose(box.corners[0, 0], [-1, 12, -0.75], atol=1e-6)  # bottom front left
    np.testing.assert_allclose(box.corners[0, 6], [1, 8, 0.75], atol=1e-6)  # top back right


def test_a_box_behind_the_camera_has_no_edges_and_one_beside_it_is_cut_at_the_lens() -> None:
    behind, beside = cuboids_of_boxes(
        np.array([[0, -10, 0, 2, 4, 2, 0, 0, 0], [3, 0, 0, 2, 6, 2, -math.pi, 0, 0]]), ["car", "car"]
    ).corners
    assert edges_in_image(behind, AHEAD).shape == (0, 2, 2)
    cut = edges_in_image(beside, AHEAD)
    assert len(cut) == 8  # all but the four of the face behind the lens
    assert np.isfinite(cut).all()


@given(
    st.lists(st.floats(-60, 60), min_size=2, max_size=2),
    st.floats(-math.pi, math.pi),
    st.lists(st.floats(0.3, 12), min_size=3, max_size=3),
)
def test_edges_are_finite_wherever_a_box_stands(place: list[float], yaw: float, size: list[float]) -> None:
    box = cuboids_of_boxes(np.array([[*place, 0.0, *size, yaw, 0.0, 0.0]]), ["car"])
    edges = edges_in_image(box.corners[0], AHEAD)
    ahead = (homogeneous(box.corners[0], AHEAD)[:, 2] > NEAR_M).sum()
    assert np.isfinite(edges).all()
    assert (len(edges) == 0) == (ahead == 0)
    assert len(edges) == 12 or ahead < 8
