"""How a drawing looks, and how its file comes out the same on every machine; what is drawn is not decided here."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#999999"  # told apart without colour vision too
HEADS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "bevready",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "figure.dpi": 100,
}


def panels(count: int, *, width: float = 4.0, height: float = 4.0, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a white figure and its panels, row by row; width and height of one panel in inches."""
    figure = Figure(figsize=(width * (count // rows), height * rows), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, count // rows, place + 1) for place in range(count)]


def cells(axes: Axes, rows: int, columns: int) -> None:
    """Rule a panel into the cells of a map, row 0 at the top, without numbers on the axes."""
    for x in range(columns + 1):
        axes.axvline(x, color="#dddddd", linewidth=0.5)
    for y in range(rows + 1):
        axes.axhline(y, color="#dddddd", linewidth=0.5)
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[])


def svg_of(figure: Figure) -> str:
    """Return the figure as SVG text without a date, so that equal drawings are equal files."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def with_style() -> mpl.RcParams:
    """Return the settings under which every drawing is made, over matplotlib's own defaults."""
    settings = mpl.RcParams(mpl.rcParamsDefault)
    settings.update(STYLE)
    return settings
