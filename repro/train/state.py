"""The state of a training run on disk: saved whole, read back without unpickling anything but tensors."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from lightning_fabric import Fabric

STATE_FILE = "state.ckpt"


class TrainError(ValueError):
    """Training that cannot start or go on; the message says what to type."""


def save_state(
    fabric: Fabric, folder: Path, *, model: torch.nn.Module, optimizer: Any, iteration: int, key: str
) -> None:
    """Write everything a later process needs to go on at `iteration`; the previous file stays until this one is whole.

    Call it on every rank. Random state is not in it: the loop derives it from seed and iteration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{STATE_FILE}.part"
    scaler = fabric.strategy.precision.state_dict()
    fabric.save(part, {"model": model, "optimizer": optimizer, "scaler": scaler, "iteration": iteration, "key": key})
    if fabric.is_global_zero:
        part.replace(folder / STATE_FILE)
    fabric.barrier()


def load_state(fabric: Fabric, folder: Path, *, model: torch.nn.Module, optimizer: Any, key: str) -> int:
    """Restore model and optimiser from `folder` and return the iteration to go on at.

    Returns 0 and touches nothing when there is no state, or one that was saved under another `key`.
    Raises TrainError when the file is damaged.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return 0
    try:
        stored = fabric.load(path, weights_only=True)
        if stored["key"] != key:
            return 0
        iteration = int(stored["iteration"])
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        fabric.strategy.precision.load_state_dict(stored["scaler"])
    except (
        RuntimeError,
        KeyError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
        pickle.UnpicklingError,
    ) as error:
        first_line = str(error).split("\n", 1)[0][:200]
        raise TrainError(
            f"{path}: cannot be resumed ({first_line}); "
            "delete that file to train from the start, or choose another --run DIR"
        ) from error
    return iteration
