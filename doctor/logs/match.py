"""Which signatures a text shows, the root cause first. Pure: text in, hits out.

The text is searched by plain substrings; the regular expressions only see the lines that hold one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.words import Said, Verbatim, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from doctor.logs.condense import Condensed
    from doctor.logs.signature import Signature

MAX_TRIES = 300  # lines tried for one needle: what is not found in these is not the cause
LONGEST_SHOWN = 300
SURENESS = ("sure", "likely", "guess")
NO_NAME = "?"  # said where an optional group of a pattern did not match


@dataclass(frozen=True, slots=True)
class Hit:
    """A signature found in a log: the line's number (from 1), its text, and what its groups caught."""

    signature: Signature
    line_number: int
    line: str
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def saw(self) -> Said:
        """Return the cause in words."""
        return say(self.signature.saw, **self._values())

    @property
    def fix(self) -> tuple[Said, ...]:
        """Return what to do."""
        return tuple(say(step, **self._values()) for step in self.signature.fix)

    def _values(self) -> dict[str, Verbatim]:
        return {name: Verbatim(text) for name, text in self.groups}


def find(log: Condensed, signatures: Sequence[Signature]) -> tuple[Hit, ...]:
    """Return every signature that the normalised log shows, the likeliest root cause first."""
    folded = _ascii_lower(log.text)
    hits = [hit for signature in signatures if (hit := _find_one(signature, log, folded))]
    return tuple(sorted(hits, key=_order))


def _order(hit: Hit) -> tuple[int, int, int]:
    """Nearest to the cause, then the surest, then the earliest: what follows is often its consequence."""
    return -hit.signature.rank, SURENESS.index(hit.signature.confidence), hit.line_number


def _find_one(signature: Signature, log: Condensed, folded: str) -> Hit | None:
    for start, end in _candidates(signature, folded):
        found = signature.line.search(log.text, start, end)
        if found is None:
            continue
        if not _in_context(signature, log.text, end):
            return None
        shown = "".join(sign if sign.isprintable() else " " for sign in log.text[start:end].strip()[:LONGEST_SHOWN])
        return Hit(signature, log.number_at(found.start()), shown, tuple(_groups(found).items()))
    return None


def _groups(found: re.Match[str]) -> dict[str, str]:
    """Return what the groups caught; `name2`, `name3` are the same name in other alternatives of the pattern."""
    caught: dict[str, str] = {}
    for name, value in found.groupdict().items():
        base = name.rstrip("0123456789")
        if value or base not in caught:
            caught[base] = value or NO_NAME
    return caught


def _candidates(signature: Signature, folded: str) -> Iterator[tuple[int, int]]:
    """Yield the lines (as spans) that hold a needle, the earliest first for each needle."""
    for needle in signature.needles:
        at, tries = folded.find(needle), 0
        while at >= 0 and tries < MAX_TRIES:
            newline = folded.find("\n", at)
            end = len(folded) if newline < 0 else newline
            yield folded.rfind("\n", 0, at) + 1, end
            at, tries = folded.find(needle, end), tries + 1


def _in_context(signature: Signature, text: str, end: int) -> bool:
    """Return whether the rest of the log agrees with the signature."""
    if signature.also and not re.search(signature.also, text, re.IGNORECASE | re.MULTILINE):
        return False
    if signature.never and re.search(signature.never, text, re.IGNORECASE | re.MULTILINE):
        return False
    return not (signature.healed_by and re.search(signature.healed_by, text[end:], re.IGNORECASE | re.MULTILINE))


def _ascii_lower(text: str) -> str:
    """Lower A to Z only: every character keeps its place."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
