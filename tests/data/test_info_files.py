"""Upstream's info files go out and come back the same; foreign conventions and hostile files are named and refused."""

from __future__ import annotations

import collections
import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.data import DataError
from repro.data.info_files import counts_against, from_new_convention, info_of, read_infos, write_infos
from repro.data.infos import records_from_infos
from repro.data.plain_pickle import RefusedError, plain, read_plain_pickle
from repro.data.tables import frame_records, open_tables
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import VERSION, write_small_nuscenes
from tests.data.test_index import assert_same

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data.records import FrameRecord


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[FrameRecord]:
    root = write_small_nuscenes(tmp_path_factory.mktemp("nuscenes") / "root")
    return list(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))


def saved(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def infos_of(records: list[FrameRecord]) -> list[dict[str, Any]]:
    return [info_of(record, "./data/nuscenes/") for record in records]


def test_records_come_back_as_they_went_out(records: list[FrameRecord], tmp_path: Path) -> None:
    assert write_infos(tmp_path / "x.pkl", records, version=VERSION) == len(records)
    back, version = read_infos(tmp_path / "x.pkl", CAMERAS)
    assert version == VERSION
    for mine, twin in zip(back, records, strict=True):
        for field in ("token", "boxes", "velocities", "names", "valid", "can_bus", "lidar_points", "lidar_path"):
            np.testing.assert_array_equal(getattr(mine, field), getattr(twin, field))
        for camera, other in zip(mine.cameras, twin.cameras, strict=True):
            assert_same(camera, other)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_protocol_is_read(records: list[FrameRecord], tmp_path: Path, protocol: int) -> None:
    content = {"infos": infos_of(records), "metadata": {"version": VERSION}}
    assert len(read_infos(saved(tmp_path / "x.pkl", content, protocol), CAMERAS)[0]) == 6


def test_new_and_old_module_names_of_numpy_are_read(records: list[FrameRecord], tmp_path: Path) -> None:
    write_infos(tmp_path / "old.pkl", records, version=VERSION)
    data = (tmp_path / "old.pkl").read_bytes()
    assert b"numpy.core.multiarray" in data
    (tmp_path / "new.pkl").write_bytes(data.replace(b"numpy.core.multiarray", b"numpy._core.multiarray"))
    assert len(read_infos(tmp_path / "new.pkl", CAMERAS)[0]) == 6


@pytest.mark.shared
def test_the_keys_are_upstreams(shared_dir: Path, records: list[FrameRecord]) -> None:
    theirs = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())[0]
    ours = info_of(records[0], "")
    assert set(ours) == set(theirs)
    stated = {"ego2global_translation", "ego2global_rotation"}  # of the camera: spec §F.1, absent from the golden frame
    assert set(ours["cams"]["CAM_FRONT"]) - set(theirs["cams"]["CAM_FRONT"]) <= stated
    assert set(theirs["cams"]["CAM_FRONT"]) <= set(ours["cams"]["CAM_FRONT"])


@pytest.mark.shared
def test_the_golden_frames_survive_the_way_out_and_back(shared_dir: Path, tmp_path: Path) -> None:
    infos = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())
    there = records_from_infos(infos, CAMERAS)
    write_infos(tmp_path / "x.pkl", there, version=VERSION, prefix="/mnt/nuscenes/")
    for mine, twin in zip(read_infos(tmp_path / "x.pkl", CAMERAS)[0], there, strict=True):
        assert_same(mine, twin)


def new_style(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cars = np.tile([[10.0, 5.0, 0.5, 1.9, 4.6, 1.7, 0.3]], (2, 1))
    common = {"gt_names": np.array(["car", "car"]), "gt_velocity": np.zeros((2, 2)), "valid_flag": np.ones(2, bool)}
    return [{**info, **common, "gt_boxes": from_new_convention(cars)} for info in infos]


def test_boxes_of_mmdet3d_1_are_recognised_refused_and_converted(records: list[FrameRecord], tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pkl", {"infos": new_style(infos_of(records)), "metadata": {}})
    with pytest.raises(DataError, match=r"mmdet3d 1\.0 and later \(length before width\); convert it: "):
        read_infos(path, CAMERAS)
    boxes = read_infos(path, CAMERAS, convert=True)[0][0].boxes
    np.testing.assert_allclose(boxes[0], [10.0, 5.0, 0.5, 1.9, 4.6, 1.7, 0.3])


def test_cars_that_contradict_each_other_are_refused(records: list[FrameRecord], tmp_path: Path) -> None:
    infos = new_style(infos_of(records))
    for info in infos[:3]:
        info["gt_boxes"] = from_new_convention(info["gt_boxes"])
    with pytest.raises(DataError, match=r"6 of 12 cars, trucks and buses are wider than long"):
        read_infos(saved(tmp_path / "x.pkl", {"infos": infos}), CAMERAS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data_list": [], "metainfo": {}}, r"mmdet3d 1\.1 or later \(data_list, metainfo\)"),
        ({"infos": []}, "no info file: expected"),
        ([1], "no info file: expected"),
        ({"infos": [{"token": "x"}]}, r"frames lack prev, next, .*mmdet3d's own files have no can_bus"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_infos(saved(tmp_path / "x.pkl", content), CAMERAS)


class Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    path = saved(tmp_path / "x.pkl", {"infos": [Bomb(tmp_path / "exploded")]}, protocol)
    with pytest.raises(
        DataError, match=r"refused: it holds posix\.mkdir; an info file holds numbers, words and arrays"
    ):
        read_infos(path, CAMERAS)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x80\x04",
        b"(i__main__\nBomb\n.",
        b"\x82\x01.",
        b"Pname\n.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        pickle.dumps(collections.Counter("aab")),
        pickle.dumps(np.array([1.0]))[:-10],
        b"cnumpy\ndtype\n(S'V999999'\ntR.",
    ],
)
def test_pickles_of_anything_else_are_refused(data: bytes) -> None:
    with pytest.raises(RefusedError):
        read_plain_pickle(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(values, st.integers(2, 4))
def test_plain_values_come_back(value: object, protocol: int) -> None:
    if protocol > 2:  # protocol 2 spells bytes as a call
        assert read_plain_pickle(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize("kind", ["f8", ">f4", "i8", "u1", "?", "U5", "S3"])
def test_arrays_come_back(kind: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind)
    for protocol in range(2, 5):
        back = plain(read_plain_pickle(pickle.dumps(array, protocol=protocol)))
        np.testing.assert_array_equal(back, array)


SEED = pickle.dumps({"infos": [{"gt_boxes": np.ones((2, 7)), "gt_names": np.array(["car", "bus"])}]}, protocol=2)


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(SEED)))
def test_spoilt_pickles_are_read_or_refused_and_never_anything_else(spots: list[tuple[int, int]], length: int) -> None:
    data = bytearray(SEED)
    for place, byte in spots:
        data[place] = byte
    try:
        read_plain_pickle(bytes(data[:length]))
    except RefusedError as error:
        assert str(error)  # noqa: PT017 — either end is right, but no third


def test_counts_are_told_against_the_split() -> None:
    assert counts_against("train", 28130) == "28130 of 28130 frames of train"
    assert counts_against("mini_val", 80) == "80 of 81 frames of mini_val: not the whole split"
