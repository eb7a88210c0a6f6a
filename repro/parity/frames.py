"""The real frames of a golden set through our own data path, as the model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.data.dataset import EvalFrames, FrameLoader
from repro.data.infos import records_from_infos
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from repro.data.records import FrameRecord
    from repro.parity.golden import GoldenSet
    from repro.recipe import Recipe
    from repro.tensors import Frame

SIZES = ("tiny", "small", "base")  # the sizes that a golden set holds


def records(golden: GoldenSet) -> list[FrameRecord]:
    """Return the golden key frames, oldest first."""
    return records_from_infos(golden.infos(), load_recipe("bevformer_tiny").data.cameras)


def inference_frames(golden: GoldenSet, recipe: Recipe, count: int) -> list[Frame]:
    """Return the first `count` frames as test-time inference meets them, motion included."""
    loader = FrameLoader(golden.folder / "real_frame", recipe)
    frames = EvalFrames(records(golden), range(count), loader)
    return [frames[i] for i in range(count)]
