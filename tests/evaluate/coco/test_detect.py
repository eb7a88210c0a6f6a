"""Finding boxes image by image: an interrupted evaluation goes on, and shares of several processes come together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from repro.evaluate.formatting import EvaluationError
from repro.evaluate.images import Found, detect, read_found, together
from repro.models.deformable_detr import DeformableDETR, build_deformable_detr
from repro.prepare import open_split
from repro.recipe import load_detr_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repro.data.coco import CocoSplit

NANO = load_detr_recipe("deformable_detr_nano")


@pytest.fixture(scope="module")
def model() -> DeformableDETR:
    torch.manual_seed(0)
    return build_deformable_detr(NANO).eval()


@pytest.fixture
def split(synth_coco: Path, tmp_path: Path) -> CocoSplit:
    return open_split(synth_coco, "val2017", tmp_path)


def found_in(split: CocoSplit, model: DeformableDETR, order: Sequence[int], partial: Path) -> Found:
    return detect(model, split, NANO, order=order, device="cpu", workers=0, partial=partial)


def test_every_image_gets_its_best_boxes_inside_it(split: CocoSplit, model: DeformableDETR, tmp_path: Path) -> None:
    found = found_in(split, model, range(3), tmp_path / "partial.jsonl")
    assert list(found) == [split.index[i].id for i in range(3)]
    for position in range(3):
        image = split.index[position]
        boxes = found[image.id]
        assert len(boxes) == NANO.coder.max_boxes
        scores = [box["score"] for box in boxes]
        assert scores == sorted(scores, reverse=True)
        for box in boxes:
            x, y, w, h = box["bbox"]
            assert min(x, y, w, h) >= -1e-3
            assert x + w <= image.width + 0.1
            assert y + h <= image.height + 0.1


def test_an_interrupted_evaluation_goes_on_after_the_last_whole_line(
    split: CocoSplit, model: DeformableDETR, tmp_path: Path
) -> None:
    partial = tmp_path / "partial.jsonl"
    whole = found_in(split, model, range(3), partial)
    first = split.index[0].id
    kept = {"image_id": first, "boxes": []}
    partial.write_text(json.dumps(kept) + "\n" + '{"image_id": ' + str(split.index[1].id) + ', "box')
    resumed = found_in(split, model, range(3), partial)
    assert resumed == {**whole, first: []}
    assert read_found(partial) == resumed


def test_shares_come_together_in_the_order_of_the_split(
    split: CocoSplit, model: DeformableDETR, tmp_path: Path
) -> None:
    ids = [split.index[i].id for i in range(3)]
    partials = [tmp_path / f"{rank}.jsonl" for rank in range(2)]
    for rank in range(2):
        found_in(split, model, range(rank, 3, 2), partials[rank])
    assert together(ids, partials) == found_in(split, model, range(3), tmp_path / "all.jsonl")
    assert list(together(ids, partials)) == ids


def test_a_share_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text('{"image_id": 1, "boxes": []}\n')
    with pytest.raises(EvaluationError, match=r"1 of 2 images were left there by no process \(the first is 2\)"):
        together([1, 2], [tmp_path / "0.jsonl", tmp_path / "1.jsonl"])
