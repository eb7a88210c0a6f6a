"""Checkpoint files: read without unpickling anything but tensors, fitted to a model or refused with the difference.

Nothing here knows a recipe or where a file comes from; names are translated by a function that the caller brings.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from repro.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

SHOWN = 4  # names listed of each kind of difference


def _plain_numpy() -> list[Any]:
    """Return what a checkpoint's notes may name beside tensors: scalars and types of numpy, under old and new paths."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = (np.dtype(code) for code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"))
    types = {type(kind) for kind in kinds}
    paths = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *types, *((scalar, path) for path in paths)]


PLAIN_NUMPY = _plain_numpy()  # mmcv wrote numpy numbers into "meta"; nothing on this list runs code


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong to the model; the message says why and what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How the tensors of a file meet a model, key by key.

    renamed is (key in the file, key in the model) where the two differ; dropped are keys left out on purpose; missing
    are keys of the model that the file lacks; unexpected are keys of the file that no model of ours has; other_shape
    is (key of the model, shape in the file, shape in the model).
    """

    loaded: int
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every tensor of the model is in the file, and nothing in the file is left over."""
        return not (self.missing or self.unexpected or self.other_shape)

    def text(self) -> str:
        """Return every key that is not simply the same, one a line, under a line of counts."""
        shapes = [
            f"{name}: {list(there)} in the file, {list(here)} in the model" for name, there, here in self.other_shape
        ]
        kinds: dict[str, Sequence[str]] = {
            "renamed": [f"{there} → {here}" for there, here in self.renamed],
            "dropped": self.dropped,
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": shapes,
        }
        counts = ", ".join([f"{self.loaded} tensors fit", *(f"{len(keys)} {kind}" for kind, keys in kinds.items())])
        return "\n".join([counts, *(f"  {kind:<16} {key}" for kind, keys in kinds.items() for key in keys)])


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name: {"state_dict": …} (mmcv's and ours), {"model": …}, or bare.

    A leading "module." (data-parallel training) is removed. Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; name a checkpoint with --checkpoint FILE")
    try:
        # Deformable DETR's files keep their options
        with torch.serialization.safe_globals([argparse.Namespace, *PLAIN_NUMPY]):
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
    write_tensors(path, {"about": dict(about), "state_dict": model.state_dict()})


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write what `torch.load` reads, whole or not at all; equal content gives equal bytes."""
    with replacing(path) as part, part.open("wb") as file:
        torch.save(content, file)  # to a path, it would write that path's random name into the file


def load_into(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    our_name: Callable[[str], str | None] = str,
    why: Callable[[Mapping[str, Tensor]], str] = lambda _: "choose the recipe it was trained with",
) -> Fit:
    """Copy `tensors` into `model`, every one of its own included. Raises CheckpointError naming what does not fit.

    `our_name` translates a key of the file, None drops it, KeyError marks it unknown. `why` words the way out of a
    misfit, given the tensors under the model's names.
    """
    renamed, fit = fitted(model, tensors, our_name=our_name)
    if not fit.whole:
        raise CheckpointError(f"{_difference(where, fit)}; {why(renamed)}")
    model.load_state_dict(renamed)
    return fit


def load_what_fits(
    model: nn.Module, tensors: Mapping[str, Tensor], *, our_name: Callable[[str], str | None] = str
) -> Fit:
    """Copy the tensors that fit into `model`, leave the rest of it as it is, and say what was left."""
    renamed, fit = fitted(model, tensors, our_name=our_name)
    odd = {name for name, _, _ in fit.other_shape}
    own = model.state_dict()
    model.load_state_dict({name: t for name, t in renamed.items() if name in own and name not in odd}, strict=False)
    return fit


def fitted(
    model: nn.Module, tensors: Mapping[str, Tensor], *, our_name: Callable[[str], str | None] = str
) -> tuple[dict[str, Tensor], Fit]:
    """Return the tensors under the model's names, unknown ones under the file's, and how they fit. Copies nothing."""
    own = model.state_dict()
    if set(tensors) == set(own):
        our_name = str
    named: dict[str, Tensor] = {}
    dropped, pairs, unexpected = [], [], []
    for key, tensor in tensors.items():
        try:
            name = our_name(key)
        except KeyError:
            name = key
        if name is None:
            dropped.append(key)
            continue
        named[name] = tensor
        if name not in own:
            unexpected.append(key)
        elif name != key:
            pairs.append((key, name))
    both = [name for name in named if name in own]
    odd = tuple((n, tuple(named[n].shape), tuple(own[n].shape)) for n in both if named[n].shape != own[n].shape)
    return named, Fit(
        loaded=len(both) - len(odd),
        renamed=tuple(pairs),
        dropped=tuple(dropped),
        missing=tuple(sorted(set(own) - set(named))),
        unexpected=tuple(unexpected),
        other_shape=odd,
    )


def _difference(where: str, fit: Fit) -> str:
    shapes = [
        f"{name} is {list(there)} in the file, {list(here)} in the model" for name, there, here in fit.other_shape
    ]
    parts = [
        f"{len(names)} {words} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})"
        for words, names in (
            ("tensors are missing", fit.missing),
            ("are not of this model", fit.unexpected),
            ("have another shape", shapes),
        )
        if names
    ]
    return f"{where}: the checkpoint of another model: {'; '.join(parts)}"
