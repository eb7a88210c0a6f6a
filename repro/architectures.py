"""What each architecture brings to the story: its data set, how it learns, who judges it. One row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repro.artifacts import AnyMetrics, CocoMetrics, Metrics
from repro.evaluate.coco import evaluate_boxes
from repro.evaluate.images import evaluate_images
from repro.evaluate.nuscenes import evaluate as judge_results
from repro.evaluate.stage import evaluate
from repro.prepare import open_index, open_split, prepare, prepare_coco, what_changed, what_changed_in_coco
from repro.report.frames import look_at_frames
from repro.report.images import look_at_images
from repro.train.deformable_detr import DEFORMABLE_DETR
from repro.train.stage import BEVFORMER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from repro.artifacts import DataReady
    from repro.data import Subset
    from repro.data.coco import CocoSplit
    from repro.recipe import AnyRecipe, DetrRecipe, Recipe
    from repro.report import Look
    from repro.train.teach import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What differs between the runs of two architectures; each function takes the recipe of its own.

    data           the words for --data, the usual one first
    prepare        makes a data set ready: word, data root, recipe, cache, without_can_bus, infos
    what_changed   says what is no longer as it was prepared, None if nothing is
    samples        opens a split of a prepared data set: recipe, data, split, cache
    lesson         how it learns
    evaluate       has a checkpoint judged on samples
    metrics        what the judge returns
    look           some of what was evaluated, to look at: recipe, data, samples, result file, how many were evaluated
    kind           what it looks at
    tables         the files that say what is in a prepared data set
    images         the image files of opened samples
    judge_again    has a result file judged anew: prepared data, metrics of then, result file, cache
    """

    data: tuple[str, ...]
    prepare: Callable[[str, Path, Any, Path, bool, Path | None], DataReady]
    what_changed: Callable[[DataReady], str | None]
    samples: Callable[[Any, DataReady, str, Path], Any]
    lesson: Lesson[Any, Any]
    evaluate: Callable[..., AnyMetrics]
    metrics: type[AnyMetrics]
    look: Callable[[Any, DataReady, Any, Path, int], Look]
    kind: Literal["frames", "images"]
    tables: Callable[[DataReady], list[Path]]
    images: Callable[[Any, DataReady], list[Path]]
    judge_again: Callable[[DataReady, Any, Path, Path], AnyMetrics]


def architecture_of(recipe: AnyRecipe) -> Architecture:
    """Return the row of the recipe's `[model] architecture`."""
    return ARCHITECTURES[recipe.model.architecture]


def _prepare_nuscenes(
    data: str,
    dataroot: Path,
    recipe: Recipe,
    cache: Path,
    without_can_bus: bool,  # noqa: FBT001 — as above
    infos: Path | None,
) -> DataReady:
    return prepare(data, dataroot, recipe, cache, without_can_bus=without_can_bus, infos=infos)


def _prepare_coco(
    data: str,
    dataroot: Path,
    recipe: DetrRecipe,
    cache: Path,
    _without_can_bus: bool,  # noqa: FBT001 — images have no CAN bus
    _infos: Path | None,
) -> DataReady:
    return prepare_coco(data, dataroot, recipe, cache)


def _frames(recipe: Recipe, data: DataReady, split: str, cache: Path) -> Subset:
    infos = Path(data.infos) if data.infos else None
    return open_index(Path(data.dataroot), data.version, recipe, cache, infos).split(split)


def _images(recipe: DetrRecipe, data: DataReady, split: str, cache: Path) -> CocoSplit:  # noqa: ARG001 — as above
    return open_split(Path(data.dataroot), split, cache)


def _judge_frames_again(data: DataReady, metrics: Metrics, results: Path, cache: Path) -> Metrics:  # noqa: ARG001 — a row of the table
    return judge_results(results, Path(data.dataroot), data.version, metrics.eval_set)


def _judge_images_again(data: DataReady, metrics: CocoMetrics, results: Path, cache: Path) -> CocoMetrics:
    index = open_split(Path(data.dataroot), metrics.eval_set, cache).index
    return evaluate_boxes(results, index, range(min(metrics.samples, len(index))), metrics.eval_set)


ARCHITECTURES: Mapping[str, Architecture] = {
    "bevformer": Architecture(
        data=("nuscenes", "nuscenes-mini", "synth"),
        prepare=_prepare_nuscenes,
        what_changed=what_changed,
        samples=_frames,
        lesson=BEVFORMER,
        evaluate=evaluate,
        metrics=Metrics,
        look=look_at_frames,
        kind="frames",
        tables=lambda data: sorted((Path(data.dataroot) / data.version).glob("*.json")),
        images=lambda samples, data: [Path(data.dataroot) / path for path in samples.image_paths()],
        judge_again=_judge_frames_again,
    ),
    "deformable_detr": Architecture(
        data=("coco", "synth"),
        prepare=_prepare_coco,
        what_changed=what_changed_in_coco,
        samples=_images,
        lesson=DEFORMABLE_DETR,
        evaluate=evaluate_images,
        metrics=CocoMetrics,
        look=look_at_images,
        kind="images",
        tables=lambda data: sorted((Path(data.dataroot) / "annotations").glob(f"instances_*{data.version}.json")),
        images=lambda samples, _data: [samples.folder / name for name in samples.index.file_names],
        judge_again=_judge_images_again,
    ),
}
