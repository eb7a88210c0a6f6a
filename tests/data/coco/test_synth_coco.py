"""The synthetic COCO set: pycocotools reads it, and what it says fits what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from repro.data.coco.synth import MARKER, SHAPES, SynthOptions, synth_options_of, write_synth_coco
from repro.data.records import DataError
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def train(synth_coco: Path) -> COCO:
    return COCO(str(synth_coco / "annotations" / "instances_train2017.json"))


def test_every_box_is_what_its_outline_encloses(train: COCO) -> None:
    for row in train.loadAnns(train.getAnnIds(iscrowd=False)):
        mask = train.annToMask(row)
        ys, xs = np.nonzero(mask)
        x, y, w, h = row["bbox"]
        assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == pytest.approx((x, y, x + w, y + h), abs=1.5)
        assert row["area"] == pytest.approx(mask.sum(), rel=0.1, abs=20)


def test_a_crowd_is_outlined_by_run_lengths_of_its_area(train: COCO) -> None:
    crowds = train.loadAnns(train.getAnnIds(iscrowd=True))
    assert crowds
    for row in crowds:
        mask = train.annToMask(row)
        ys, xs = np.nonzero(mask)
        assert mask.sum() == row["area"]
        assert row["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]


def test_shapes_have_the_colour_of_their_category(train: COCO, synth_coco: Path) -> None:
    for row in train.loadAnns(train.getAnnIds(iscrowd=False)):
        pixels = cv2.imread(str(synth_coco / "train2017" / train.loadImgs(row["image_id"])[0]["file_name"]))
        inside = pixels[train.annToMask(row) == 1]
        assert np.abs(np.median(inside, 0) - SHAPES[row["category_id"]][2]).max() <= 20


def test_categories_are_cocos_own(train: COCO) -> None:
    assert {row["id"]: row["name"] for row in train.loadCats(train.getCatIds())} == COCO_CATEGORIES
    assert {row["supercategory"] for row in train.loadCats([1, 17, 90])} == {"person", "animal", "indoor"}


def test_some_images_are_upright_and_some_empty(train: COCO) -> None:
    rows = train.loadImgs(train.getImgIds())
    assert {row["width"] > row["height"] for row in rows} == {True, False}
    assert {bool(train.getAnnIds(imgIds=row["id"])) for row in rows} == {True, False}


def test_the_same_options_write_nothing_again_and_another_seed_draws_other_images(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    few = SynthOptions(train=1, val=1)
    assert write_synth_coco(root, few)
    before = (root / "train2017" / "000000000001.jpg").read_bytes()
    assert not write_synth_coco(root, few)
    assert synth_options_of(root) == few
    assert write_synth_coco(root, SynthOptions(train=1, val=1, seed=1))
    assert (root / "train2017" / "000000000001.jpg").read_bytes() != before


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DataError, match=f"not a synthetic COCO data set \\(no readable {MARKER}\\)"):
        write_synth_coco(tmp_path, SynthOptions())
    assert (tmp_path / "holiday.jpg").exists()


def test_a_set_needs_an_image_of_each_kind() -> None:
    with pytest.raises(DataError, match="0 training and 4 evaluation images; choose at least 1 of each"):
        SynthOptions(train=0)
