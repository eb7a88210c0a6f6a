"""A long log made short without losing what it says: lines that differ only in numbers are kept a few times.

A training log of 50 MB says the same line half a million times. The first and the last of such lines stay, in order,
with their numbers; lines without end (JSON logs, base64) are cut into pieces.
"""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 8  # kept of each kind of line, from the front and from the back
LONGEST = 4000  # characters in a line; a longer one is cut, with an overlap so that no message is cut in two
OVERLAP = 400
MOST = 8 << 20  # characters kept of the front, and as many of the back: a build or run fails at its end

_WITHOUT_DIGITS = dict.fromkeys(map(ord, "0123456789"))


@dataclass(frozen=True, slots=True)
class Condensed:
    """The kept lines as one text, where each starts in it, and its number in the log (from 1)."""

    text: str
    starts: tuple[int, ...]
    numbers: tuple[int, ...]
    num_lines: int

    def number_at(self, offset: int) -> int:
        """Return the number that the line at this offset of `text` has in the log."""
        return self.numbers[max(0, bisect.bisect_right(self.starts, offset) - 1)]


def condense(text: str) -> Condensed:
    """Return the lines that say something once, or seldom."""
    lines = text.split("\n")
    kept = _within(list(_few_of_each_kind(list(_pieces(lines)))))
    starts, at = [], 0
    for _, line in kept:
        starts.append(at)
        at += len(line) + 1
    numbers = tuple(number for number, _ in kept)
    return Condensed("\n".join(line for _, line in kept), tuple(starts), numbers, len(lines) - (not lines[-1]))


def _pieces(lines: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if len(line) <= LONGEST:
            yield number, line
            continue
        for part in line.replace("\\r", "").split("\\n"):  # a log inside a JSON string has its line ends escaped
            for at in range(0, len(part), LONGEST - OVERLAP):
                yield number, part[at : at + LONGEST]


def _few_of_each_kind(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    kinds = [line.translate(_WITHOUT_DIGITS) for _, line in lines]
    total, seen = Counter(kinds), Counter[str]()
    for kind, line in zip(kinds, lines, strict=True):
        if seen[kind] < FEW or seen[kind] >= total[kind] - FEW:
            yield line
        seen[kind] += 1


def _within(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the lines, without the middle where they are too many."""
    if sum(len(line) for _, line in lines) <= 2 * MOST:
        return lines
    front = _until(lines, MOST)
    return lines[:front] + lines[max(front, len(lines) - _until(lines[::-1], MOST)) :]


def _until(lines: list[tuple[int, str]], room: int) -> int:
    """Return how many lines fit into `room` characters."""
    for count, (_, line) in enumerate(lines):
        room -= len(line)
        if room < 0:
            return count
    return len(lines)
