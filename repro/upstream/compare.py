"""One set of weights, two models, the same frames, and where they part. Words and pages are made in menu.py."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import load_checkpoint
from repro.models.upstream_names import upstream_name
from repro.ops import IMPLEMENTATION
from repro.parity.weights import golden_weight
from repro.progress import progress
from repro.upstream.exchange import Upstream, check_same_weights, read_array
from repro.upstream.frames import first_frames
from repro.upstream.layers import absent, judged, layers_of, predicted, watched

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from repro.models.bevformer import BEVFormer
    from repro.parity.check import Check
    from repro.progress import Advance
    from repro.recipe import Recipe
    from repro.tensors import Frame, Prediction
    from repro.upstream.exchange import Built
    from repro.upstream.layers import Layer

    Files = dict[str, Path]  # "MODULE/PART" of theirs → where the array lies


@dataclass(frozen=True, slots=True)
class Comparison:
    """All layers of one frame."""

    history: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """All frames, what both models ran on, and how long each of them took."""

    frames: tuple[Comparison, ...]
    theirs: Built
    torch: str
    operators: str
    seconds: dict[str, float]

    @property
    def checks(self) -> tuple[Check, ...]:
        """All layers of all frames."""
        return tuple(check for frame in self.frames for check in frame.checks)


def compare_models(words: argparse.Namespace, recipe: Recipe, theirs: Upstream, built: Built) -> Compared:
    """Run both models and return what differs, frame by frame.

    `words` are those of the command: checkpoint, seed and dataroot count here. Raises UpstreamError, DataError,
    CheckpointError.
    """
    model = build_bevformer(recipe).eval()
    if words.checkpoint:
        load_checkpoint(model, recipe, words.checkpoint)
    check_same_weights(built.weights, model)
    if not words.checkpoint:
        fill(model, words.seed)
    frames, layers = first_frames(recipe, words.dataroot, theirs.scratch), layers_of(recipe)
    began = time.monotonic()
    history = recipe.model.use_history
    files = theirs.run(model, frames, {layer.theirs.split("/")[0]: layer.part for layer in layers}, history=history)
    between = time.monotonic()
    compared = _against(files, model, frames, layers, history=history)
    seconds = {"theirs": between - began, "ours": time.monotonic() - between}
    return Compared(compared, built, torch.__version__, IMPLEMENTATION, seconds)


def fill(model: BEVFormer, seed: str) -> None:
    """Give `model` weights that are a function of their upstream names and `seed`, as the golden sets do."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            value = golden_weight(upstream_name(name), tensor.shape, seed)
            if value is not None:
                tensor.copy_(torch.from_numpy(value))


@torch.inference_mode()
def _against(
    files: Sequence[Files], model: BEVFormer, frames: Sequence[Frame], layers: Sequence[Layer], *, history: bool
) -> tuple[Comparison, ...]:
    """Run our model on the same frames, the history being our own, and judge each layer."""
    compared: list[Comparison] = []
    bev = None
    with progress("ours", len(layers) * len(frames)) as advance:
        for frame, theirs in zip(frames, files, strict=True):
            note = f"frame {len(compared) + 1}"
            prediction, checks = _one_frame(model, frame, bev, (layers, theirs), partial(_count, advance, note))
            compared.append(Comparison(bev is not None, checks))
            bev = prediction.bev if history else None
    return tuple(compared)


def _count(advance: Advance, note: str, layer: Layer) -> None:
    advance(1, f"{note}, {layer.part}")


def _one_frame(
    model: BEVFormer,
    frame: Frame,
    bev: Tensor | None,
    beside: tuple[Sequence[Layer], Files],
    seen: Callable[[Layer], None],
) -> tuple[Prediction, tuple[Check, ...]]:
    """Run our model on one frame, judge each layer as soon as it has run, and say that it was `seen`."""
    layers, theirs = beside
    checks = {layer: absent(layer, "ours" if layer.theirs in theirs else "theirs") for layer in layers}

    def judge(layer: Layer, ours: Tensor) -> None:
        if layer.theirs in theirs:
            checks[layer] = judged(layer, ours, read_array(theirs[layer.theirs]))
        seen(layer)

    with watched(model, layers, judge):
        prediction = model(frame, bev)
    for layer, ours in predicted(layers, prediction):
        judge(layer, ours)
    return prediction, tuple(checks.values())
