"""Sentences that can be said in another language. English templates are the keys; `zh/*.json` hold the Chinese ones.

A rule says `say("{gpus} is held by the driver {driver}", gpus=gpus, driver=driver)`. The result is the English text,
an ordinary string to everybody who does not translate. A text without values needs no `say`: it is its own template.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LANGUAGES = ("en", "zh")
LONGEST = 1000  # no sentence that was written down and is read again has more characters


class Said(str):
    """An English sentence that still knows its template and its values."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A value that is the same in every language, such as a name from a log, even where a label reads like it."""

    text: str

    def __str__(self) -> str:
        """Return the text."""
        return self.text


def say(template: str, /, **values: object) -> Said:
    """Return `template` with its `{names}` filled in. Raises KeyError for a name without a value."""
    said = Said(template.format(**values))
    said.template, said.values = template, values
    return said


def said_again(text: str, templates: Iterable[str]) -> str:
    """Return a text that was written down as the sentence that it was, where it fits one of the templates."""
    for template in templates if len(text) <= LONGEST else ():
        found = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template)), text)
        if found:
            return say(template, **found.groupdict())
    return text


def joined(separator: str, texts: Iterable[str]) -> str:
    """Return `separator.join(texts)`, where each text and the separator can still be translated."""
    parts = tuple(texts)
    if len(parts) < 2:
        return parts[0] if parts else ""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return say("{separator}".join(f"{{{name}}}" for name in values), separator=separator, **values)


def counted(number: int, one: str, many: str) -> Said:
    """Return `one` or `many` with `{number}` filled in."""
    return say(one if number == 1 else many, number=number)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the templates of a language by their English ones; English needs none. Raises KeyError for no language."""
    if language not in LANGUAGES:
        raise KeyError(language)
    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / language).glob("*.json")):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


def translate(text: str, words: Mapping[str, str]) -> str:
    """Return `text` in the language of the catalogue `words`; what it does not hold stays English.

    The values of a sentence are translated too, where they are sentences themselves.
    """
    if not isinstance(text, Said):
        return words.get(text, text)
    values = {name: _value(value, words) for name, value in text.values.items()}
    return words.get(text.template, text.template).format(**values)


def _value(value: object, words: Mapping[str, str]) -> object:
    """Translate a value that is a sentence or, as a fact, reads as one."""
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else str(value)
    return translate(text, words) if isinstance(value, str) or isinstance(text, Said) else value
