"""The drawings of the pages in docs/: each computes what it shows with the models' own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.drawings import (
    deformable_attention,
    iterative_refinement,
    spatial_cross_attention,
    temporal_memory,
    temporal_self_attention,
    two_stage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from docs.drawings.sheet import Sheet

DRAWINGS: dict[str, Callable[[], Sheet]] = {
    "deformable_attention": deformable_attention.draw,
    "temporal_self_attention": temporal_self_attention.draw,
    "spatial_cross_attention": spatial_cross_attention.draw,
    "temporal_memory": temporal_memory.draw,
    "iterative_refinement": iterative_refinement.draw,
    "two_stage": two_stage.draw,
}
