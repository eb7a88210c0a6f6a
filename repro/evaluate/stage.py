"""The evaluation stage: a checkpoint and a split in, the official evaluator's word out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts import DataReady, Metrics
from repro.atomic import write_json
from repro.data.tables import open_tables
from repro.evaluate.official import evaluate_results
from repro.evaluate.predict import predict
from repro.models.bevformer import build_bevformer
from repro.models.upstream_names import our_name
from repro.weights import load_into, read_checkpoint

if TYPE_CHECKING:
    from repro.data import Subset
    from repro.recipe import Recipe

MODALITY = {  # the benchmark's meta record (spec §A.2)
    "use_lidar": False,
    "use_camera": True,
    "use_radar": False,
    "use_map": False,
    "use_external": True,
}
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
    load_into(model, read_checkpoint(checkpoint), str(checkpoint), our_name=our_name)
    frames = min(recipe.smoke.eval_frames, len(samples)) if smoke else len(samples)
    results = predict(
        model.to(device),
        samples,
        recipe,
        Path(data.dataroot),
        frames=frames,
        device=device,
        workers=recipe.smoke.workers if smoke else recipe.eval.workers,
        partial=folder / f"partial-{key}.jsonl",
    )
    write_json(folder / RESULTS, {"meta": MODALITY, "results": results})
    nds, mean_ap, errors, classes = evaluate_results(
        open_tables(Path(data.dataroot), data.version),
        protocol=recipe.eval.protocol,
        results=folder / RESULTS,
        eval_set=data.eval_split,
        output=folder,
        tokens=list(results),
    )
    (folder / f"partial-{key}.jsonl").unlink()
    return Metrics(
        nds=nds,
        mean_ap=mean_ap,
        errors=errors,
        classes=classes,
        eval_set=data.eval_split,
        samples=frames,
        samples_in_split=len(samples),
        detections=sum(map(len, results.values())),
        results=f"{folder.name}/{RESULTS}",
        seconds=round(time.monotonic() - began, 3),
    )
