"""BEVFormer: one file a part of the paper's figure 2; `model.py` reads top to bottom."""

from repro.models.bevformer.model import BEVFormer, build_bevformer, history_of

__all__ = ["BEVFormer", "build_bevformer", "history_of"]
