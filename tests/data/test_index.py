"""The index gives back what the tables hold, from a mapped file, and rebuilds itself when it must."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from repro.data import DataError, FrameRecord, NuScenesIndex, check_images, open_nuscenes
from repro.data.index import table_fingerprint
from repro.data.plain_tables import PlainTables
from repro.data.tables import frame_records
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def dataroot(tmp_path: Path) -> Path:
    return write_small_nuscenes(tmp_path / "root")


def opened(dataroot: Path, cache: Path) -> NuScenesIndex:
    return open_nuscenes(dataroot, VERSION, cache, channels=CAMERAS)


def assert_same(one: object, other: object) -> None:
    for field in fields(one):  # type: ignore[arg-type] # any of our frozen records
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "cameras":
            for camera, twin in zip(a, b, strict=True):
                assert_same(camera, twin)
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
        else:
            assert a == b, field.name


def test_the_index_gives_back_the_records_of_the_tables_bit_by_bit(dataroot: Path, tmp_path: Path) -> None:
    index = opened(dataroot, tmp_path)
    records = list(frame_records(PlainTables(dataroot, VERSION), dataroot, CAMERAS, rates="next"))
    assert len(index) == len(records) == 6
    for mine, twin in zip((index[i] for i in range(6)), records, strict=True):
        assert_same(mine, twin)


@pytest.mark.shared
def test_the_real_frame_goes_through_the_same_door(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "nuscenes_one_frame"
    index = opened(root, tmp_path)
    assert (len(index), index.num_boxes, index.scene_names) == (1, 68, ("scene-0061",))
    assert index.scenes_without_can_bus == ("scene-0061",)
    assert_same(index[0], next(frame_records(PlainTables(root, VERSION), root, CAMERAS, rates="next")))


def test_records_are_in_time_order_whatever_the_tables_say(dataroot: Path, tmp_path: Path) -> None:
    path = dataroot / VERSION / "sample.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    index = opened(dataroot, tmp_path)
    assert index.table["token"].to_pylist() == [*(f"scene-0061-{i}" for i in range(4)), "scene-0103-0", "scene-0103-1"]


def test_a_frame_without_boxes_keeps_its_shapes(dataroot: Path, tmp_path: Path) -> None:
    (dataroot / VERSION / "sample_annotation.json").write_text("[]")
    record = opened(dataroot, tmp_path)[0]
    assert (record.boxes.shape, record.velocities.shape, record.valid.shape, record.names) == ((0, 7), (0, 2), (0,), ())


def test_splits_hold_the_scenes_that_are_there(dataroot: Path, tmp_path: Path) -> None:
    index = opened(dataroot, tmp_path)
    assert index.split("mini_train").tokens == [f"scene-0061-{i}" for i in range(4)]
    assert [index.split("mini_val")[i].token for i in range(2)] == ["scene-0103-0", "scene-0103-1"]
    assert len(index.split("test")) == 0
    assert index.scene_names == ("scene-0061", "scene-0103")
    assert index.num_boxes == 24


def test_an_unknown_split_is_told_the_known_ones(dataroot: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'mini'; there are mini_train, mini_val, test, train"):
        opened(dataroot, tmp_path).split("mini")


def test_positions_outside_the_index_are_index_errors(dataroot: Path, tmp_path: Path) -> None:
    index = opened(dataroot, tmp_path)
    with pytest.raises(IndexError):
        index[6]
    with pytest.raises(IndexError):
        index[-1]


def test_opening_maps_the_file_and_copies_nothing(dataroot: Path, tmp_path: Path) -> None:
    path = opened(dataroot, tmp_path).path
    before = pa.total_allocated_bytes()
    index = NuScenesIndex(path)
    assert pa.total_allocated_bytes() == before
    mapping = pa.memory_map(str(path)).read_buffer()
    column = index.table["boxes"].chunk(0).values.buffers()[1]
    assert column.size <= mapping.size
    assert not column.is_mutable


def test_a_second_opening_reads_no_tables(dataroot: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    first = open_nuscenes(dataroot, VERSION, tmp_path, channels=CAMERAS, tell=tell)
    assert told == [(i, 6) for i in range(1, 7)]
    again = open_nuscenes(dataroot, VERSION, tmp_path, channels=CAMERAS, tell=tell)
    assert len(told) == 6
    assert again.path == first.path


def test_other_tables_other_cameras_and_other_rates_have_their_own_index(dataroot: Path, tmp_path: Path) -> None:
    first = opened(dataroot, tmp_path)
    rates = open_nuscenes(dataroot, VERSION, tmp_path, channels=CAMERAS, rates="current")
    fewer = open_nuscenes(dataroot, VERSION, tmp_path, channels=CAMERAS[:2])
    fingerprint = table_fingerprint(dataroot, VERSION)
    path = dataroot / VERSION / "log.json"
    path.write_text(path.read_text() + "\n")
    changed = opened(dataroot, tmp_path)
    assert len({first.path, rates.path, fewer.path, changed.path}) == 4
    assert len(fewer[0].cameras) == 2
    assert (first.fingerprint, changed.fingerprint == fingerprint) == (fingerprint, False)


def test_tables_written_anew_are_read_anew_and_keep_their_fingerprint(dataroot: Path, tmp_path: Path) -> None:
    first = opened(dataroot, tmp_path)
    os.utime(dataroot / VERSION / "log.json", (1, 1))
    again = opened(dataroot, tmp_path)
    assert again.path != first.path
    assert again.fingerprint == first.fingerprint


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0 and then nothing", b"x" * 4096])
def test_a_damaged_index_is_named_and_opening_the_data_set_writes_it_anew(
    dataroot: Path, tmp_path: Path, content: bytes
) -> None:
    path = opened(dataroot, tmp_path).path
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"\.arrow: damaged \(.*\); delete it, it is written anew"):
        NuScenesIndex(path)
    assert len(opened(dataroot, tmp_path)) == 6


def test_a_cut_index_is_written_anew(dataroot: Path, tmp_path: Path) -> None:
    path = opened(dataroot, tmp_path).path
    path.write_bytes(path.read_bytes()[:-100])
    assert len(opened(dataroot, tmp_path)) == 6


def test_a_cache_that_cannot_be_written_is_named(dataroot: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"\.arrow: cannot be written \(.*\); free some space or make .*file writable"):
        opened(dataroot, tmp_path / "file")


def test_an_index_travels_to_a_worker_as_its_path(dataroot: Path, tmp_path: Path) -> None:
    index = opened(dataroot, tmp_path)
    parcel = pickle.dumps(index.split("mini_train"))
    assert len(parcel) < 1000
    assert pickle.loads(parcel).tokens == index.split("mini_train").tokens  # noqa: S301 — our own bytes, one line above


def test_missing_images_are_counted_before_anything_starts(dataroot: Path, tmp_path: Path) -> None:
    index = opened(dataroot, tmp_path)
    check_images(index.split("mini_train"), dataroot, "mini_train")
    for i in (1, 2):
        (dataroot / f"samples/CAM_BACK/scene-0061-{i}.jpg").unlink()
    message = r"2 of 24 images of mini_train are missing, the first is samples/CAM_BACK/scene-0061-1\.jpg; extract"
    with pytest.raises(DataError, match=message):
        check_images(index.split("mini_train"), dataroot, "mini_train")
    check_images(index.split("mini_val"), dataroot, "mini_val")


def test_an_info_record_and_an_index_record_are_the_same_type(dataroot: Path, tmp_path: Path) -> None:
    assert isinstance(opened(dataroot, tmp_path)[0], FrameRecord)
