"""Ground truth fed back as detections: what a perfect detector without velocities would say of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from repro.recipe.schema import CLASSES
from repro.tensors import Detections

if TYPE_CHECKING:
    from repro.data import FrameRecord


def perfect_detections(record: FrameRecord) -> Detections:
    kept = [i for i, name in enumerate(record.names) if name in CLASSES]
    boxes = torch.zeros(len(kept), 9)
    boxes[:, :7] = torch.from_numpy(record.boxes[kept]).float()
    labels = torch.tensor([CLASSES.index(record.names[i]) for i in kept], dtype=torch.int64)
    return Detections(boxes=boxes, scores=torch.ones(len(kept)), labels=labels)
