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

# What upstream's three sizes do to an image (spec §A.1); small and base have no recipe of their own yet.
IMAGE_SETTINGS = {
    "tiny": {"scale": 0.5, "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "to_rgb": True},
    "small": {"scale": 0.8, "mean": (103.53, 116.28, 123.675), "std": (1.0, 1.0, 1.0), "to_rgb": False},
    "base": {"scale": 1.0, "mean": (103.53, 116.28, 123.675), "std": (1.0, 1.0, 1.0), "to_rgb": False},
}


def recipe_with_images_of(size: str) -> Recipe:
    """Return BEVFormer-tiny's recipe with the image settings of "tiny", "small" or "base"."""
    tiny = load_recipe("bevformer_tiny")
    return tiny.model_copy(update={"images": tiny.images.model_copy(update=IMAGE_SETTINGS[size])})


def records(golden: GoldenSet) -> list[FrameRecord]:
    """Return the golden key frames, oldest first."""
    return records_from_infos(golden.infos(), load_recipe("bevformer_tiny").data.cameras)


def inference_frames(golden: GoldenSet, recipe: Recipe, count: int) -> list[Frame]:
    """Return the first `count` frames as test-time inference meets them, motion included."""
    loader = FrameLoader(golden.folder / "real_frame", recipe)
    frames = EvalFrames(records(golden), range(count), loader)
    return [frames[i] for i in range(count)]
