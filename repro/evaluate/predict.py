"""Inference over consecutive frames, each with the BEV of the one before; resumes at the start of a scene."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from repro.data.dataset import EvalFrames, FrameLoader, collate_frames
from repro.evaluate.formatting import ResultBox, format_detections
from repro.models.bevformer.coder import decode
from repro.models.precision import half_precision
from repro.progress import progress

if TYPE_CHECKING:
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
    frames: int,
    device: str,
    workers: int,
    partial: Path,
) -> dict[str, Boxes]:
    """Return the submission boxes of the first `frames` samples by token (spec §C.3).

    What is found is appended to `partial`, one line a frame; whole scenes found there are not computed again.
    """
    known = _whole_scenes(samples, frames, read_partial(partial))
    order = range(len(known), frames)
    loader = DataLoader(
        EvalFrames(samples, order, FrameLoader(dataroot, recipe)),
        collate_fn=collate_frames,
        num_workers=workers,
    )
    results = dict(known)
    history: torch.Tensor | None = None
    model.eval()
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("w", encoding="utf-8") as file, progress("evaluate", frames, done=len(known)) as advance:
        for token, boxes in known.items():
            _append(file, token, boxes)
        for position, frame in zip(order, loader, strict=True):
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


def _whole_scenes(samples: Subset, frames: int, found: dict[str, Boxes]) -> dict[str, Boxes]:
    """Return the frames found, from the first on, up to the last scene border: history starts anew there."""
    tokens, scenes = samples.tokens[:frames], samples.scenes[:frames]
    done = next((i for i, token in enumerate(tokens) if token not in found), len(tokens))
    while 0 < done < len(tokens) and scenes[done] == scenes[done - 1]:
        done -= 1
    return {token: found[token] for token in tokens[:done]}


def _append(file: Any, token: str, boxes: Boxes) -> None:
    file.write(json.dumps({"token": token, "boxes": boxes}) + "\n")
    file.flush()
