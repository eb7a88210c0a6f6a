"""Operators: the multi-scale deformable attention behind one door, and its slow twin. No model, no recipe, no data."""

from repro.ops.library import IMPLEMENTATION
from repro.ops.ms_deform_attn import ms_deform_attn

__all__ = ["IMPLEMENTATION", "ms_deform_attn"]
