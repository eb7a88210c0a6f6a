"""Inference over consecutive frames, each with the BEV of the one before; resumes at the start of a scene."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from repro.data.dataset import EvalFrames, FrameLoader, collate_frames
from repro.data.loading import batches_from
from repro.evaluate.formatting import ResultBox, format_detections
from repro.models.bevformer.coder import decode
from repro.models.precision import half_precision
from repro.progress import progress
from repro.stop import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from repro.data import Subset
    from repro.models.bevformer import BEVFormer
    from repro.recipe import Recipe

Boxes = list[ResultBox]


@torch.inference_mode()
def predict(
    model: BEVFormer,
    samples: Subset,
    recipe: Recipe,
    dataroot: Path,
    *,
    order: Sequence[int],
    device: str,
    workers: int,
    partial: Path,
    shown: bool = True,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Boxes]:
    """Return the submission boxes of the samples at the positions `order`, by token (spec §C.3).

    The first of them has no history. What is found is appended to `partial`, one line a frame; whole scenes found
    there are not computed again. Raises Interrupted when asked to stop; `shown` shows progress.
    """
    known = _whole_scenes(samples, order, read_partial(partial))
    rest = list(order)[len(known) :]
    frames = batches_from(EvalFrames(samples, rest, FrameLoader(dataroot, recipe)), collate_frames, workers=workers)
    results = dict(known)
    history: torch.Tensor | None = None
    model.eval()
    partial.parent.mkdir(parents=True, exist_ok=True)
    with (
        partial.open("w", encoding="utf-8") as file,
        progress("evaluate", len(order), done=len(known), shown=shown) as advance,
    ):
        for token, boxes in known.items():
            _append(file, token, boxes)
        for position, frame in zip(rest, frames, strict=True):
            if asked_to_stop():
                raise Interrupted(f"evaluation stopped after {len(results)} of {len(order)} frames")
            with half_precision(recipe.train.precision, device):
                prediction = model(frame.to(device), history if bool(frame.has_history[0]) else None)
            history = prediction.bev
            record = samples[position]
            boxes = format_detections(decode(prediction, recipe.coder)[0], record, recipe.data.classes)
            results[record.token] = boxes
            _append(file, record.token, boxes)
            advance(1)
    return results


def read_partial(path: Path) -> dict[str, Boxes]:
    """Return the frames of an interrupted evaluation by token; a line cut short ends them."""
    found: dict[str, Boxes] = {}
    if not path.is_file():
        return found
    with suppress(ValueError, KeyError, TypeError):  # the line that a crash cut short, and all behind it
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            row = json.loads(line)
            found[row["token"]] = row["boxes"]
    return found


def _whole_scenes(samples: Subset, order: Sequence[int], found: dict[str, Boxes]) -> dict[str, Boxes]:
    """Return the frames found, from the first on, up to the last scene border: history starts anew there."""
    every, scene_of = samples.tokens, samples.scenes
    tokens, scenes = [every[i] for i in order], [scene_of[i] for i in order]
    done = next((i for i, token in enumerate(tokens) if token not in found), len(tokens))
    while 0 < done < len(tokens) and scenes[done] == scenes[done - 1]:
        done -= 1
    return {token: found[token] for token in tokens[:done]}


def _append(file: Any, token: str, boxes: Boxes) -> None:
    file.write(json.dumps({"token": token, "boxes": boxes}) + "\n")
    file.flush()
