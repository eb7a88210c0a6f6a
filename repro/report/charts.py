"""Line charts as coordinates: values in, points of an SVG out. What they look like is the style sheet's business."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Point = tuple[float, float]
WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 42
MOST_POINTS = 300
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
FEW_POINTS = 12  # drawn as dots, too: one point alone is no line


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line: its name, its points in the SVG, and the last value in words."""

    name: str
    points: tuple[Point, ...]
    last: str

    @property
    def path(self) -> str:
        """The points as an SVG attribute."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)

    @property
    def has_dots(self) -> bool:
        """Tell whether each point is drawn."""
        return len(self.points) <= FEW_POINTS


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of WIDTH × HEIGHT: lines, and where which number stands along each axis."""

    title: str
    x_name: str
    y_name: str
    lines: tuple[Drawn, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    note: str = ""

    @property
    def summary(self) -> str:
        """The chart in a sentence, for who cannot see it."""
        lines = "; ".join(f"{line.name}: {line.last}" for line in self.lines)
        return f"{self.title}: {self.y_name} over {self.x_name}. {lines}."


def line_chart(
    title: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    x_name: str,
    y_name: str,
    x_range: Point | None = None,
    y_range: Point | None = None,
    last: Mapping[str, str] | None = None,
) -> Chart:
    """Return a chart of lines of (x, y), with axes over all of them unless their ranges are given.

    A line of more than MOST_POINTS becomes means of neighbours, which `note` says. `last` is what to say of each line,
    its last value by itself. What is not finite is left out: half precision may have had an infinite gradient.
    """
    finite = {name: [p for p in line if all(map(math.isfinite, p))] for name, line in lines.items()}
    points = [point for line in finite.values() for point in line]
    xs, ys = _reach([x for x, _ in points], x_range), _steps([y for _, y in points], y_range)
    tens, unit = _unit(ys)
    most = max((len(line) for line in finite.values()), default=0)
    return Chart(
        title=title,
        x_name=x_name,
        y_name=y_name + unit,
        lines=tuple(_drawn(name, line, xs, ys, (last or {}).get(name)) for name, line in finite.items() if line),
        x_ticks=tuple((_along_x(x, xs), f"{x:,g}") for x in _ticks(*xs, whole=x_range is None) if xs[0] <= x <= xs[1]),
        y_ticks=tuple((_along_y(y, ys), f"{y / tens:.4g}") for y in ys),
        note=f"Each point is the mean of about {most / MOST_POINTS:.0f} rows." if most >= 1.5 * MOST_POINTS else "",
    )


def _drawn(name: str, line: Sequence[Point], xs: Point, ys: Sequence[float], last: str | None) -> Drawn:
    points = tuple((_along_x(x, xs), _along_y(y, ys)) for x, y in thinned(line))
    return Drawn(name, points, last or f"{line[-1][1]:.4g} at the end")


def thinned(line: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most `most` points: means of runs of neighbours where there are more."""
    if len(line) <= most:
        return list(line)
    edges = [round(place * len(line) / most) for place in range(most + 1)]
    runs = [line[start:end] for start, end in pairwise(edges)]
    return [(sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)) for run in runs]


def _steps(values: Sequence[float], given: Point | None) -> list[float]:
    """Return the numbers along the upright axis, first and last its ends; it starts at zero where that is near."""
    low, high = given or (min(values, default=0.0), max(values, default=1.0))
    if given is None:
        low = 0.0 if 0 < low < 0.6 * high else low
        low, high = (min(low, 0.0), max(high, 0.0) or 1.0) if high <= low else (low, high)
    return _ticks(low, high)


def _unit(ticks: Sequence[float]) -> tuple[float, str]:
    """Return the power of ten that numbers of an axis are told in, and its words: small ones have no room for zeros."""
    largest = max(abs(tick) for tick in ticks)
    if largest >= 0.01:
        return 1.0, ""
    power = math.floor(math.log10(largest))
    return 10.0**power, f" (×10{str(power).translate(SUPERSCRIPT)})"


def _reach(values: Sequence[float], given: Point | None) -> Point:
    """Return the ends of the axis that lies: those of the values, a unit around a single one."""
    low, high = given or (min(values, default=0.0), max(values, default=1.0))
    return (low, high) if high > low else (low - 1, high + 1)


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    locator = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=whole)
    return [float(tick) for tick in locator.tick_values(low, high)]


def _along_x(value: float, ends: Point) -> float:
    return round(LEFT + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - LEFT - RIGHT), 1)


def _along_y(value: float, ticks: Sequence[float]) -> float:
    return round(HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM), 1)
