"""Operators: multi-scale deformable attention behind three doors, and its slow twins. No model, no recipe, no data."""

from repro.ops.from_offsets import ms_deform_attn_from_offsets
from repro.ops.library import IMPLEMENTATION
from repro.ops.ms_deform_attn import ms_deform_attn
from repro.ops.spatial_cross_attn import spatial_cross_attn

__all__ = ["IMPLEMENTATION", "ms_deform_attn", "ms_deform_attn_from_offsets", "spatial_cross_attn"]
