"""Names of tensors in two codebases, as pairs of templates that are read both ways."""

from __future__ import annotations

import re

PLACES = {"n": r"(?P<n>\d+)", "m": r"(?P<m>\d+)", "leaf": r"(?P<leaf>.+)"}


class KeyPairs:
    """Pairs (theirs, ours) in which <n> and <m> are numbers and <leaf> is the rest of a name; the first that fits."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._forward = tuple((_pattern(theirs), _words(ours)) for theirs, ours in pairs)
        self._backward = tuple((_pattern(ours), _words(theirs)) for theirs, ours in pairs)

    def ours(self, theirs: str) -> str:
        """Return our key of one of theirs. Raises KeyError if unknown."""
        return _translated(theirs, self._forward)

    def theirs(self, ours: str) -> str:
        """Return their key of one of ours. Raises KeyError if unknown."""
        return _translated(ours, self._backward)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<(\w+)>", lambda place: PLACES[place[1]], template.replace(".", r"\.")))


def _words(template: str) -> str:
    return re.sub(r"<(\w+)>", r"\\g<\1>", template)


def _translated(key: str, pairs: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, words in pairs:
        found = pattern.fullmatch(key)
        if found:
            return found.expand(words)
    raise KeyError(key)
