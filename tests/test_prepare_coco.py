"""The data stage on COCO: what is ready, what is missing, and what has changed since."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repro.data import DataError
from repro.data.coco.synth import SynthOptions, write_synth_coco
from repro.prepare import prepare_coco, what_changed_in_coco
from repro.recipe import load_detr_recipe

if TYPE_CHECKING:
    from repro.artifacts import DataReady

NANO = load_detr_recipe("deformable_detr_nano")


@pytest.fixture
def root(synth_coco: Path, tmp_path: Path) -> Path:
    """Return a copy of the synthetic set that a test may damage."""
    return Path(shutil.copytree(synth_coco, tmp_path / "coco"))


def prepared(root: Path, data: str = "coco") -> DataReady:
    return prepare_coco(data, root, NANO, root.parent / "cache")


def test_a_prepared_set_counts_its_images_and_boxes(root: Path) -> None:
    data = prepared(root)
    rows = [json.loads(path.read_text())["annotations"] for path in (root / "annotations").iterdir()]
    assert (data.train_samples, data.eval_samples) == (8, 3)
    assert data.boxes == sum(map(len, rows))
    assert (data.dataset, data.train_split, data.eval_split) == ("coco", "train2017", "val2017")
    assert data.scenes is None
    assert not data.synthetic


def test_a_synthetic_set_that_is_there_keeps_its_size(root: Path) -> None:
    data = prepared(root, "synth")
    assert data.synthetic
    assert (data.train_samples, data.eval_samples) == (8, 3)


def test_a_synthetic_set_is_made_where_there_is_none(tmp_path: Path) -> None:
    data = prepare_coco("synth", tmp_path / "new", NANO, tmp_path / "cache")
    assert (data.train_samples, data.eval_samples) == (12, 4)
    assert (tmp_path / "new" / "val2017").is_dir()


def test_what_changed_is_said(root: Path) -> None:
    data = prepared(root)
    assert what_changed_in_coco(data) is None
    write_synth_coco(root, SynthOptions(train=1, val=1))
    assert what_changed_in_coco(data) == f"the annotations in {root} are others"
    shutil.rmtree(root)
    assert what_changed_in_coco(data) == f"the annotations in {root} are gone"


def test_a_missing_image_is_counted_and_its_archive_named(root: Path) -> None:
    first = min((root / "train2017").iterdir())
    first.unlink()
    with pytest.raises(
        DataError, match=rf"1 of 8 images are missing, the first is {first.name}; extract train2017\.zip"
    ):
        prepared(root)


def test_a_split_without_images_is_refused(root: Path) -> None:
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "images": [], "annotations": []}))
    with pytest.raises(DataError, match="the annotations of val2017 hold no image"):
        prepared(root)


def test_a_set_of_tiny_images_is_refused(root: Path) -> None:
    strict = NANO.model_copy(update={"data": NANO.data.model_copy(update={"smallest_side": 1000})})
    with pytest.raises(DataError, match="none of the 8 images of train2017 has sides of 1000 pixels"):
        prepare_coco("coco", root, strict, root.parent / "cache")


def test_nothing_but_the_annotations_decides_what_a_set_is(root: Path) -> None:
    moved = root.rename(root.with_name("moved"))
    assert what_changed_in_coco(replace(prepared(moved), dataroot=str(moved))) is None
