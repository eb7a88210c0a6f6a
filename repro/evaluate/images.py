"""The evaluation stage of Deformable DETR: a checkpoint and a split of COCO in, COCO's figures out."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from repro.data.coco.dataset import CocoSplit, TestImages, collate_images
from repro.data.loading import batches_from
from repro.evaluate.coco import CocoBox, evaluate_boxes, format_image, write_coco_results
from repro.evaluate.curves import CURVES
from repro.evaluate.formatting import EvaluationError
from repro.launch import asked_to_stop
from repro.models.deformable_detr import build_deformable_detr, decode
from repro.models.deformable_detr.names import our_name, with_counters
from repro.progress import progress
from repro.stop import Interrupted
from repro.weights import load_into, read_checkpoint
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from lightning_fabric import Fabric

    from repro.artifacts import CocoMetrics, DataReady
    from repro.models.deformable_detr import DeformableDETR
    from repro.recipe import DetrRecipe

RESULTS = "results_coco.json"
Found = dict[int, list[CocoBox]]


def evaluate_images(
    recipe: DetrRecipe,
    data: DataReady,
    split: CocoSplit,
    checkpoint: Path,
    folder: Path,
    *,
    fabric: Fabric,
    smoke: bool,
    key: str,
) -> CocoMetrics:
    """Detect boxes in the images of `split` (the first few under `smoke`) with a checkpoint and judge them.

    The processes of `fabric` take every n-th image each and leave what they find in files; the first one puts them
    together. Raises CheckpointError, DataError, EvaluationError, and Interrupted, after which it goes on at the next
    image when called again with as many processes.
    """
    began = time.monotonic()
    world, rank = fabric.world_size, fabric.global_rank
    model = build_deformable_detr(recipe)
    load_into(model, with_counters(read_checkpoint(checkpoint)), str(checkpoint), our_name=our_name)
    count = min(recipe.smoke.eval_images, len(split.index)) if smoke else len(split.index)
    partials = [folder / f"partial-{key}-{number}of{world}.jsonl" for number in range(world)]
    detect(
        model.to(fabric.device),
        split,
        recipe,
        order=range(rank, count, world),
        device=str(fabric.device),
        workers=recipe.smoke.workers if smoke else recipe.eval.workers,
        partial=partials[rank],
        shown=fabric.is_global_zero,
    )
    fabric.barrier()

    def judged() -> CocoMetrics:
        found = together([split.index[position].id for position in range(count)], partials)
        write_coco_results(folder / RESULTS, found)
        metrics = evaluate_boxes(folder / RESULTS, split.index, range(count), data.eval_split, curves=folder / CURVES)
        for path in partials:
            path.unlink()
        seconds = round(time.monotonic() - began, 3)
        return replace(metrics, results=f"{folder.name}/{RESULTS}", seconds=seconds, processes=world)

    return from_first(fabric, judged)


@torch.inference_mode()
def detect(
    model: DeformableDETR,
    split: CocoSplit,
    recipe: DetrRecipe,
    *,
    order: Sequence[int],
    device: str,
    workers: int,
    partial: Path,
    shown: bool = True,
) -> Found:
    """Return the boxes found in the images at the positions `order`, by image id, one image at a time (spec §H).

    What is found is appended to `partial`, one line an image; images found there are not computed again. Raises
    Interrupted when asked to stop; `shown` shows progress.
    """
    results = read_found(partial)
    rest = [position for position in order if split.index[position].id not in results]
    loader = batches_from(TestImages(split, rest, recipe), collate_images, workers=workers)
    model.eval()
    partial.parent.mkdir(parents=True, exist_ok=True)
    with (
        partial.open("w", encoding="utf-8") as file,
        progress("evaluate", len(order), done=len(order) - len(rest), shown=shown) as advance,
    ):
        _append(file, results.items())
        for batch in loader:
            if asked_to_stop():
                raise Interrupted(f"evaluation stopped after {len(results)} of {len(order)} images")
            detections = decode(model(batch.to(device)), batch.to(device), recipe.coder)
            (image_id,) = batch.ids
            results[image_id] = format_image(detections[0], image_id, recipe.data.labels)
            _append(file, [(image_id, results[image_id])])
            advance(1)
    return results


def together(wanted: Collection[int], partials: Sequence[Path]) -> Found:
    """Return what all processes found, by image id, in the order of `wanted`.

    Raises EvaluationError when an image is in no file: the run folder is not shared between machines.
    """
    found = {image_id: boxes for path in partials for image_id, boxes in read_found(path).items()}
    missing = [image_id for image_id in wanted if image_id not in found]
    if missing:
        raise EvaluationError(
            f"{partials[0].parent}: {len(missing)} of {len(wanted)} images were left there by no process (the first is "
            f"{missing[0]}); all machines of a run must see the same run folder: choose --run DIR on a shared disk"
        )
    return {image_id: found[image_id] for image_id in wanted}


def read_found(path: Path) -> Found:
    """Return the images of an interrupted evaluation by id; a line cut short ends them."""
    found: Found = {}
    if path.is_file():
        with suppress(ValueError, KeyError, TypeError):  # the line that a crash cut short, and all behind it
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                row = json.loads(line)
                found[int(row["image_id"])] = list(row["boxes"])
    return found


def _append(file: Any, found: Iterable[tuple[int, list[CocoBox]]]) -> None:
    for image_id, boxes in found:
        file.write(json.dumps({"image_id": image_id, "boxes": boxes}) + "\n")
    file.flush()
