"""Detections become result entries as upstream writes them, and the file appears whole or not at all."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from repro.data.infos import records_from_infos
from repro.evaluate.formatting import CLASS_RANGE_M, attribute_of, format_detections, write_results
from repro.recipe.schema import CAMERAS, CLASSES
from repro.tensors import Detections

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data import FrameRecord


@pytest.fixture(scope="module")
def record(shared_dir: Path) -> FrameRecord:
    infos = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())
    return records_from_infos(infos, CAMERAS)[0]


def one_box(label: str, *, x: float = 0.0, y: float = 5.0, yaw: float = 0.0, vx: float = 0.0) -> Detections:
    boxes = torch.tensor([[x, y, -1.0, 1.8, 4.5, 1.6, yaw, vx, 0.0]])
    return Detections(boxes=boxes, scores=torch.tensor([0.5]), labels=torch.tensor([CLASSES.index(label)]))


@pytest.mark.shared
def test_two_hundred_boxes_come_out_as_upstream_wrote_them(shared_dir: Path, record: FrameRecord) -> None:
    golden = json.loads((shared_dir / "golden/A/format.json").read_text())["results"]
    with np.load(shared_dir / "golden/A/format.npz") as arrays:
        boxes = np.concatenate([arrays["gravity_center"], arrays["boxes_3d"][:, 3:]], 1)
        scores, labels = arrays["scores_3d"], arrays["labels_3d"]
    ours = format_detections(
        Detections(boxes=torch.from_numpy(boxes), scores=torch.from_numpy(scores), labels=torch.from_numpy(labels)),
        record,
        CLASSES,
    )
    for mine, theirs in zip(map(dict, ours), golden, strict=True):
        for key in ("sample_token", "detection_name", "detection_score", "attribute_name", "size"):
            assert mine[key] == theirs[key]
        for key in ("translation", "rotation", "velocity"):
            assert mine[key] == pytest.approx(theirs[key], abs=1e-9)  # float64 of the same float32: measured 2e-13


@pytest.mark.shared
@pytest.mark.parametrize(("name", "reach"), CLASS_RANGE_M.items())
def test_a_box_beyond_its_class_range_is_left_out(record: FrameRecord, name: str, reach: float) -> None:
    # the LiDAR sits 0.94 m before the ego frame's origin, and +y looks ahead
    assert len(format_detections(one_box(name, y=reach - 1.2), record, CLASSES)) == 1
    assert format_detections(one_box(name, y=reach + 0.8), record, CLASSES) == []


@pytest.mark.shared
def test_ranges_are_those_of_the_devkit() -> None:
    from nuscenes.eval.common.config import config_factory  # noqa: PLC0415 — only this test needs the evaluator

    assert config_factory("detection_cvpr_2019").class_range == CLASS_RANGE_M


@pytest.mark.shared
def test_no_detections_give_no_entries(record: FrameRecord) -> None:
    none = Detections(boxes=torch.zeros(0, 9), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.int64))
    assert format_detections(none, record, CLASSES) == []


@pytest.mark.parametrize(
    ("name", "still", "moving"),
    [
        ("car", "vehicle.parked", "vehicle.moving"),
        ("bus", "vehicle.stopped", "vehicle.moving"),
        ("pedestrian", "pedestrian.standing", "pedestrian.moving"),
        ("bicycle", "cycle.without_rider", "cycle.with_rider"),
        ("motorcycle", "cycle.without_rider", "cycle.with_rider"),
        ("trailer", "vehicle.parked", "vehicle.moving"),
        ("barrier", "", ""),
        ("traffic_cone", "", ""),
    ],
)
def test_attributes_follow_the_speed(name: str, still: str, moving: str) -> None:
    assert attribute_of(name, 0.2) == still
    assert attribute_of(name, math.nextafter(0.2, 1)) == moving


@pytest.mark.shared
def test_a_value_that_is_not_finite_is_refused_before_the_file_appears(record: FrameRecord, tmp_path: Path) -> None:
    diverged = format_detections(one_box("car", vx=math.nan), record, CLASSES)
    with pytest.raises(ValueError, match=r"^sample ca9a282c9e77460f8360f564131a8af5: .* not finite; .* lower"):
        write_results(tmp_path / "results.json", {record.token: diverged})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_the_file_holds_meta_and_every_sample(record: FrameRecord, tmp_path: Path) -> None:
    entries = format_detections(one_box("car"), record, CLASSES)
    write_results(tmp_path / "results.json", {record.token: entries, "empty": []})
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["results"] == {record.token: entries, "empty": []}
    assert document["meta"]["use_camera"] is True
    assert document["meta"]["use_lidar"] is False


def test_no_samples_still_make_a_valid_file(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", {})
    assert json.loads((tmp_path / "results.json").read_text())["results"] == {}
