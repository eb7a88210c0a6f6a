"""Where a BEV cell looks in frames of a run: the run's own checkpoint, run over the scene from its first frame on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from repro.data.dataset import EvalFrames, FrameLoader
from repro.models.bevformer import build_bevformer
from repro.models.bevformer.geometry import pillar_references
from repro.models.checkpoints import load_checkpoint
from repro.recipe import Recipe
from repro.rundir import RunDirError
from repro.visualise.attention import watching
from repro.visualise.looks import LookView
from repro.visualise.records import camera_views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from repro.data import FrameRecord, Subset
    from repro.draw.frames import Chosen
    from repro.draw.opened import OpenRun
    from repro.models.bevformer import BEVFormer


FLAT = 0.01  # a spread of feature norms below this share of them is drawn as next to none


def cell_of(words: str, recipe: Recipe) -> tuple[int, int]:
    """Return row and column of "ROW,COL". Raises RunDirError for other words, and outside the recipe's BEV."""
    bev = recipe.model.bev
    ranges = f"rows 0 to {bev.rows - 1} (row 0 is farthest behind), columns 0 to {bev.columns - 1} (0 is farthest left)"
    row, comma, column = (part.strip() for part in words.partition(","))
    if not (comma and row.isdecimal() and column.isdecimal()):
        raise RunDirError(f"--attention {words}: expected ROW,COL such as {bev.rows // 2},{bev.columns // 2}: {ranges}")
    if int(row) >= bev.rows or int(column) >= bev.columns:
        raise RunDirError(f"--attention {words}: outside the BEV of {recipe.name}: {ranges}")
    return int(row), int(column)


def layer_of(layer: int, recipe: Recipe) -> int:
    """Return the number of an encoder layer, counted from 0; -1 is the last. Raises RunDirError."""
    layers = recipe.model.encoder.layers
    if not -layers <= layer < layers:
        raise RunDirError(f"--layer {layer}: {recipe.name} has encoder layers 0 to {layers - 1}; -1 is the last")
    return layer % layers


def model_of(run: OpenRun) -> BEVFormer:
    """Return the model that was evaluated. Raises CheckpointError."""
    assert isinstance(run.recipe, Recipe), "attention of BEV cells belongs to BEVFormer"
    model = build_bevformer(run.recipe)
    load_checkpoint(model, run.recipe, run.checkpoint)
    return model.eval()


@torch.inference_mode()
def look_views(
    run: OpenRun, samples: Subset, chosen: Chosen, cell: tuple[int, int], layer: int
) -> Iterator[tuple[FrameRecord, LookView]]:
    """Yield what the cell (row, column) samples in each drawn frame, history from the scene's first frame on.

    Runs on the CPU in float32, whatever the run itself used. Raises CheckpointError, DataError.
    """
    recipe, model = run.recipe, model_of(run)
    assert isinstance(recipe, Recipe), "attention of BEV cells belongs to BEVFormer"
    loader = FrameLoader(Path(run.data.dataroot), recipe)
    frames = EvalFrames(samples, chosen.positions, loader)
    number = cell[0] * recipe.model.bev.columns + cell[1]
    history: torch.Tensor | None = None
    for place in range(max(chosen.drawn) + 1):
        frame = frames[place]
        with watching(model, layer) as caught:
            history = model(frame, history if bool(frame.has_history[0]) else None).bev
        if place not in chosen.drawn:
            continue
        record = samples[chosen.positions[place]]
        yield (
            record,
            LookView(
                title=f"{recipe.name} · encoder layer {layer} · {record.scene_name} · key frame {place}",
                cell=cell,
                bev=recipe.model.bev,
                cameras=camera_views(record, Path(run.data.dataroot), recipe.images.raw_size),
                filled=_filled(recipe),
                heights_m=_heights(recipe),
                spatial=caught.spatial_look(number),
                temporal=caught.temporal_look(number),
                maps=_maps(caught.temporal[0], caught.temporal[2]).reshape(2, recipe.model.bev.rows, -1),
            ),
        )


def _filled(recipe: Recipe) -> tuple[float, float]:
    """Return the share of width and height of the padded image that the photo fills."""
    (rows, columns), (high, wide) = recipe.images.resized, recipe.images.padded
    return columns / wide, rows / high


def _heights(recipe: Recipe) -> list[float]:
    low, high = recipe.model.bev.range[2], recipe.model.bev.range[5]
    pillars = pillar_references(1, 1, recipe.model.encoder.pillar_points, high - low, device=torch.device("cpu"))
    return (pillars[:, 0, 2] * (high - low) + low).tolist()


def _maps(query: torch.Tensor, pairs: torch.Tensor | None) -> NDArray[np.float32]:
    """Return how strongly each cell of the two BEVs speaks that are sampled: feature norms [2, Q], as 0..1 in each.

    The strongest and weakest twentieth are cut off, and so is what the turned history does not cover (zeros).
    """
    halves = query[0].expand(2, -1, -1) if pairs is None else pairs
    norms = halves.float().norm(dim=-1).numpy()
    maps: NDArray[np.float32] = np.zeros_like(norms)
    for half, norm in zip(maps, norms, strict=True):
        covered = norm > 0
        if covered.any():
            low, high = np.quantile(norm[covered], [0.05, 0.95])
            half[covered] = ((norm[covered] - low) / max(high - low, FLAT * high)).clip(0, 1)
    return maps
