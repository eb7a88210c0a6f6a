"""Deformable DETR: one file a part of the paper's figure 1; `model.py` reads top to bottom."""

from repro.models.deformable_detr.coder import decode
from repro.models.deformable_detr.losses import detection_losses
from repro.models.deformable_detr.model import DeformableDETR, build_deformable_detr

__all__ = ["DeformableDETR", "build_deformable_detr", "decode", "detection_losses"]
