"""What a training step of Deformable DETR keeps for its backward pass, with and without the means to keep less.

Run `python -m repro.bench.detr_memory [--json]`. The baseline is the recipe `deformable_detr` in float32 without
activation checkpointing, measured in the same run. Bytes are those of the tensors that autograd keeps after the
forward pass, weights left out: no allocator, no workspace, no gradients. Images are small; the encoder's share grows
with them as the backbone's does, the decoder's hardly does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

from repro.models.deformable_detr import build_deformable_detr, detection_losses
from repro.models.deformable_detr.positions import Tokens
from repro.ops import IMPLEMENTATION
from repro.recipe import load_detr_recipe
from repro.tensors import ImageBatch, ImageTruth

if TYPE_CHECKING:
    from repro.models.deformable_detr import DeformableDETR
    from repro.recipe import DetrRecipe

WAYS = {  # name → (bfloat16, activation checkpointing)
    "float32": (False, False),
    "float32, checkpointing": (False, True),
}
BASELINE = "float32"


def main() -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument("--rows", type=int, default=64, help="rows of the image (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=96, help="columns of the image (default: %(default)s)")
    words = parser.parse_args()
    figures = measure(words.rows, words.columns)
    if words.json:
        sys.stdout.write(
            json.dumps({"schema_version": 1, "operator": IMPLEMENTATION, "ways": figures}, indent=1) + "\n"
        )
        return 0
    for way, row in figures.items():
        said = f"{row['kept_mib']:8.1f} MiB kept, {row['of_baseline']:.2f} of {BASELINE}"
        sys.stdout.write(f"{way:<26}{said}; {row['step_of_baseline']:.2f} of its step time\n")
    return 0


def measure(rows: int, columns: int) -> dict[str, dict[str, float]]:
    """Return for each of `WAYS` the MiB kept, and what share of the baseline's that and the step's time are."""
    measured = {
        way: step(recipe_with(checkpointing=saving), rows, columns, half=half) for way, (half, saving) in WAYS.items()
    }
    kept, seconds = measured[BASELINE]
    return {
        way: {
            "kept_mib": round(own / 2**20, 1),
            "of_baseline": round(own / kept, 3),
            "step_of_baseline": round(took / seconds, 2),
        }
        for way, (own, took) in measured.items()
    }


def recipe_with(*, checkpointing: bool) -> DetrRecipe:
    """Return the recipe `deformable_detr`, with activation checkpointing in all of the model or in none of it."""
    recipe = load_detr_recipe("deformable_detr")
    saving = {"activation_checkpointing": checkpointing}
    backbone = recipe.model.backbone.model_copy(update=saving)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={**saving, "backbone": backbone})})


def step(recipe: DetrRecipe, rows: int, columns: int, *, half: bool) -> tuple[int, float]:
    """Return the bytes that one step on one image keeps for its backward pass, and the seconds of a second step."""
    torch.manual_seed(0)
    model, batch = build_deformable_detr(recipe).train(), one_image(rows, columns)
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            kept[memory.data_ptr()] = memory.nbytes()
        return tensor

    def keep_inputs(_: nn.Module, inputs: tuple[object, ...]) -> None:
        """Count what a layer computes again from: checkpointing holds it itself, past autograd's hooks."""
        for value in inputs:
            for tensor in (value.position, value.padding) if isinstance(value, Tokens) else (value,):
                if isinstance(tensor, torch.Tensor):
                    keep(tensor)

    again = [*model.encoder, *model.decoder, *(block for stage in model.backbone.stages for block in stage)]
    hooks = [layer.register_forward_pre_hook(keep_inputs) for layer in again]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(model, batch, recipe, half=half)
    in_all = sum(kept.values())  # before the backward pass computes, and keeps, anything again
    for hook in hooks:
        hook.remove()
    loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    began = time.perf_counter()
    loss_of(model, batch, recipe, half=half).backward()  # type: ignore[no-untyped-call] # as above
    return in_all, time.perf_counter() - began


def loss_of(model: DeformableDETR, batch: ImageBatch, recipe: DetrRecipe, *, half: bool) -> torch.Tensor:
    """Return the total loss of a batch with one box."""
    truth = [ImageTruth(torch.tensor([[0.5, 0.5, 0.2, 0.4]]), torch.tensor([1]))]
    with torch.autocast("cpu", dtype=torch.bfloat16) if half else nullcontext():
        prediction = model(batch)
    losses = detection_losses(prediction, truth, batch.sizes, recipe.losses, recipe.matcher)
    return torch.stack(list(losses.values())).sum()


def one_image(rows: int, columns: int) -> ImageBatch:
    """Return a batch of one image of noise without padding."""
    size = torch.tensor([[rows, columns]])
    return ImageBatch(
        images=torch.randn(1, 3, rows, columns),
        padding=torch.zeros(1, rows, columns, dtype=torch.bool),
        sizes=size,
        original_sizes=size,
        scales=torch.ones(1, 4),
        ids=(0,),
    )


if __name__ == "__main__":
    sys.exit(main())
