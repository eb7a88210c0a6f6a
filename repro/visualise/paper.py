"""What all drawings share: colours told apart by everyone, text that reads on any photo, and how a figure is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from repro.atomic import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# Okabe and Ito's palette, made for every kind of colour vision; line styles say the same once more.
TRUTH, FOUND, INK, QUIET, MARK = "#56B4E9", "#E69F00", "#1a1a1a", "#8a8a8a", "#CC79A7"
TRUTH_ON_PAPER, FOUND_ON_PAPER = "#0072B2", "#D55E00"  # the darker pair, for thin lines on white
DPI = 100
# rows of three: what is left of the car stands left, the front above the back
AROUND = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")


def halo(width: float = 2.5, colour: str = "black") -> list[patheffects.AbstractPathEffect]:
    """Return the outline that keeps lines and words readable on a photo."""
    return [patheffects.withStroke(linewidth=width, foreground=colour)]


def blank(width: int, height: int) -> Figure:
    """Return an empty white figure of so many pixels. It belongs to its caller: no global state."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes at a place given in pixels from the upper left corner."""
    across, down = figure.get_size_inches() * DPI
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def write_at(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write text whose upper left corner lies at a place in pixels from the figure's upper left corner."""
    across, down = figure.get_size_inches() * DPI
    figure.text(left / across, 1 - top / down, text, **{"va": "top", "color": INK, "fontsize": 11, **style})


def show_photo(axes: Axes, pixels: NDArray[np.uint8], label: str) -> None:
    """Fill the axes with RGB pixels [h, w, 3]; their coordinates are the pixels of the whole image."""
    rows, columns = pixels.shape[:2]
    wide = int(axes.get_window_extent().width)
    if columns > wide:
        pixels = np.asarray(
            cv2.resize(pixels, (wide, round(rows * wide / columns)), interpolation=cv2.INTER_AREA), np.uint8
        )
    axes.imshow(pixels, extent=(0, columns, rows, 0), interpolation="nearest", aspect="auto")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    axes.text(0.012, 0.975, label, transform=axes.transAxes, va="top", color="white", fontsize=11, path_effects=halo(3))


def write_tag(axes: Axes, place: tuple[float, float], text: str, colour: str) -> None:
    """Write a name over a photo, its bottom centre at a place in the photo's pixels."""
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "path_effects": halo(2), "zorder": 4}
    axes.text(*place, text, color=colour, fontsize=8, **style)


def pixels_of(figure: Figure) -> NDArray[np.uint8]:
    """Return the drawn figure as RGB pixels [h, w, 3]."""
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's backends carry no types
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(path: Path, figure: Figure) -> NDArray[np.uint8]:
    """Write the figure as a PNG, whole or not at all, and return its RGB pixels; equal figures give equal bytes."""
    pixels = pixels_of(figure)
    with replacing(path) as part:
        Image.fromarray(pixels).save(part, format="PNG", compress_level=4)
    return pixels
