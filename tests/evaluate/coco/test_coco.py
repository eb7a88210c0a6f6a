"""COCO's figures are those of pycocotools, and bad results are named."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from repro.artifacts import COCO_FIGURES
from repro.data.coco import CocoIndex, open_annotations
from repro.evaluate.coco import evaluate_boxes, format_image, ground_truth_document, write_coco_results
from repro.evaluate.formatting import EvaluationError
from repro.recipe.coco import COCO_CATEGORIES
from repro.tensors import ImageDetections
from tests.data.coco.small_coco import CAR, PERSON, box_row, document, image_row, write

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Box = dict[str, Any]


def random_set(rng: np.random.RandomState, images: int) -> tuple[dict[str, Any], list[Box]]:
    """Return annotations with crowds and all sizes, and detections: near misses, doubles and noise."""
    truths: list[Box] = []
    found: list[Box] = []
    for image_id in range(1, images + 1):
        for _ in range(rng.randint(0, 8)):
            w, h = rng.uniform(4, 200, 2)
            x, y = rng.uniform(0, 300), rng.uniform(0, 200)
            category = int(rng.choice([1, 3, 90]))
            crowd = int(rng.rand() < 0.1)
            truths.append(
                box_row(len(truths) + 1, image_id, [x, y, w, h], category_id=category, area=w * h * 0.7, iscrowd=crowd)
            )
            for _ in range(rng.randint(0, 3)):
                box = (np.array([x, y, w, h]) + rng.normal(0, 6, 4)).clip(1).tolist()
                found.append({"image_id": image_id, "category_id": category, "bbox": box, "score": float(rng.rand())})
        for _ in range(rng.randint(0, 5)):
            box = rng.uniform(1, 200, 4).tolist()
            category = int(rng.choice([1, 3, 17, 90]))
            found.append({"image_id": image_id, "category_id": category, "bbox": box, "score": float(rng.rand())})
    rows = [image_row(image_id, 640, 480) for image_id in range(1, images + 1)]
    return document(rows, truths), found


def pycocotools_figures(truth: dict[str, Any], found: list[Box]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"info": {}, **json.loads(json.dumps(truth))}
        coco.createIndex()
        scored = COCOeval(coco, coco.loadRes(json.loads(json.dumps(found))), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return np.asarray(scored.stats), np.asarray(scored.eval["precision"])


def indexed(folder: Path, content: dict[str, Any]) -> CocoIndex:
    return open_annotations(write(folder / "truth.json", content), folder)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_the_figures_are_those_of_pycocotools(tmp_path_factory: pytest.TempPathFactory, seed: int, images: int) -> None:
    truth, found = random_set(np.random.RandomState(seed), images)
    if not found or all(row["iscrowd"] for row in truth["annotations"]):
        return
    folder = tmp_path_factory.mktemp("set")
    (folder / "results.json").write_text(json.dumps(found))
    metrics = evaluate_boxes(folder / "results.json", indexed(folder, truth), range(images), "val2017")
    stats, precision = pycocotools_figures(truth, found)
    ours = [metrics.figures[name] for name in COCO_FIGURES]
    assert [-1 if value is None else value for value in ours] == pytest.approx(stats.tolist(), abs=1e-12)
    for k, name in enumerate(COCO_CATEGORIES.values()):
        values = precision[:, :, k, 0, -1]
        expected = values[values > -1].mean() if (values > -1).any() else None
        assert metrics.classes[name] == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.fixture
def one_person(tmp_path: Path) -> CocoIndex:
    content = document([image_row(1), image_row(2), image_row(3)], [box_row(1, 1, [10, 10, 40, 40])])
    return indexed(tmp_path, content)


def judged(folder: Path, index: CocoIndex, found: list[Box], positions: list[int]) -> float | None:
    path = folder / "results.json"
    path.write_text(json.dumps(found))
    return evaluate_boxes(path, index, positions, "val2017").figures["AP"]


def test_a_box_found_exactly_is_worth_one_and_nothing_found_zero(one_person: CocoIndex, tmp_path: Path) -> None:
    exact = {"image_id": 1, "category_id": PERSON, "bbox": [10, 10, 40, 40], "score": 0.5}
    assert judged(tmp_path, one_person, [exact], [0, 1, 2]) == pytest.approx(1.0)
    assert judged(tmp_path, one_person, [], [0, 1, 2]) == 0.0
    assert judged(tmp_path, one_person, [{**exact, "category_id": CAR}], [0]) == 0.0


def test_only_the_evaluated_images_count(one_person: CocoIndex, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    metrics = evaluate_boxes(path, one_person, [0, 2], "val2017")
    assert (metrics.samples, metrics.samples_in_split, metrics.detections) == (2, 3, 0)
    assert metrics.headline == {"box AP": 0.0}


def test_boxes_of_other_images_are_refused(one_person: CocoIndex, tmp_path: Path) -> None:
    stranger = {"image_id": 9, "category_id": PERSON, "bbox": [1, 1, 2, 2], "score": 0.5}
    with pytest.raises(EvaluationError, match=r"1 images that were not evaluated on val2017 \(the first is image 9\)"):
        judged(tmp_path, one_person, [stranger], [0])


def test_images_without_boxes_cannot_be_judged(one_person: CocoIndex, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no annotated box \(crowds aside\) in the 2 evaluated images"):
        judged(tmp_path, one_person, [], [1, 2])


@given(st.one_of(st.binary(max_size=30), st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(json.dumps)))
@settings(max_examples=40)
def test_a_damaged_result_file_is_named(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    index = indexed(folder, document([image_row(1)], [box_row(1, 1, [1, 1, 2, 2])]))
    data = content.encode() if isinstance(content, str) else content
    (folder / "results.json").write_bytes(data)
    if data == b"[]":
        return
    with pytest.raises(EvaluationError, match=r"results\.json: not a COCO result file"):
        evaluate_boxes(folder / "results.json", index, [0], "val2017")


def found_at(corners: list[float], label: int, score: float = 0.5) -> ImageDetections:
    return ImageDetections(torch.tensor([corners]), torch.tensor([score]), torch.tensor([label]))


def test_entries_are_corner_and_size_under_the_category_of_the_label() -> None:
    assert format_image(found_at([10, 20, 40, 80], 79), 7, "contiguous") == [
        {"image_id": 7, "category_id": 90, "bbox": [10, 20, 30, 60], "score": 0.5}
    ]
    assert format_image(found_at([10, 20, 40, 80], 3), 7, "category_id")[0]["category_id"] == CAR


def test_logits_without_a_category_are_no_entries() -> None:
    assert format_image(found_at([10, 20, 40, 80], 12), 7, "category_id") == []


def test_a_detection_that_is_not_finite_stops_before_the_file_exists(tmp_path: Path) -> None:
    entries = format_image(found_at([0, 0, float("nan"), 1], 0), 7, "contiguous")
    with pytest.raises(EvaluationError, match="image 7: a detection has a value that is not finite"):
        write_coco_results(tmp_path / "results.json", {7: entries})
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_read_back(one_person: CocoIndex, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_coco_results(path, {1: format_image(found_at([10, 10, 50, 50], 0), 1, "contiguous"), 2: []})
    assert evaluate_boxes(path, one_person, [0, 1], "val2017").figures["AP"] == pytest.approx(1.0)


def test_annotations_are_numbered_from_one(one_person: CocoIndex) -> None:
    assert ground_truth_document([one_person[0]])["annotations"][0]["id"] == 1
