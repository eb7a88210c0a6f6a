"""Checkpoints and recipes: which recipe a file of tensors fits, what differs, and the way back to upstream's names."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

from repro.models.upstream_names import our_name, upstream_name
from repro.recipe import available, load_recipe
from repro.weights import CheckpointError, Fit, load_into, read_checkpoint, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from repro.recipe import Recipe

DEPTH_OF_BLOCKS = {(2, False): 18, (6, True): 50, (23, True): 101}  # blocks of layer3, bottlenecks? → ResNet depth


@dataclass(frozen=True, slots=True)
class Traits:
    """What tells two checkpoints of BEVFormer apart by their shapes (spec §A.1); None where a file does not say."""

    backbone: str | None
    feature_levels: int
    bev: tuple[int, ...] | None
    channels: int | None
    encoder_layers: int
    decoder_layers: int
    object_queries: int | None


def traits_of(tensors: Mapping[str, Tensor]) -> Traits:
    """Return the traits of tensors under our names."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    rows, columns = shapes.get("row_positions.weight"), shapes.get("column_positions.weight")
    queries = shapes.get("object_queries.weight")
    blocks = _numbers(shapes, r"backbone\.layer3\.(\d+)\.conv1\.weight")
    depth = DEPTH_OF_BLOCKS.get((blocks, any(name.endswith("layer3.0.conv3.weight") for name in shapes)))
    deformable = sum(f"backbone.layer{n}.0.conv2.conv_offset.weight" in shapes for n in range(1, 5))
    return Traits(
        backbone=f"ResNet-{depth}{f' with {deformable} deformable stages' if deformable else ''}" if depth else None,
        feature_levels=_numbers(shapes, r"neck\.output\.(\d+)\.weight"),
        bev=(rows[0], columns[0]) if rows and columns else None,
        channels=queries[1] // 2 if queries else None,
        encoder_layers=_numbers(shapes, r"encoder\.(\d+)\.norms\.0\.weight"),
        decoder_layers=_numbers(shapes, r"decoder\.layers\.(\d+)\.norms\.0\.weight"),
        object_queries=queries[0] if queries else None,
    )


def traits_of_recipe(recipe: Recipe) -> Traits:
    """Return the traits of a recipe's own checkpoints."""
    model, backbone = recipe.model, recipe.model.backbone
    deformable = sum(stage <= backbone.out_stages[-1] for stage in backbone.dcn_stages)
    return Traits(
        backbone=f"ResNet-{backbone.depth}{f' with {deformable} deformable stages' if deformable else ''}",
        feature_levels=model.neck.num_outs,
        bev=(model.bev.rows, model.bev.columns),
        channels=model.embed_dims,
        encoder_layers=model.encoder.layers,
        decoder_layers=model.decoder.layers,
        object_queries=model.decoder.queries,
    )


def _numbers(shapes: Mapping[str, object], pattern: str) -> int:
    return len({found[1] for name in shapes if (found := re.fullmatch(pattern, name))})


def differences(file: Traits, recipe: Traits) -> list[str]:
    """Return one phrase a trait that differs: "bev 50×50 in the file, 200×200 in the recipe"."""
    return [
        f"{field.name.replace('_', ' ')} {_said(there)} in the file, {_said(here)} in the recipe"
        for field in fields(file)
        if (there := getattr(file, field.name)) != (here := getattr(recipe, field.name))
    ]


def _said(value: object) -> str:
    if value is None:
        return "none"
    return "×".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def recipes_that_fit(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of our recipes whose model has the traits of these tensors (under our names)."""
    traits = traits_of(tensors)
    return [name for name in available(architecture="bevformer") if traits_of_recipe(load_recipe(name)) == traits]


def why_not(tensors: Mapping[str, Tensor], recipe: Recipe) -> str:
    """Return how a file differs from a recipe, and which recipe to type instead."""
    different = differences(traits_of(tensors), traits_of_recipe(recipe))
    fitting = recipes_that_fit(tensors)
    if fitting:
        advice = f"it fits --recipe {' or '.join(fitting)}"
    else:
        advice = "no recipe here fits it: choose the recipe it was trained with"
    return "; ".join([*different, advice])


def load_checkpoint(model: nn.Module, recipe: Recipe, path: Path) -> Fit:
    """Fill `model`, built from `recipe`, with a file of upstream's or ours; return what was renamed and dropped.

    Raises CheckpointError for a file that cannot be read safely, or of another configuration: the message names the
    difference and the recipe that it fits.
    """
    return load_into(
        model, read_checkpoint(path), str(path), our_name=our_name, why=lambda tensors: why_not(tensors, recipe)
    )


def export_upstream(model: nn.Module, recipe: Recipe, path: Path) -> int:
    """Write a model under upstream's names, whole or not at all; return the number of tensors.

    The file is {"meta": {…strings}, "state_dict": {…}} with the recipe's `code_weights`, which upstream keeps as a
    parameter (spec §H.1). Raises CheckpointError when it cannot be written.
    """
    state = OrderedDict((upstream_name(name), tensor) for name, tensor in model.state_dict().items())
    state["pts_bbox_head.code_weights"] = torch.tensor(recipe.losses.code_weights)
    try:
        write_tensors(path, {"meta": {"recipe": recipe.name}, "state_dict": state})
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from error
    return len(state)
