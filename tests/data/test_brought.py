"""A run on info files that somebody brings: the same frames as from the tables, or a sentence about what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from repro.data import DataError, FrameRecord, Subset, open_nuscenes
from repro.data.info_files import write_infos
from repro.prepare import open_index, prepare, what_changed
from repro.recipe import load_recipe
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import VERSION, write_small_nuscenes
from tests.data.test_index import assert_same

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repro.artifacts import DataReady


class Place:
    """A small nuScenes, the info files made of it, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.root, self.infos, self.cache = write_small_nuscenes(folder / "root"), folder / "infos", folder / "cache"
        self.recipe = load_recipe("bevformer_tiny")
        index = open_nuscenes(self.root, VERSION, self.cache, channels=CAMERAS)
        self.train, self.val = (records_of(index.split(split)) for split in ("mini_train", "mini_val"))
        self.write("train", self.train)
        self.write("val", self.val)

    def write(self, kind: str, records: Sequence[FrameRecord], version: str = VERSION) -> None:
        self.infos.mkdir(exist_ok=True)
        write_infos(self.infos / f"nuscenes_infos_temporal_{kind}.pkl", records, version=version)

    def prepared(self) -> DataReady:
        return prepare("nuscenes-mini", self.root, self.recipe, self.cache, without_can_bus=False, infos=self.infos)

    def samples(self, split: str) -> list[FrameRecord]:
        return records_of(open_index(self.root, VERSION, self.recipe, self.cache, self.infos).split(split))


def records_of(subset: Subset) -> list[FrameRecord]:
    return [subset[position] for position in range(len(subset))]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_files_made_from_the_tables_give_the_frames_of_the_tables(place: Place) -> None:
    data = place.prepared()
    assert (data.train_samples, data.eval_samples, data.infos) == (4, 2, str(place.infos))
    for split, twins in (("mini_train", place.train), ("mini_val", place.val)):
        for mine, twin in zip(place.samples(split), twins, strict=True):
            assert mine.scene_name == twin.scene_name
            np.testing.assert_array_equal(mine.boxes, twin.boxes)
            np.testing.assert_array_equal(mine.can_bus, twin.can_bus)
            for camera, other in zip(mine.cameras, twin.cameras, strict=True):
                assert_same(camera, other)


def test_what_the_files_say_is_what_the_run_reads(place: Place) -> None:
    moved = [replace(record, boxes=record.boxes + 1.0) for record in place.train]
    place.write("train", moved)
    np.testing.assert_array_equal(place.samples("mini_train")[0].boxes, moved[0].boxes)
    assert records_of(open_index(place.root, VERSION, place.recipe, place.cache).split("mini_train"))[0].boxes[
        0, 0
    ] == pytest.approx(moved[0].boxes[0, 0] - 1.0)


def test_other_files_make_the_data_stage_run_again(place: Place) -> None:
    data = place.prepared()
    assert what_changed(data) is None
    place.write("train", [replace(record, boxes=record.boxes + 1.0) for record in place.train])
    assert what_changed(data) == f"the tables in {place.root} or the files in {place.infos} are others"
    (place.infos / "nuscenes_infos_temporal_val.pkl").unlink()
    assert what_changed(data) == f"the info files in {place.infos} are gone"


def test_a_folder_without_them_says_which_file_is_missing(place: Place) -> None:
    (place.infos / "nuscenes_infos_temporal_val.pkl").unlink()
    with pytest.raises(DataError, match=r"nuscenes_infos_temporal_val\.pkl: no such file; --infos DIR is the folder"):
        place.prepared()


def test_frames_of_another_split_are_counted_and_refused(place: Place) -> None:
    place.write("val", place.train)
    with pytest.raises(DataError, match="4 frames, of which 0 are among the 2 of this split in the tables"):
        place.prepared()


def test_a_frame_twice_is_refused(place: Place) -> None:
    place.write("train", [*place.train, place.train[0]])
    with pytest.raises(DataError, match="5 frames, of which 4 are among the 4"):
        place.prepared()


def test_files_of_another_version_are_refused(place: Place) -> None:
    place.write("train", place.train, version="v1.0-trainval")
    with pytest.raises(DataError, match=r"made from v1\.0-trainval, and this run reads v1\.0-mini"):
        place.prepared()


def test_a_converted_file_is_read_instead_of_its_original(place: Place) -> None:
    (place.infos / "nuscenes_infos_temporal_train.pkl").write_bytes(b"of a newer mmdet3d")
    write_infos(place.infos / "nuscenes_infos_temporal_train.mmdet3d-0.17.pkl", place.train, version=VERSION)
    assert place.prepared().train_samples == 4


def test_the_motion_in_the_files_needs_no_can_bus_folder(place: Place) -> None:
    for path in (place.root / "can_bus").iterdir():
        path.unlink()
    (place.root / "can_bus").rmdir()
    with pytest.raises(DataError, match="can_bus"):
        prepare("nuscenes-mini", place.root, place.recipe, place.cache, without_can_bus=False)
    assert place.prepared().train_samples == 4
    assert place.samples("mini_train")[1].can_bus.any()
