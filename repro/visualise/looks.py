"""One BEV cell's attention as a picture: what it samples in the cameras, in the BEV before and in the present one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from repro.visualise.frame import ground
from repro.visualise.paper import AROUND, INK, MARK, axes_at, blank, halo, show_photo, write_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from repro.recipe.bevformer import Bev
    from repro.visualise.attention import SpatialLook, TemporalLook
    from repro.visualise.frame import CameraView

PHOTO, GAP, HEAD, FOOT = (576, 324), 8, 58, 46  # pixels
HEIGHTS = colormaps["viridis"]  # told apart by every kind of colour vision, and in grey
STRONGEST_AREA = 110.0  # points², of the largest weight in the picture
KEY = (
    "dots: area and opacity are the attention weight · black square: the cell · pale photos: not looked into · "
    "grey in a BEV: how strong its features are (norm), white where the history has nothing · z in the LiDAR frame"
)
FAINTEST = 0.15  # opacity of a weight of zero


@dataclass(frozen=True, slots=True, kw_only=True)
class LookView:
    """What there is to see of a cell (row, column) of a BEV in one encoder layer.

    filled is the share (of width, of height) of the padded image that the photo fills: places are fractions of the
    padded one; heights_m [D] are the pillar points' z in the LiDAR frame; maps [2, Y, X] are what the history and the
    present BEV hold (any one number a cell), None without one.
    """

    title: str
    cell: tuple[int, int]
    bev: Bev
    cameras: Sequence[CameraView]
    filled: tuple[float, float]
    heights_m: Sequence[float]
    spatial: SpatialLook
    temporal: TemporalLook
    maps: NDArray[np.float32] | None = None


def draw_look(view: LookView) -> Figure:
    """Return the picture of a cell's attention."""
    wide, high = PHOTO
    side = high - 52
    figure = blank(3 * (wide + GAP) + 8 * GAP + side + 2 * GAP, HEAD + 2 * high + GAP + FOOT)
    write_at(figure, GAP, 10, view.title, fontsize=14, weight="bold")
    write_at(figure, GAP, 35, _words(view), fontsize=11)
    strongest = max(float(view.spatial.weights.max()), 1e-9)
    for camera, shown in enumerate(view.cameras):
        place = AROUND.index(shown.channel)
        axes = axes_at(figure, (wide + GAP) * (place % 3), HEAD + (high + GAP) * (place // 3), wide, high)
        show_photo(axes, shown.pixels, shown.channel)
        _in_photo(axes, view, camera, strongest)
    halves = (
        ("history (turned to the present heading)", "present BEV")
        if view.temporal.has_history
        else ("no history: the present BEV", "and once more")
    )
    for half, name in enumerate(halves):
        axes = axes_at(figure, 3 * (wide + GAP) + 7 * GAP, HEAD + half * (high + GAP) + 16, side, side)
        _from_above(axes, view, half)
        axes.set_title(name, fontsize=10, pad=3)
    _legend(figure, view)
    return figure


def cell_centre(bev: Bev, cell: tuple[int, int]) -> tuple[float, float]:
    """Return x, y of a cell's middle in metres of the LiDAR frame."""
    row, column = cell
    return _metres(bev, (column + 0.5) / bev.columns, (row + 0.5) / bev.rows)


def _metres(bev: Bev, x: Any, y: Any) -> tuple[Any, Any]:
    low_x, low_y, _, high_x, high_y, _ = bev.range
    return low_x + x * (high_x - low_x), low_y + y * (high_y - low_y)


def _words(view: LookView) -> str:
    x, y = cell_centre(view.bev, view.cell)
    into = [camera.channel for camera, seen in zip(view.cameras, view.spatial.looked_into, strict=True) if seen]
    where = f"x {x:+.1f} m, y {y:+.1f} m"
    seen = (
        f"looks into {', '.join(into)}" if into else "is seen by no camera: spatial cross-attention adds nothing here"
    )
    return f"cell {view.cell[0]},{view.cell[1]} ({where}) {seen}"


def _in_photo(axes: Axes, view: LookView, camera: int, strongest: float) -> None:
    """Draw the pillar and the sampled points of one camera, if it is looked into; dim the photo if it is not."""
    columns, rows = axes.get_xlim()[1], axes.get_ylim()[0]
    look = view.spatial
    if not bool(look.looked_into[camera]):
        axes.add_patch(Rectangle((0, 0), columns, rows, facecolor="white", alpha=0.55, linewidth=0))
        return
    whole = np.array([columns / view.filled[0], rows / view.filled[1]])  # of the padded image, in photo pixels
    anchors = look.anchors[camera].numpy() * whole
    colours = HEIGHTS(np.linspace(0.15, 1.0, len(anchors)))
    places, weights = look.places[camera].numpy() * whole, look.weights.numpy()  # [M, L, P, 2], [M, L, P]
    belongs = np.broadcast_to(np.arange(weights.shape[-1]) % len(anchors), weights.shape)
    share = weights / strongest
    opacity = FAINTEST + (1 - FAINTEST) * share
    axes.plot(*anchors.T, "-", color="white", linewidth=1.2, alpha=0.9, path_effects=halo(2.4), zorder=3)
    axes.scatter(
        places[..., 0].ravel(),
        places[..., 1].ravel(),
        s=STRONGEST_AREA * share.ravel(),
        color=np.concatenate([colours[belongs.ravel(), :3], opacity.reshape(-1, 1)], 1),
        linewidths=0.4,
        edgecolors="black",
        zorder=4,
    )
    axes.scatter(
        anchors[:, 0], anchors[:, 1], marker="P", s=46, color=colours, edgecolors="black", linewidths=0.9, zorder=5
    )
    axes.set(xlim=(0, columns), ylim=(rows, 0))


def _from_above(axes: Axes, view: LookView, half: int) -> None:
    """Draw what a cell samples in one of the two BEVs, over what that BEV holds."""
    bev, look = view.bev, view.temporal
    low_x, low_y, _, high_x, high_y, _ = bev.range
    if view.maps is not None:
        axes.imshow(
            view.maps[half], origin="lower", extent=(low_x, high_x, low_y, high_y), cmap="Greys", alpha=0.6, zorder=0
        )
    ground(axes, bev.range)
    x, y = _metres(bev, *np.moveaxis(look.places[half].numpy(), -1, 0))
    share = look.weights[half].numpy() / max(float(look.weights.max()), 1e-9)
    axes.scatter(x, y, s=60 * share, color=MARK, alpha=0.8, edgecolors="black", linewidths=0.4, zorder=5)
    axes.plot(*_metres(bev, *look.anchors[half].tolist()), "P", color="white", markeredgecolor=INK, zorder=6)
    across, along = (high_x - low_x) / bev.columns, (high_y - low_y) / bev.rows
    centre_x, centre_y = cell_centre(bev, view.cell)
    corner = (centre_x - across / 2, centre_y - along / 2)
    axes.add_patch(Rectangle(corner, across, along, facecolor="none", edgecolor=INK, linewidth=1.5, zorder=6))
    if half == 0:
        axes.set_xlabel("")  # the lower panel says it for both


def _legend(figure: Figure, view: LookView) -> None:
    colours = HEIGHTS(np.linspace(0.15, 1.0, len(view.heights_m)))
    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": "black", "markeredgewidth": 0.4}
    handles = [Line2D([], [], color=INK, marker="P", linestyle="", markersize=8)]
    handles += [Line2D([], [], color=colour, markersize=8, **dot) for colour in colours]
    handles.append(Line2D([], [], color=MARK, markersize=7, **dot))
    words = ["reference point", *(f"sampled for z {height:+.1f} m" for height in view.heights_m), "sampled in a BEV"]
    figure.legend(
        handles,
        words,
        title=KEY,
        alignment="left",
        title_fontsize=9,
        loc="lower left",
        ncols=len(words),
        frameon=False,
        fontsize=10,
        borderpad=0,
    )
