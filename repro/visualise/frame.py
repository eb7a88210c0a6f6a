"""A key frame as one picture: six cameras with boxes in them, and the same boxes seen from above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from repro.visualise.cuboids import Cuboids, edges_in_image, face_in_image
from repro.visualise.paper import (
    AROUND,
    FOUND,
    FOUND_ON_PAPER,
    INK,
    QUIET,
    TRUTH,
    TRUTH_ON_PAPER,
    axes_at,
    blank,
    show_photo,
    write_at,
    write_tag,
)
from repro.visualise.tags import tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

PHOTO, GAP, HEAD, FOOT = (576, 324), 8, 58, 46  # pixels
CAR_M = ((-0.87, -2.0), (0.87, -2.0), (0.87, 1.2), (0.0, 2.1), (-0.87, 1.2))  # nuScenes' car about its LiDAR
RINGS_M = (10, 20, 30, 40, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """A camera's RGB pixels [h, w, 3] and its projection [4, 4] from LiDAR metres to those pixels."""

    channel: str
    pixels: NDArray[np.uint8]
    img_from_lidar: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameView:
    """What there is to see in a key frame.

    truth is None where nothing is annotated (a frame of the user's own); predictions is None where nothing was
    predicted; threshold is the least score drawn; bev_range x, y, z least and greatest, metres; points [n, 2 or more]
    LiDAR x, y, or None.
    """

    title: str
    cameras: Sequence[CameraView]
    truth: Cuboids | None
    predictions: Cuboids | None
    threshold: float
    bev_range: Sequence[float]
    points: NDArray[np.float32] | None = None


def draw_frame(view: FrameView) -> Figure:
    """Return the picture of a key frame."""
    wide, high = PHOTO
    side = 2 * high + GAP
    figure = blank(3 * wide + 2 * GAP + side + 8 * GAP, HEAD + side + FOOT)
    write_at(figure, GAP, 10, view.title, fontsize=14, weight="bold")
    write_at(figure, GAP, 35, counts(view), fontsize=11)
    found = view.predictions.above(view.threshold) if view.predictions is not None else None
    for camera in view.cameras:
        place = AROUND.index(camera.channel)
        axes = axes_at(figure, (wide + GAP) * (place % 3), HEAD + (high + GAP) * (place // 3), wide, high)
        show_photo(axes, camera.pixels, camera.channel)
        _boxes_in_photo(axes, camera, view.truth, TRUTH, style="solid", named=found is None)
        _boxes_in_photo(axes, camera, found, FOUND, style=(0, (4, 1.5)), named=True)
    above = axes_at(figure, 3 * (wide + GAP) + 6 * GAP, HEAD, side, side)
    ground(above, view.bev_range, view.points)
    _boxes_from_above(above, view.truth, TRUTH_ON_PAPER, style="solid")
    _boxes_from_above(above, found, FOUND_ON_PAPER, style="dashed")
    _legend(figure, view)
    return figure


def counts(view: FrameView) -> str:
    """Return how many boxes there are, and how many of them are drawn."""
    words = []
    if view.truth is not None:
        words.append(f"{len(view.truth)} annotated")
    if view.predictions is not None:
        scores = view.predictions.scores
        drawn = len(view.predictions.above(view.threshold))
        best = f", the best {scores.max():.2f}" if scores is not None and len(scores) and not drawn else ""
        words.append(f"{drawn} of {len(view.predictions)} predictions score at least {view.threshold:g}{best}")
    return " · ".join(words)


def ground(axes: Axes, bev_range: Sequence[float], points: NDArray[np.float32] | None = None) -> None:
    """Lay out the ground seen from above: LiDAR metres, x to the right, y forward, rings, points and the car."""
    (low_x, low_y), (high_x, high_y) = bev_range[:2], bev_range[3:5]
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius in RINGS_M:
        axes.plot(radius * np.cos(angle), radius * np.sin(angle), color=QUIET, linewidth=0.4, zorder=1)
        axes.text(0.3, radius, f"{radius} m", color=QUIET, fontsize=7, ha="left", va="bottom", zorder=1)
    if points is not None:
        axes.plot(points[:, 0], points[:, 1], ",", color="#b5b5b5", zorder=0, rasterized=True)
    axes.add_patch(Polygon(CAR_M, closed=True, facecolor=INK, edgecolor="white", linewidth=0.6, zorder=6))
    axes.set(xlim=(low_x, high_x), ylim=(low_y, high_y), aspect="equal")
    axes.set_xlabel("x, to the right (m)", fontsize=9, labelpad=1)
    axes.set_ylabel("y, forward (m)", fontsize=9, labelpad=-4)
    axes.tick_params(labelsize=8)


def _boxes_in_photo(
    axes: Axes, camera: CameraView, boxes: Cuboids | None, colour: str, *, style: Any, named: bool
) -> None:
    if boxes is None:
        return
    size = (camera.pixels.shape[0], camera.pixels.shape[1])
    every = [edges_in_image(corners, camera.img_from_lidar) for corners in boxes.corners]
    shown = [i for i, edges in enumerate(every) if touches(edges, size)]
    lines = [edge for i in shown for edge in every[i]]
    faces = [face for i in shown if (face := face_in_image(boxes.corners[i], camera.img_from_lidar)) is not None]
    shadow = LineCollection(lines, colors="black", linewidths=2.4, alpha=0.45, zorder=2)
    fronts = PolyCollection(faces, facecolors=colour, alpha=0.22, linewidths=0, zorder=2)
    outlines = LineCollection(lines, colors=colour, linewidths=1.3, linestyles=[style], zorder=3)
    for collection in (shadow, fronts, outlines):
        axes.add_collection(collection, autolim=False)
    if named:
        around = {i: (*every[i].min((0, 1)).tolist(), *every[i].max((0, 1)).tolist()) for i in shown}
        words = {i: _tag(boxes, i) for i in shown}
        widest = sorted(shown, key=lambda i: around[i][0] - around[i][2])
        for i, place in tags(around, words, size, pixel=size[1] / PHOTO[0], order=widest).items():
            write_tag(axes, place, words[i], colour)


def _tag(boxes: Cuboids, i: int) -> str:
    score = "" if boxes.scores is None else f" {boxes.scores[i]:.2f}"
    return boxes.names[i].replace("_", " ") + score


def touches(edges: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """Tell whether the box around edges [E, 2, 2] reaches into an image of `size` rows and columns."""
    if not len(edges):
        return False
    rows, columns = size
    low, high = edges.min((0, 1)), edges.max((0, 1))
    return bool(low[0] < columns and low[1] < rows and high[0] > 0 and high[1] > 0)


def _boxes_from_above(axes: Axes, boxes: Cuboids | None, colour: str, *, style: str) -> None:
    """Draw footprints, a line from the middle to the front, and where a box is one second later."""
    if boxes is None:
        return
    feet = boxes.corners[:, :4, :2]
    middle, front = feet.mean(1), feet[:, :2].mean(1)
    later = middle + np.nan_to_num(boxes.velocities)
    outlines = PolyCollection(
        list(feet), facecolors="none", edgecolors=colour, linewidths=1.2, linestyles=style, zorder=4
    )
    axes.add_collection(outlines, autolim=False)
    headings = LineCollection(list(np.stack([middle, front], 1)), colors=colour, linewidths=1.2, zorder=4)
    axes.add_collection(headings, autolim=False)
    moving = np.linalg.norm(later - middle, axis=1) > 0.2
    ways = LineCollection(
        list(np.stack([middle, later], 1)[moving]), colors=colour, linewidths=0.9, linestyles=":", zorder=4
    )
    axes.add_collection(ways, autolim=False)


def _legend(figure: Figure, view: FrameView) -> None:
    kinds: Mapping[str, Line2D | None] = {
        "ground truth": Line2D([], [], color=TRUTH_ON_PAPER, linewidth=2) if view.truth is not None else None,
        f"prediction, score ≥ {view.threshold:g}": Line2D([], [], color=FOUND_ON_PAPER, linewidth=2, linestyle="--")
        if view.predictions is not None
        else None,
        "from the middle to the front": Line2D([], [], color=INK, linewidth=1.2),
        "way of one second (> 0.2 m/s)": Line2D([], [], color=INK, linewidth=0.9, linestyle=":"),
        "LiDAR": Line2D([], [], color="#9a9a9a", marker=".", linestyle="") if view.points is not None else None,
    }
    shown = {name: handle for name, handle in kinds.items() if handle is not None}
    figure.legend(list(shown.values()), list(shown), loc="lower left", ncols=len(shown), frameon=False, fontsize=11)
