"""Checkpoint files: read without unpickling anything but tensors, fitted to a model or refused with the difference.

Nothing here knows a recipe or where a file comes from; names are translated by a function that the caller brings.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from repro.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

SHOWN = 4  # names listed of each kind of difference


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong to the model; the message says why and what to type."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was loaded, and which upstream keys were dropped on purpose."""

    loaded: int
    dropped: tuple[str, ...]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name: {"state_dict": …} (mmcv's and ours), {"model": …}, or bare.

    A leading "module." (data-parallel training) is removed. Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; name a checkpoint with --checkpoint FILE")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # Deformable DETR's files keep their options
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, OSError) as error:
        first_line = str(error).strip().split("\n", 1)[0][:160]
        raise CheckpointError(
            f"{path}: not a checkpoint that can be read safely ({type(error).__name__}: {first_line}); "
            "download it again, and expect a file of tensors only"
        ) from error
    state = content.get("state_dict", content.get("model", content)) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: holds no state dict of tensors; expected the file of a trained model")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def save_checkpoint(path: Path, model: nn.Module, *, about: Mapping[str, str]) -> None:
    """Write a model's tensors and a few words about them, whole or not at all."""
    with replacing(path) as part:
        torch.save({"about": dict(about), "state_dict": model.state_dict()}, part)


def load_into(
    model: nn.Module, tensors: Mapping[str, Tensor], where: str, *, our_name: Callable[[str], str | None] = str
) -> Fit:
    """Copy `tensors` into `model`, every one of its own included. Raises CheckpointError naming what does not fit.

    `our_name` translates a key of the file, None drops it, KeyError marks it unknown.
    """
    own = model.state_dict()
    if set(tensors) == set(own):
        our_name = str
    renamed: dict[str, Tensor] = {}
    dropped, unknown = [], []
    for key, tensor in tensors.items():
        try:
            name = our_name(key)
        except KeyError:
            name = key
        if name is None:
            dropped.append(key)
        elif name in own:
            renamed[name] = tensor
        else:
            unknown.append(key)
    missing = sorted(set(own) - set(renamed))
    other_shape = [
        f"{name} is {list(tensor.shape)} in the file, {list(own[name].shape)} in the model"
        for name, tensor in renamed.items()
        if tensor.shape != own[name].shape
    ]
    if missing or unknown or other_shape:
        raise CheckpointError(_difference(where, missing, unknown, other_shape))
    model.load_state_dict(renamed)
    return Fit(loaded=len(renamed), dropped=tuple(dropped))


def _difference(where: str, missing: list[str], unknown: list[str], other_shape: list[str]) -> str:
    parts = [
        f"{len(names)} {words} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"
        for words, names in (
            ("tensors are missing", missing),
            ("are not of this model", unknown),
            ("have another shape", other_shape),
        )
        if names
    ]
    return f"{where}: the checkpoint of another model: {'; '.join(parts)}; choose the recipe it was trained with"
