"""The evaluation stage: a checkpoint and a split in, the official evaluator's word out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from repro.data.samplers import scene_order, test_order
from repro.evaluate.curves import CURVES
from repro.evaluate.formatting import EvaluationError, write_results
from repro.evaluate.nuscenes import evaluate as score
from repro.evaluate.predict import Boxes, predict, read_partial
from repro.launch import asked_to_stop
from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import load_checkpoint
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lightning_fabric import Fabric

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
    fabric: Fabric,
    smoke: bool,
    key: str,
) -> Metrics:
    """Detect boxes in `samples` (the first few under `smoke`) with a checkpoint and let the devkit judge them.

    Each process of `fabric` takes its share (`recipe.eval.split`, spec §F.3) and leaves it in a file; the first one
    puts them together and has them judged. Raises CheckpointError, DataError, EvaluationError, and Interrupted, after
    which it goes on at the last scene border when called again with as many processes.
    """
    began = time.monotonic()
    world, rank = fabric.world_size, fabric.global_rank
    model = build_bevformer(recipe)
    load_checkpoint(model, recipe, checkpoint)
    frames = min(recipe.smoke.eval_frames, len(samples)) if smoke else len(samples)
    scenes = samples.scenes[:frames]
    shares = [share_of(scenes, recipe, world=world, rank=number) for number in range(world)]
    partials = [folder / f"partial-{key}-{number}of{world}.jsonl" for number in range(world)]
    predict(
        model.to(fabric.device),
        samples,
        recipe,
        Path(data.dataroot),
        order=shares[rank],
        device=str(fabric.device),
        workers=recipe.smoke.workers if smoke else recipe.eval.workers,
        partial=partials[rank],
        shown=fabric.is_global_zero,
        asked_to_stop=asked_to_stop,
    )
    fabric.barrier()

    def judged() -> Metrics:
        tokens = samples.tokens
        write_results(folder / RESULTS, gathered([tokens[i] for share in shares for i in share], partials, tokens))
        metrics = score(folder / RESULTS, Path(data.dataroot), data.version, data.eval_split, curves=folder / CURVES)
        for path in partials:
            path.unlink()
        seconds = round(time.monotonic() - began, 3)
        return replace(metrics, results=f"{folder.name}/{RESULTS}", seconds=seconds, processes=world)

    return from_first(fabric, judged)


def share_of(scenes: Sequence[str], recipe: Recipe, *, world: int, rank: int) -> list[int]:
    """Return the positions that `rank` evaluates, given the scene of each position, by the recipe's `eval.split`.

    Upstream pads the last chunk from the front and drops what that gives: here it is not computed.
    """
    if recipe.eval.split == "scene":
        return scene_order(scenes, world=world, rank=rank)
    return test_order(len(scenes), world=world, rank=rank)[: max(0, len(scenes) - rank * -(-len(scenes) // world))]


def gathered(wanted: Collection[str], partials: Sequence[Path], order: Sequence[str]) -> dict[str, Boxes]:
    """Return what all processes found, by token, in the order of `order`.

    Raises EvaluationError when a token of `wanted` is in no file: the run folder is not shared between machines.
    """
    found = {token: boxes for path in partials for token, boxes in read_partial(path).items()}
    missing = [token for token in wanted if token not in found]
    if missing:
        raise EvaluationError(
            f"{partials[0].parent}: {len(missing)} of {len(wanted)} frames were left there by no process (the first is "
            f"{missing[0]}); all machines of a run must see the same run folder: choose --run DIR on a shared disk"
        )
    return {token: found[token] for token in order if token in found}
