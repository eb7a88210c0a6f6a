"""From the last decoder layer to scored boxes, without non-maximum suppression (spec §E.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.models.boxes import boxes_from_codes
from repro.tensors import Detections

if TYPE_CHECKING:
    from torch import Tensor

    from repro.recipe import Coder
    from repro.tensors import Prediction


def decode(prediction: Prediction, settings: Coder) -> list[Detections]:
    """Return the detections of each item: the best (query, class) pairs whose centre lies in range."""
    pairs = zip(prediction.cls_logits[-1].float(), prediction.box_codes[-1].float(), strict=True)
    return [decode_item(logits, codes, settings) for logits, codes in pairs]


def decode_item(logits: Tensor, codes: Tensor, settings: Coder) -> Detections:
    """Return the detections of one item: logits [K, S], codes [K, 10]; a query may appear under several labels."""
    K, S = logits.shape
    scores, flat = logits.sigmoid().flatten().topk(min(settings.max_boxes, K * S))
    boxes = boxes_from_codes(codes[flat // S])
    low, high = boxes.new_tensor(settings.center_range[:3]), boxes.new_tensor(settings.center_range[3:])
    inside = ((boxes[:, :3] >= low) & (boxes[:, :3] <= high)).all(-1)
    return Detections(boxes=boxes[inside], scores=scores[inside], labels=(flat % S)[inside])
