"""The tables read without the devkit give the devkit's records."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest

from repro.data import open_nuscenes
from repro.data.plain_tables import PlainTables
from repro.data.tables import frame_records, open_tables
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path


def assert_near(one: object, other: object) -> None:
    for field in fields(one):  # type: ignore[arg-type] # any of our frozen records
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "cameras":
            for camera, twin in zip(a, b, strict=True):
                assert_near(camera, twin)
        elif isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, atol=1e-9, err_msg=field.name)
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
        else:
            assert a == b, field.name


def assert_the_same_records(root: Path) -> None:
    devkit = list(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))
    plain = list(frame_records(PlainTables(root, VERSION), root, CAMERAS, rates="next"))
    for mine, twin in zip(plain, devkit, strict=True):
        assert_near(mine, twin)


def test_a_small_data_set_is_read_as_the_devkit_reads_it(tmp_path: Path) -> None:
    assert_the_same_records(write_small_nuscenes(tmp_path / "root"))


def test_a_frame_without_boxes_keeps_its_shapes(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    (root / VERSION / "sample_annotation.json").write_text("[]")
    assert_the_same_records(root)


@pytest.mark.shared
def test_the_real_frame_is_read_as_the_devkit_reads_it(shared_dir: Path) -> None:
    assert_the_same_records(shared_dir / "nuscenes_one_frame")


def test_the_synthetic_street_is_read_as_the_devkit_reads_it(synth_root: Path) -> None:
    assert_the_same_records(synth_root)


def test_two_boxes_of_one_object_at_one_time_are_left_to_the_devkit(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    path = root / VERSION / "sample.json"
    rows = json.loads(path.read_text())
    for row in rows:
        row["timestamp"] = rows[0]["timestamp"]
    path.write_text(json.dumps(rows))
    with pytest.warns(RuntimeWarning, match="divide"):
        index = open_nuscenes(root, VERSION, tmp_path, channels=CAMERAS)
    assert len(index) == 6
