"""The evaluation stage: a checkpoint and a split in, the official evaluator's word out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from repro.evaluate.formatting import write_results
from repro.evaluate.nuscenes import evaluate as score
from repro.evaluate.predict import predict
from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import load_checkpoint

if TYPE_CHECKING:
    from repro.artifacts import DataReady, Metrics
    from repro.data import Subset
    from repro.recipe import Recipe

RESULTS = "results_nusc.json"


def evaluate(
    recipe: Recipe,
    data: DataReady,
    samples: Subset,
    checkpoint: Path,
    folder: Path,
    *,
    device: str,
    smoke: bool,
    key: str,
) -> Metrics:
    """Detect boxes in `samples` (the first few under `smoke`) with a checkpoint and let the devkit judge them.

    Raises CheckpointError and DataError. Interrupted, it goes on at the last scene border when called again.
    """
    began = time.monotonic()
    model = build_bevformer(recipe)
    load_checkpoint(model, recipe, checkpoint)
    frames = min(recipe.smoke.eval_frames, len(samples)) if smoke else len(samples)
    partial = folder / f"partial-{key}.jsonl"
    results = predict(
        model.to(device),
        samples,
        recipe,
        Path(data.dataroot),
        frames=frames,
        device=device,
        workers=recipe.smoke.workers if smoke else recipe.eval.workers,
        partial=partial,
    )
    write_results(folder / RESULTS, results)
    metrics = score(folder / RESULTS, Path(data.dataroot), data.version, data.eval_split)
    partial.unlink()
    return replace(metrics, results=f"{folder.name}/{RESULTS}", seconds=round(time.monotonic() - began, 3))
