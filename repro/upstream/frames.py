"""The frames that both models see: the first two key frames of a scene, synthetic ones where no data set is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.data import DataError, open_nuscenes
from repro.data.dataset import EvalFrames, FrameLoader
from repro.data.synth import write_synth

if TYPE_CHECKING:
    from pathlib import Path

    from repro.recipe import Recipe
    from repro.tensors import Frame

VERSIONS = ("v1.0-trainval", "v1.0-mini")
COUNT = 2  # one without history, one with it


def first_frames(recipe: Recipe, dataroot: Path | None, scratch: Path) -> list[Frame]:
    """Return the first key frame of a data set and, if it is of the same scene, the next one. Raises DataError."""
    if dataroot is None:
        dataroot = scratch / "synth"
        write_synth(dataroot, frames=COUNT)
    version = next((name for name in VERSIONS if (dataroot / name).is_dir()), None)
    if version is None:
        raise DataError(f"{dataroot}: expected {' or '.join(VERSIONS)} in it, saw neither; name a nuScenes folder")
    quirks = recipe.model.quirks
    index = open_nuscenes(dataroot, version, scratch, channels=recipe.data.cameras, rates=quirks.can_bus_rates)
    scene = index[0].scene_token
    order = [position for position in range(len(index)) if index[position].scene_token == scene][:COUNT]
    frames = EvalFrames(index, order, FrameLoader(dataroot, recipe))
    return [frames[item] for item in range(len(frames))]
