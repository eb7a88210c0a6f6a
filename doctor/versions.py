"""Reading version numbers out of text. Comparing them is tuple comparison; what they mean is `compat/`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.facts import Version

NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*", re.ASCII)


def parse_version(text: str) -> Version:
    """Return (2, 11, 0) for `2.11.0+cu130`: the first run of dotted numbers. Raises ValueError where there is none."""
    found = NUMBERS.search(text)
    if not found:
        raise ValueError(f"expected a version number, got {text[:40]!r}")
    return tuple(map(int, found[0].split(".")))


def parse_pair(text: str) -> tuple[int, int]:
    """Return (12, 8) for `12.8.93`, (13, 0) for `13`. Raises ValueError where there is no number."""
    version = (*parse_version(text), 0)
    return version[0], version[1]


def find_version(text: str) -> Version | None:
    """Return what `parse_version` does, or None."""
    return parse_version(text) if NUMBERS.search(text) else None
