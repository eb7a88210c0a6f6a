"""A finished run folder as values: recipe, data set, checkpoint and result file. Only looks, never writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from repro.artifacts import CocoMetrics, DataReady, Metrics, Trained
from repro.recipe import Recipe
from repro.recipe.load import SCHEMAS
from repro.rundir import RunDir, RunDirError

if TYPE_CHECKING:
    from collections.abc import Collection

    from repro.artifacts import AnyMetrics
    from repro.recipe import AnyRecipe

CACHE = Path("data") / "index"
_AGAIN = "delete the run's evaluate.json and type the run's command again"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """What drawings need of a run: where it lies, its recipe, and what its stages left behind."""

    path: Path
    recipe: AnyRecipe
    data: DataReady
    trained: Trained
    metrics: AnyMetrics

    @property
    def checkpoint(self) -> Path:
        """The weights that were evaluated."""
        return self.path / self.trained.checkpoint

    @property
    def results(self) -> Path:
        """The result file."""
        return self.path / self.metrics.results


def open_run(path: Path) -> OpenRun:
    """Return what an evaluated run left behind. Raises RunDirError for a folder that is none, or not that far."""
    if not (path / "recipe.json").is_file():
        raise RunDirError(f"{path}: no run folder (it has no recipe.json); name one that `invoke repro` made")
    recipe = _recipe(path / "recipe.json")
    folder = RunDir(path, guest=True)
    return OpenRun(
        path=path,
        recipe=recipe,
        data=folder.load("data", DataReady),
        trained=folder.load("train", Trained),
        metrics=folder.load("evaluate", Metrics)
        if isinstance(recipe, Recipe)
        else folder.load("evaluate", CocoMetrics),
    )


def _recipe(path: Path) -> AnyRecipe:
    try:
        text = path.read_bytes()
        return SCHEMAS[json.loads(text)["model"]["architecture"]].model_validate_json(text)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise RunDirError(
            f"{path}: damaged or written by another version ({str(error).splitlines()[0]}); "
            "run `invoke repro` with the same words to write it again"
        ) from error


def nuscenes_entries(path: Path, tokens: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of some samples of a result file of ours, by token.

    Such a file holds one sample a line and may be hundreds of megabytes, so only the lines asked for are parsed.
    Raises RunDirError when a sample is missing or its line is damaged.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                token = line[1:].split('"', 1)[0]
                if line.startswith('"') and token in tokens:
                    found |= json.loads(f"{{{line.strip().rstrip(',')}}}")
    except (OSError, ValueError) as error:
        raise RunDirError(f"{path}: not a result file that can be read ({error}); {_AGAIN}") from error
    missing = [token for token in tokens if token not in found]
    if missing:
        raise RunDirError(f"{path}: no entry for sample {missing[0]}; {_AGAIN}")
    return found
