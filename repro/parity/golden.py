"""Reading a golden set: its arrays, its JSON twins, its seed and its weights. Judges nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from repro.models.upstream_names import our_name
from repro.parity.weights import golden_weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


class GoldenError(ValueError):
    """A golden set that cannot be read; the message says what is missing."""


class Arrays:
    """The arrays of one .npz by name, never unpickled."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as stored:
                self._arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError) as error:
            raise GoldenError(f"{path}: not a readable .npz ({error}); restore it from where the set came") from error

    def __getitem__(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self._arrays[name]
        return array

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that start with `prefix`, without it."""
        return [name.removeprefix(prefix) for name in self._arrays if name.startswith(prefix)]

    def tensor(self, name: str) -> torch.Tensor:
        """Return an array as a tensor of its own memory."""
        return torch.from_numpy(self._arrays[name].copy())

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return all arrays whose name starts with `prefix`, keyed without it."""
        return {name: self.tensor(prefix + name) for name in self.names(prefix)}


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """A folder laid out as ../shared/golden/A."""

    folder: Path

    def arrays(self, name: str) -> Arrays:
        """Return the arrays of `name`.npz."""
        return Arrays(self.folder / f"{name}.npz")

    def facts(self, name: str) -> Any:
        """Return the JSON document `name`.json."""
        path = self.folder / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise GoldenError(f"{path}: cannot be read ({error}); restore it from where the set came") from error

    def infos(self) -> list[dict[str, Any]]:
        """Return the key frames in upstream's info format, oldest first."""
        infos = self.facts("real_frame/infos")
        return list(infos["infos"] if isinstance(infos, dict) else infos)

    def seed(self) -> str:
        """Return the seed of the weights; every case of a set was run with the same one."""
        return str(self.facts("pipeline")["seed"])

    def fill(
        self, model: torch.nn.Module, name: str, our_name: Callable[[str], str | None] = our_name
    ) -> dict[str, str]:
        """Give `model` the golden weights of upstream model `name`; return our key → upstream key.

        `our_name` maps upstream's keys to the model's. Tensors that share their memory take the last name's weights.
        """
        ours = model.state_dict()
        names: dict[str, str] = {}
        with torch.no_grad():
            for key, shape, _ in self.facts(f"state_dict/{name}"):
                mapped = our_name(key)
                value = golden_weight(key, shape, self.seed())
                if mapped is not None and value is not None:
                    ours[mapped].copy_(torch.from_numpy(value))
                    names[mapped] = key
        missing = set(ours) - set(names)
        if missing:
            raise GoldenError(f"state_dict/{name}.json has no key for {sorted(missing)[:5]}")
        return names
