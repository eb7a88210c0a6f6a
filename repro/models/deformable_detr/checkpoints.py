"""Released weights of Deformable DETR into a model and out again, of mmdet and of the original repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from repro.models.deformable_detr.model import build_deformable_detr
from repro.models.deformable_detr.names import our_name, upstream_state, with_counters
from repro.recipe import available, load_detr_recipe
from repro.weights import CheckpointError, Fit, load_into, read_checkpoint, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from repro.models.deformable_detr.model import DeformableDETR
    from repro.models.deformable_detr.names import Family

HOLDER: dict[Family, str] = {"mmdet": "state_dict", "original": "model"}  # the key that each family saves tensors under


def load_detr_checkpoint(model: DeformableDETR, path: Path) -> Fit:
    """Fill `model` with a file of mmdet's, of the original repository's, or of ours; return what was loaded.

    Raises CheckpointError for a file that cannot be read safely or belongs to another model: the message names the
    difference and the recipe that it fits. One model with a shared box branch and one with a branch a layer have the
    same keys and shapes; the values tell them apart (spec §F).
    """
    tensors = with_counters(read_checkpoint(path))
    named = _named(tensors)
    refined = _is_refined(named)
    if refined is not None and refined != model.settings.refine:
        words = (
            "is refined: each layer has a box branch of its own",
            "is not refined: all layers share one box branch",
        )
        there, here = words if refined else reversed(words)
        raise CheckpointError(f"{path}: the model in the file {there}; the recipe's {here}{_advice(named)}")
    try:
        return load_into(model, tensors, str(path), our_name=our_name)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_advice(named)}") from error


def export_detr(model: DeformableDETR, path: Path, family: Family) -> int:
    """Write a model as `family`'s own code saves it, whole or not at all; return the number of tensors.

    Raises CheckpointError when the file cannot be written, or the model has tensors that have no place there.
    """
    if family == "mmdet" and model.settings.neck.bias:
        raise CheckpointError(
            f"{path}: mmdet's neck has no biases on its convolutions, this model has; export it as original"
        )
    state = upstream_state(model, family)
    try:
        write_tensors(path, {HOLDER[family]: state})
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from error
    return len(state)


def recipes_that_fit(named: Mapping[str, Tensor]) -> list[str]:
    """Return the recipes whose model has these tensors, given under our names."""
    shapes, refined = _shapes(named), _is_refined(named)
    fitting = []
    for name in available(architecture="deformable_detr"):
        recipe = load_detr_recipe(name)
        if refined in {None, recipe.model.refine}:
            with torch.device("meta"):
                own = build_deformable_detr(recipe).state_dict()
            if _shapes(own) == shapes:
                fitting.append(name)
    return fitting


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        try:
            name = our_name(key)
        except KeyError:
            name = key
        if name is not None:
            named[name] = tensor
    return named


def _is_refined(named: Mapping[str, Tensor]) -> bool | None:
    """Tell whether each layer has a box branch of its own; None where there are not two to compare.

    Proposals are boxes, which only refinement moves: two-stage models are refined, also untrained ones.
    """
    if "proposals.project.weight" in named:
        return True
    pairs = [
        (tensor, named[key.replace(".0.", ".1.", 1)])
        for key, tensor in named.items()
        if key.startswith("head.regress.0.") and key.replace(".0.", ".1.", 1) in named
    ]
    return not all(torch.equal(one, other) for one, other in pairs) if pairs else None


def _shapes(named: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in named.items()}


def _advice(named: Mapping[str, Tensor]) -> str:
    fitting = recipes_that_fit(named)
    return f"; it fits --recipe {' or '.join(fitting)}" if fitting else "; no recipe here fits it"
