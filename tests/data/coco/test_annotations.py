"""Which images and boxes training sees, and what is said of an annotation file that is not whole."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from repro.data.coco.annotations import fingerprint_of, open_annotations, truth_of
from repro.data.records import DataError
from tests.data.coco.small_coco import CAR, CATEGORIES, TOOTHBRUSH, box_row, document, image_of, image_row, write

if TYPE_CHECKING:
    from pathlib import Path


def test_labels_are_places_in_the_list_of_categories() -> None:
    image = image_of([[10, 10, 20, 20]] * 3, categories=[1, CAR, TOOTHBRUSH])
    assert truth_of(image, "contiguous")[1].tolist() == [0, 2, 79]
    assert truth_of(image, "category_id")[1].tolist() == [1, CAR, TOOTHBRUSH]


@pytest.mark.parametrize(
    ("box", "more"),
    [
        ([10, 10, 20, 20], {"crowds": np.array([True])}),
        ([10, 10, 20, 20], {"ignored": np.array([True])}),
        ([10, 10, 20, 20], {"areas": np.array([0.0])}),
        ([10, 10, 0.9, 20], {}),
        ([10, 10, 20, 0.9], {}),
        ([100, 10, 20, 20], {}),
        ([10, 80, 20, 20], {}),
        ([-20, 10, 20, 20], {}),
        ([10, 10, 20, 20], {"categories": [12]}),
    ],
)
def test_crowds_slivers_and_boxes_outside_are_not_for_training(box: list[float], more: dict[str, Any]) -> None:
    boxes, labels = truth_of(image_of([box], **more), "contiguous")
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_boxes_reach_over_the_border_until_they_are_resized() -> None:
    boxes, _ = truth_of(image_of([[-5, 70, 20, 20]]), "contiguous")
    assert boxes.tolist() == [[-5, 70, 15, 90]]
    assert boxes.dtype == np.float32


def test_the_original_repository_clips_at_once_and_keeps_slivers() -> None:
    boxes, _ = truth_of(image_of([[-5, 70, 20, 20], [1, 1, 0.5, 30], [100, 0, 5, 5]]), "category_id")
    assert boxes.tolist() == [[0, 70, 15, 80], [1, 1, 1.5, 31]]


@pytest.fixture
def three_images(tmp_path: Path) -> Path:
    images = [image_row(7), image_row(3, 20, 200), image_row(5, 40, 200)]
    boxes = [box_row(1, 3, [1, 2, 3, 4]), box_row(2, 7, [5, 6, 7, 8]), box_row(9, 7, [9, 10, 11, 12], iscrowd=1)]
    return write(tmp_path / "annotations" / "instances_val2017.json", document(images, boxes))


def test_images_and_their_boxes_keep_the_order_of_the_file(three_images: Path, tmp_path: Path) -> None:
    index = open_annotations(three_images, tmp_path / "cache")
    assert [index[i].id for i in range(len(index))] == [7, 3, 5]
    assert index[0].boxes.tolist() == [[5, 6, 7, 8], [9, 10, 11, 12]]
    assert index[0].annotation_ids.tolist() == [2, 9]
    assert index[0].crowds.tolist() == [False, True]
    assert index[2].boxes.shape == (0, 4)
    assert index.num_boxes == 3
    with pytest.raises(IndexError):
        index[3]


def test_images_and_boxes_are_those_that_pycocotools_reads(synth_coco: Path, tmp_path: Path) -> None:
    path = synth_coco / "annotations" / "instances_train2017.json"
    theirs, ours = COCO(str(path)), open_annotations(path, tmp_path)
    assert [ours[i].id for i in range(len(ours))] == theirs.getImgIds()
    for i in range(len(ours)):
        rows = theirs.loadAnns(theirs.getAnnIds(imgIds=ours[i].id))
        assert ours[i].annotation_ids.tolist() == [row["id"] for row in rows]
        assert ours[i].boxes.tolist() == [row["bbox"] for row in rows]
        assert ours[i].crowds.tolist() == [row["iscrowd"] == 1 for row in rows]


def test_narrow_images_are_left_out_of_training_and_empty_ones_stay(three_images: Path, tmp_path: Path) -> None:
    index = open_annotations(three_images, tmp_path / "cache")
    assert index.trainable(32) == [0, 2]
    assert index.trainable(0) == [0, 1, 2]


def test_an_index_is_read_again_by_its_fingerprint_and_reaches_workers_as_a_path(
    three_images: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    first = open_annotations(three_images, tmp_path / "cache", tell=told.append)
    second = open_annotations(three_images, tmp_path / "cache", tell=told.append)
    assert told == ["reading instances_val2017.json"]
    assert first.fingerprint == second.fingerprint == fingerprint_of(three_images)
    assert pickle.loads(pickle.dumps(first))[1].id == 3  # noqa: S301 — bytes of two lines ago


def test_a_damaged_index_says_that_it_may_go(three_images: Path, tmp_path: Path) -> None:
    index = open_annotations(three_images, tmp_path / "cache")
    index.path.write_bytes(b"ARROW1")
    with pytest.raises(DataError, match=r"damaged .*; delete it, it is written anew from the annotations"):
        open_annotations(three_images, tmp_path / "cache")


def test_a_missing_file_is_answered_with_the_archive_to_extract(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file or directory; extract annotations_trainval2017\.zip"):
        open_annotations(tmp_path / "annotations" / "instances_val2017.json", tmp_path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"images": [image_row(1), image_row(1)]}, "1 image ids stand there twice"),
        ({"annotations": [box_row(4, 2, [0, 0, 1, 1])]}, "annotation 4 belongs to image 2, which the file does not"),
        (
            {"annotations": [{**box_row(4, 1, [0, 0, 1, 1]), "bbox": [0, 0, 1]}]},
            r"annotations\.0\.bbox\.3: Field required",
        ),
        ({"annotations": [box_row(4, 1, [0, 0, 1, 1], area="big")]}, r"annotations\.0\.area: Input should be a valid"),
        ({"categories": CATEGORIES[:3]}, "3 categories, expected the 80 of COCO detection under their own ids"),
        ({"images": [image_row(1, width=0)]}, r"images\.0\.width: Input should be greater than 0"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, damage: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "a.json", {**document([image_row(1)], []), **damage})
    with pytest.raises(DataError, match=words):
        open_annotations(path, tmp_path)


@given(st.one_of(st.binary(max_size=40), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_no_file_ends_in_anything_but_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=r"a\.json: "):
        open_annotations(path, path.parent)
