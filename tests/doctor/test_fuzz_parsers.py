"""Every `parse_…` of the doctor, whoever wrote it, on any text and on damaged pieces of the recorded machines.

A parser takes text and returns a value; it may raise only what its docstring says it raises.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import doctor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDED = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
ODD = (
    "\x00",
    "\ud800",
    "٣",
    "²",
    "\r",
    "\x85",
    "9" * 4400,
    "[" * 2000,
    "{",
    '"',
    "1e999",
    "-1",
    "null",
    "\n",
    ":",
    ",",
)


def parsers() -> Iterator[Callable[..., object]]:
    """Yield every function `parse_…` whose parameters are all text."""
    for found in pkgutil.walk_packages(doctor.__path__, "doctor."):
        if ".children" in found.name or found.name.endswith("__main__"):
            continue  # scripts for other processes
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if name.startswith("parse_") and inspect.isfunction(value) and value.__module__ == found.name:
                hints = [parameter.annotation for parameter in inspect.signature(value).parameters.values()]
                yield from [value] * (set(hints) == {"str"})


def recorded_texts() -> list[str]:
    """Return every file and every command's output of the recorded machines."""
    texts: set[str] = set()
    for path in RECORDED.glob("*/machine.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        texts |= {"\n".join(lines) for lines in document.get("files", {}).values()}
        texts |= {"\n".join(row["out"]) for row in document.get("commands", {}).values()}
    return sorted(texts)


@st.composite
def damaged(draw: st.DrawFn, texts: list[str]) -> str:
    """Return a real text with pieces cut out, doubled, or replaced by something odd, or by a piece of another text."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        other = draw(st.sampled_from(texts))
        piece = draw(st.sampled_from(("", text[start:end] * 2, *ODD, other[: draw(st.integers(0, 60))])))
        text = text[:start] + piece + text[end:]
    return text


def survives(parse: Callable[..., object], text: str) -> None:
    raises = re.search(r"Raises (\w+)", inspect.getdoc(parse) or "")
    words: list[Any] = [text] * len(inspect.signature(parse).parameters)
    try:
        parse(*words)
    except Exception as why:
        if not raises or type(why).__name__ != raises[1]:
            raise


PARSERS = sorted(parsers(), key=lambda parse: (parse.__module__, parse.__qualname__))
TEXTS = recorded_texts()
each_parser = pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: f"{parse.__module__}.{parse.__name__}")


@each_parser
@given(text=st.text(max_size=200) | st.lists(st.sampled_from(ODD), max_size=5).map("".join))
def test_no_parser_fails_on_any_text(parse: Callable[..., object], text: str) -> None:
    survives(parse, text)


@each_parser
@given(text=damaged(TEXTS))
def test_no_parser_fails_on_a_damaged_answer(parse: Callable[..., object], text: str) -> None:
    survives(parse, text)


@each_parser
def test_no_parser_fails_on_any_recorded_answer(parse: Callable[..., object]) -> None:
    for text in TEXTS:
        survives(parse, text)


def test_there_are_parsers_and_answers() -> None:
    assert len(PARSERS) > 10
    assert len(TEXTS) > 100
