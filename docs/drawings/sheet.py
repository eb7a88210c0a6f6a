"""A sheet of paper that becomes an SVG file: lines, dots and words in pixels, and panels with coordinates of their own.

Files are equal wherever they are drawn: places are rounded to a tenth of a pixel and text stays text. What is drawn is
not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point = tuple[float, float]
BLACK, GREY, PALE, RULE = "#222222", "#767676", "#f2f4f7", "#d5d9e0"
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#00795a", "#b1478b"  # told apart by colour-blind eyes
HEADS = (BLUE, ORANGE, GREEN, PINK, "#b07d00", "#3a9bd9", BLACK, "#8c6d31")
FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
SIZE = 13  # of words, in pixels
LINE = 17  # from one line of words to the next, in pixels


class Sheet:
    """An empty sheet of some width and height in pixels, white and with a border, so that dark pages show it too."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height = width, height
        self.root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
        self.root.attrib |= {"role": "img", "font-family": FONT, "font-size": str(SIZE), "fill": BLACK}
        SubElement(self.root, "title").text = title
        self._define_arrowhead()
        frame = {"rx": "8", "fill": "#ffffff", "stroke": RULE}
        self.put("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, **frame)

    def put(self, tag: str, words: str | None = None, /, **attributes: float | str) -> Element:
        """Add an element; `stroke_width=2` becomes stroke-width="2", numbers are rounded to a tenth."""
        texts = {name.replace("_", "-"): spelled(value) for name, value in attributes.items()}
        element = SubElement(self.root, tag, texts)
        element.text = words
        return element

    def words(self, at: Point, *lines: str, **style: float | str) -> None:
        """Write lines one below the other; `at` is where the first one's baseline begins (text_anchor: or lies)."""
        for number, line in enumerate(lines):
            self.put("text", line, x=at[0], y=at[1] + LINE * number, **style)

    def line(self, points: Sequence[Point], **style: float | str) -> None:
        """Draw straight lines from point to point, black unless the style says otherwise."""
        path = "M" + "L".join(f"{spelled(x)} {spelled(y)}" for x, y in points)
        self.put("path", d=path, **{"fill": "none", "stroke": BLACK, **style})

    def arrow(self, points: Sequence[Point], **style: float | str) -> None:
        """Draw straight lines from point to point with a head at the last one."""
        self.line(points, marker_end="url(#head)", **{"stroke": GREY, **style})

    def dots(self, points: Iterable[Point], *, size: float, colour: str, **style: float | str) -> None:
        """Draw dots of one size and colour, as one path of strokes without length."""
        path = "".join(f"M{spelled(x)} {spelled(y)}h0" for x, y in points)
        if path:
            self.put("path", d=path, stroke=colour, stroke_width=size, stroke_linecap="round", fill="none", **style)

    def box(self, at: Point, size: Point, *lines: str, fill: str = PALE, colour: str = BLACK) -> Box:
        """Draw a box with lines of words in its middle, and return where it is."""
        box = Box(*at, *size)
        self.put("rect", x=at[0], y=at[1], width=size[0], height=size[1], rx=5, fill=fill, stroke=GREY)
        first = at[1] + size[1] / 2 - LINE * (len(lines) - 1) / 2 + SIZE * 0.36
        self.words((box.middle[0], first), *lines, text_anchor="middle", fill=colour)
        return box

    def svg(self) -> str:
        """Return the file."""
        indent(self.root, space=" ")
        return tostring(self.root, encoding="unicode") + "\n"

    def _define_arrowhead(self) -> None:
        marker = {"id": "head", "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "8", "markerHeight": "8"}
        head = SubElement(SubElement(self.root, "defs"), "marker", marker | {"orient": "auto"})
        SubElement(head, "path", d="M0 0.8L8 4L0 7.2z", fill=GREY)


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies on its sheet, for the arrows that touch it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def left(self) -> Point:
        """The middle of its left side."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        """The middle of its right side."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        """The middle of its upper side."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        """The middle of its lower side."""
        return self.x + self.width / 2, self.y + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A part of a sheet with coordinates of its own: `across` from left to right, `down` from the upper edge down.

    A map whose rows grow upwards has a `down` from the last row to the first one.
    """

    sheet: Sheet
    at: Point
    size: Point
    across: tuple[float, float]
    down: tuple[float, float]
    title: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        """Write the title above the panel."""
        above = self.at[1] - 8 - LINE * (len(self.title) - 1)
        self.sheet.words((self.at[0], above), *self.title, font_weight="bold")

    def place(self, point: Sequence[float]) -> Point:
        """Return the pixel of a point (x, y)."""
        x, y = point
        return (
            self.at[0] + (x - self.across[0]) / (self.across[1] - self.across[0]) * self.size[0],
            self.at[1] + (y - self.down[0]) / (self.down[1] - self.down[0]) * self.size[1],
        )

    def dots(self, points: Iterable[Sequence[float]], *, size: float, colour: str, **style: float | str) -> None:
        """Draw dots at points (x, y); `size` in pixels."""
        self.sheet.dots(map(self.place, points), size=size, colour=colour, **style)

    def line(self, points: Iterable[Sequence[float]], **style: float | str) -> None:
        """Draw straight lines from point to point."""
        self.sheet.line([self.place(point) for point in points], **style)

    def arrow(self, points: Iterable[Sequence[float]], **style: float | str) -> None:
        """Draw straight lines from point to point with a head at the last one."""
        self.sheet.arrow([self.place(point) for point in points], **style)

    def rectangle(self, low: Sequence[float], high: Sequence[float], **style: float | str) -> None:
        """Draw the rectangle between two corners."""
        (left, above), (right, below) = self.place(low), self.place(high)
        box = {"x": min(left, right), "y": min(above, below), "width": abs(right - left), "height": abs(below - above)}
        self.sheet.put("rect", **{"fill": "none", "stroke": BLACK, **box, **style})

    def grid(self, rows: tuple[int, int], columns: tuple[int, int], **style: float | str) -> None:
        """Rule the cells of a map from the first to the last row and column (the end of each, like a range)."""
        across = [(self.place((columns[0], y)), self.place((columns[1], y))) for y in range(rows[0], rows[1] + 1)]
        down = [(self.place((x, rows[0])), self.place((x, rows[1]))) for x in range(columns[0], columns[1] + 1)]
        path = "".join(f"M{spelled(a)} {spelled(b)}H{spelled(c)}" for (a, b), (c, _) in across)
        path += "".join(f"M{spelled(a)} {spelled(b)}V{spelled(d)}" for (a, b), (_, d) in down)
        self.sheet.put("path", d=path, **{"stroke": RULE, "stroke_width": 0.8, **style})

    def cross(self, at: Sequence[float], size: float = 7, **style: float | str) -> None:
        """Draw an upright cross of `size` pixels to each side."""
        x, y = self.place(at)
        self.sheet.line([(x - size, y), (x + size, y)], stroke_width=2, **style)
        self.sheet.line([(x, y - size), (x, y + size)], stroke_width=2, **style)

    def words(self, at: Sequence[float], *lines: str, by: Point = (0, 0), **style: float | str) -> None:
        """Write lines at a point, moved `by` pixels."""
        x, y = self.place(at)
        self.sheet.words((x + by[0], y + by[1]), *lines, **style)


def spelled(value: float | str) -> str:
    """Return a number rounded to a tenth without needless digits, and words as they are."""
    return value if isinstance(value, str) else f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
