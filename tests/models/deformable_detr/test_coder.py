"""From predictions to boxes in pixels of the file, as either family does it."""

from __future__ import annotations

import torch

from repro.models.deformable_detr.coder import decode_image
from repro.recipe import load_detr_recipe

MMDET, ORIGINAL = (load_detr_recipe(name).coder for name in ("deformable_detr", "deformable_detr_original"))
SIZE, FILE = torch.tensor([50, 100]), torch.tensor([100, 201])  # rows, columns: the resize rounded the width
SCALE = torch.tensor([100 / 201, 0.5, 100 / 201, 0.5])
INSIDE, BEYOND = [0.5, 0.5, 0.2, 0.4], [0.9, 0.1, 0.4, 0.4]


def logits(*rows: dict[int, float]) -> torch.Tensor:
    values = torch.full((len(rows), 3), -9.0)
    for query, row in enumerate(rows):
        for label, logit in row.items():
            values[query, label] = logit
    return values


def test_the_best_pairs_of_query_and_class_come_first() -> None:
    coder = MMDET.model_copy(update={"max_boxes": 3})
    found = decode_image(logits({1: 2.0, 2: 0.5}, {0: 1.0}), torch.tensor([INSIDE, BEYOND]), SIZE, FILE, SCALE, coder)
    assert found.labels.tolist() == [1, 0, 2]
    torch.testing.assert_close(found.scores, torch.tensor([2.0, 1.0, 0.5]).sigmoid())
    assert torch.equal(found.boxes[0], found.boxes[2])  # one query under two classes


def test_mmdet_clips_to_the_resized_image_and_undoes_the_resize() -> None:
    found = decode_image(logits({0: 1.0}, {0: 0.5}), torch.tensor([INSIDE, BEYOND]), SIZE, FILE, SCALE, MMDET)
    torch.testing.assert_close(found.boxes[0], torch.tensor([80.4, 30.0, 120.6, 70.0]))
    torch.testing.assert_close(found.boxes[1], torch.tensor([0.7 * 201, 0.0, 201.0, 30.0]))


def test_the_original_scales_to_the_file_and_clips_nothing() -> None:
    found = decode_image(logits({0: 1.0}, {0: 0.5}), torch.tensor([INSIDE, BEYOND]), SIZE, FILE, SCALE, ORIGINAL)
    torch.testing.assert_close(found.boxes[1], torch.tensor([0.7 * 201, -10.0, 1.1 * 201, 30.0]))


def test_fewer_pairs_than_asked_for_are_all_returned() -> None:
    found = decode_image(logits({0: 1.0}), torch.tensor([INSIDE]), SIZE, FILE, SCALE, MMDET)
    assert found.boxes.shape == (3, 4)
