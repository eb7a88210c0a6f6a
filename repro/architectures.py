"""What each architecture brings to the story: its data set, how it learns, who judges it. One row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts import AnyMetrics, CocoMetrics, Metrics
from repro.evaluate.images import evaluate_images
from repro.evaluate.stage import evaluate
from repro.prepare import open_index, open_split, prepare, prepare_coco, what_changed, what_changed_in_coco
from repro.train.deformable_detr import DEFORMABLE_DETR
from repro.train.stage import BEVFORMER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from repro.artifacts import DataReady
    from repro.data import Subset
    from repro.data.coco import CocoSplit
    from repro.recipe import AnyRecipe, DetrRecipe, Recipe
    from repro.train.teach import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What differs between the runs of two architectures; each function takes the recipe of its own.

    data           the words for --data, the usual one first
    prepare        makes a data set ready: word, data root, recipe, cache, without_can_bus
    what_changed   says what is no longer as it was prepared, None if nothing is
    samples        opens a split of a prepared data set: recipe, data, split, cache
    lesson         how it learns
    evaluate       has a checkpoint judged on samples
    metrics        what the judge returns
    """

    data: tuple[str, ...]
    prepare: Callable[[str, Path, Any, Path, bool], DataReady]
    what_changed: Callable[[DataReady], str | None]
    samples: Callable[[Any, DataReady, str, Path], Any]
    lesson: Lesson[Any, Any]
    evaluate: Callable[..., AnyMetrics]
    metrics: type[AnyMetrics]


def architecture_of(recipe: AnyRecipe) -> Architecture:
    """Return the row of the recipe's `[model] architecture`."""
    return ARCHITECTURES[recipe.model.architecture]


def _prepare_nuscenes(data: str, dataroot: Path, recipe: Recipe, cache: Path, without_can_bus: bool) -> DataReady:  # noqa: FBT001 — a row of the table
    return prepare(data, dataroot, recipe, cache, without_can_bus=without_can_bus)


def _prepare_coco(data: str, dataroot: Path, recipe: DetrRecipe, cache: Path, without_can_bus: bool) -> DataReady:  # noqa: ARG001, FBT001 — images have no CAN bus
    return prepare_coco(data, dataroot, recipe, cache)


def _frames(recipe: Recipe, data: DataReady, split: str, cache: Path) -> Subset:
    return open_index(Path(data.dataroot), data.version, recipe, cache).split(split)


def _images(recipe: DetrRecipe, data: DataReady, split: str, cache: Path) -> CocoSplit:  # noqa: ARG001 — as above
    return open_split(Path(data.dataroot), split, cache)


ARCHITECTURES: Mapping[str, Architecture] = {
    "bevformer": Architecture(
        data=("nuscenes", "nuscenes-mini", "synth"),
        prepare=_prepare_nuscenes,
        what_changed=what_changed,
        samples=_frames,
        lesson=BEVFORMER,
        evaluate=evaluate,
        metrics=Metrics,
    ),
    "deformable_detr": Architecture(
        data=("coco", "synth"),
        prepare=_prepare_coco,
        what_changed=what_changed_in_coco,
        samples=_images,
        lesson=DEFORMABLE_DETR,
        evaluate=evaluate_images,
        metrics=CocoMetrics,
    ),
}
