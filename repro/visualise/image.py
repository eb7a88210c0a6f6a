"""A single image with the boxes that were found in it and those that are annotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from repro.recipe.coco import COCO_CATEGORIES
from repro.visualise.paper import FOUND, FOUND_ON_PAPER, TRUTH, TRUTH_ON_PAPER, axes_at, blank, write_at, write_tag
from repro.visualise.tags import tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

LONG_SIDE, HEAD, FOOT, NARROWEST = 1000, 52, 40, 640  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBoxes:
    """Boxes in one image: x, y, w, h [R, 4] in its pixels, names, and scores [R], None for annotations."""

    boxes: NDArray[np.float64]
    names: Sequence[str]
    scores: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """What there is to see in an image of RGB pixels [h, w, 3]; None where nothing is annotated or predicted."""

    title: str
    pixels: NDArray[np.uint8]
    truth: ImageBoxes | None
    predictions: ImageBoxes | None
    threshold: float


def found_boxes(entries: Sequence[Mapping[str, Any]]) -> ImageBoxes:
    """Return entries of a COCO result file as boxes to draw."""
    return ImageBoxes(
        boxes=np.array([entry["bbox"] for entry in entries], float).reshape(-1, 4),
        names=[COCO_CATEGORIES[entry["category_id"]] for entry in entries],
        scores=np.array([entry["score"] for entry in entries], float),
    )


def draw_image(view: ImageView) -> Figure:
    """Return the picture of one image."""
    rows, columns = view.pixels.shape[:2]
    scale = LONG_SIDE / max(rows, columns)
    high, wide = round(rows * scale), round(columns * scale)
    figure = blank(max(wide, NARROWEST), high + HEAD + FOOT)
    write_at(figure, 8, 8, view.title, fontsize=12, weight="bold")
    axes = axes_at(figure, 0, HEAD, wide, high)
    axes.imshow(view.pixels, extent=(0, columns, rows, 0), aspect="auto")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    handles, words = list[Line2D](), list[str]()
    if view.truth is not None:
        _boxes(axes, view.truth, TRUTH, "solid")
        handles.append(Line2D([], [], color=TRUTH_ON_PAPER, linewidth=2))
        words.append("ground truth")
    if view.predictions is not None:
        kept = _above(view.predictions, view.threshold)
        _boxes(axes, kept, FOUND, (0, (4, 1.5)))
        handles.append(Line2D([], [], color=FOUND_ON_PAPER, linewidth=2, linestyle="--"))
        words.append(f"prediction, score ≥ {view.threshold:g}")
        write_at(figure, 8, 30, _counts(view.predictions, kept, view.threshold), fontsize=10)
    if handles:
        figure.legend(handles, words, loc="lower left", ncols=len(words), frameon=False, fontsize=10)
    return figure


def _above(boxes: ImageBoxes, threshold: float) -> ImageBoxes:
    assert boxes.scores is not None, "predictions have scores"
    kept = np.flatnonzero(boxes.scores >= threshold)
    return ImageBoxes(boxes=boxes.boxes[kept], names=[boxes.names[i] for i in kept], scores=boxes.scores[kept])


def _counts(found: ImageBoxes, kept: ImageBoxes, threshold: float) -> str:
    best = f", the best {found.scores.max():.2f}" if found.scores is not None and len(found.scores) else ""
    return f"{len(kept.names)} of {len(found.names)} predictions score at least {threshold:g}{best}"


def _boxes(axes: Axes, boxes: ImageBoxes, colour: str, style: Any) -> None:
    x, y, w, h = boxes.boxes.reshape(-1, 4).T
    around = np.stack([np.stack([x, x + w, x + w, x, x], 1), np.stack([y, y, y + h, y + h, y], 1)], -1)
    axes.add_collection(LineCollection(list(around), colors="black", linewidths=3, alpha=0.45), autolim=False)
    axes.add_collection(LineCollection(list(around), colors=colour, linewidths=1.6, linestyles=[style]), autolim=False)
    words = dict(enumerate(boxes.names))
    if boxes.scores is not None:
        words = {i: f"{name} {boxes.scores[i]:.2f}" for i, name in words.items()}
    places = dict(enumerate(zip(x.tolist(), y.tolist(), (x + w).tolist(), (y + h).tolist(), strict=True)))
    rows, columns = int(axes.get_ylim()[0]), int(axes.get_xlim()[1])
    for i, place in tags(places, words, (rows, columns), pixel=max(rows, columns) / LONG_SIDE, order=words).items():
        write_tag(axes, place, words[i], colour)
