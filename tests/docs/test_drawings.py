"""The committed drawings are what the code draws today, small, and readable: words keep to the sheet and apart."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations, zip_longest
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from docs.drawings import DRAWINGS
from docs.drawings.sheet import SIZE, Panel, Sheet, spelled
from tests.docs.pages import DOCS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = DOCS / "pictures"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LARGEST = 80_000  # bytes
NEAR = 0.25  # pixels that a place may move on another processor, whose last bit rounds to another tenth


def pieces(svg: str) -> tuple[list[str], list[float]]:
    """Return what stands between the numbers of a file, and the numbers."""
    return NUMBER.split(svg), [float(number) for number in NUMBER.findall(svg)]


def frame_of(words: Element) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a text in DejaVu Sans, which is wider than what browsers choose."""
    weight = words.get("font-weight", "normal")
    extent = TextPath((0, 0), words.text or "", size=SIZE, prop=FontProperties(family="DejaVu Sans", weight=weight))
    box = extent.get_extents()
    x, y = float(words.get("x", 0)), float(words.get("y", 0))
    x -= {"start": 0.0, "middle": box.width / 2, "end": box.width}[words.get("text-anchor", "start")]
    return x, y - box.y1, x + box.width, y - box.y0


def texts_of(svg: str) -> list[Element]:
    return [element for element in fromstring(svg).iter() if element.tag.endswith("text")]  # noqa: S314 — our own file


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the command of docs/README.md fills when it is told where."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    subprocess.run([sys.executable, "-m", "docs.drawings", str(folder)], cwd=ROOT, check=True)
    return folder


def test_every_picture_is_drawn_by_the_command_and_no_other_lies_there(drawn: Path) -> None:
    names = sorted(f"{name}.svg" for name in DRAWINGS)
    assert sorted(path.name for path in drawn.iterdir()) == names
    assert sorted(path.name for path in PICTURES.iterdir()) == names


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_committed_picture_is_what_is_drawn_today(name: str, drawn: Path) -> None:
    words, numbers = pieces((drawn / f"{name}.svg").read_text(encoding="utf-8"))
    held_words, held_numbers = pieces((PICTURES / f"{name}.svg").read_text(encoding="utf-8"))
    assert words == held_words, "run `python -m docs.drawings` and look at what it changed"
    assert all(abs(a - b) <= NEAR for a, b in zip_longest(numbers, held_numbers, fillvalue=1e9))


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_small_and_says_what_it_is(name: str) -> None:
    file = PICTURES / f"{name}.svg"
    assert file.stat().st_size < LARGEST
    root = fromstring(file.read_text(encoding="utf-8"))  # noqa: S314 — our own file
    assert root.get("role") == "img"
    assert len(root.findtext("{http://www.w3.org/2000/svg}title") or "") > len(name)


@pytest.mark.parametrize("name", DRAWINGS)
def test_words_stay_on_the_sheet_and_apart(name: str) -> None:
    svg = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    _, _, width, height = (float(number) for number in fromstring(svg).get("viewBox", "").split())  # noqa: S314
    frames = [(words.text, frame_of(words)) for words in texts_of(svg)]
    assert len(frames) > 5
    for text, (left, top, right, bottom) in frames:
        assert left >= 2, f"{text!r} begins left of the sheet"
        assert right <= width - 2, f"{text!r} ends {right - width:.0f} pixels beyond the sheet"
        assert top >= 2, f"{text!r} begins above the sheet"
        assert bottom <= height - 2, f"{text!r} ends below the sheet"
    for (text, a), (other, b) in combinations(frames, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{text!r} lies over {other!r}"


def test_a_panel_whose_rows_grow_upwards_puts_the_first_at_the_bottom() -> None:
    panel = Panel(sheet=Sheet(100, 100, "a map"), at=(10, 20), size=(50, 60), across=(0, 5), down=(6, 0))
    assert panel.place((0, 0)) == (10, 80)
    assert panel.place((5, 6)) == (60, 20)


@pytest.mark.parametrize(("value", "written"), [(1.0, "1"), (0.04, "0"), (-0.04, "0"), (12.35, "12.3"), ("a", "a")])
def test_numbers_are_written_to_a_tenth_and_never_as_minus_nothing(value: float | str, written: str) -> None:
    assert spelled(value) == written


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_a_written_number_is_near_and_plain(value: float) -> None:
    assert abs(float(spelled(value)) - value) <= 0.05 + 1e-9
    assert re.fullmatch(r"-?\d+(\.\d)?", spelled(value))


def test_words_that_look_like_markup_stay_words() -> None:
    sheet = Sheet(100, 100, "a & b")
    sheet.words((10, 10), "x < y & z")
    assert [words.text for words in texts_of(sheet.svg())] == ["x < y & z"]
