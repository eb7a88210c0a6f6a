"""From scores and codes to detections, on values small enough to check by hand."""

from __future__ import annotations

import pytest
import torch

from repro.models.bevformer.coder import decode, decode_item
from repro.recipe import load_recipe
from repro.tensors import Prediction

SETTINGS = load_recipe("bevformer_tiny").coder


def test_the_best_pairs_come_in_order_and_those_out_of_range_go() -> None:
    logits, codes = torch.full((3, 10), -9.0), torch.zeros(3, 10)
    logits[0, 4], logits[0, 7], logits[1, 2] = 3.0, 1.0, 2.0
    codes[1, 0] = 61.3  # metres: beyond the post-processing range
    found = decode_item(logits, codes, SETTINGS.model_copy(update={"max_boxes": 3}))
    assert found.labels.tolist() == [4, 7]
    assert found.scores.tolist() == pytest.approx([0.9526, 0.7311], abs=1e-4)


def test_the_border_of_the_range_is_inside() -> None:
    codes = torch.zeros(2, 10)
    codes[0, 0], codes[1, 4] = -61.2, 10.0
    assert len(decode_item(torch.zeros(2, 10), codes, SETTINGS).scores) == 20


def test_the_last_decoder_layer_counts_and_items_stay_apart() -> None:
    logits = torch.full((2, 2, 1, 10), -9.0)
    logits[0, :, 0, 5] = 9.0  # an earlier layer
    logits[1, 0, 0, 1] = logits[1, 1, 0, 2] = 4.0
    prediction = Prediction(
        bev=torch.zeros(0), cls_logits=logits, box_codes=torch.zeros(2, 2, 1, 10), references=torch.zeros(0)
    )
    assert [int(found.labels[0]) for found in decode(prediction, SETTINGS)] == [1, 2]
