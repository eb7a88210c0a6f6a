"""A requirements.lock as values: pinned versions, their hashes, for which machines, and who asked for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>.*))?"
)
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})(?=\s|$)")
OPTION = re.compile(r"--(no-index|find-links\s+file:\S+)$")
VIA = re.compile(r"#\s*(?:via\s+)?(?P<name>\S+)?")


class LockError(ValueError):
    """A lock that cannot be used; the message names the file and the line, what was seen and what was expected."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock. `marker` is a PEP 508 condition, empty where the pin holds everywhere."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""
    via: tuple[str, ...] = ()

    @property
    def lines(self) -> str:
        """Return the pin as pip reads it."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n    ".join([f"{self.name}=={self.version}{marker}", *(f"--hash={h}" for h in self.hashes)]) + "\n"


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> tuple[Pin, ...]:
    """Read a lock with hashes. Raises LockError."""
    try:
        return parse_lock(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as why:
        raise LockError(f"{path}: cannot be read ({why}); restore it: git checkout -- {path}") from why


def parse_lock(text: str, where: str = "requirements.lock") -> tuple[Pin, ...]:
    """Return the pins of a lock's text. Raises LockError where a line is no pin, or a pin has no hash."""
    pins: list[Pin] = []
    for number, line, remarks in _logical_lines(text):
        if not line or OPTION.match(line):
            continue
        found = PIN.fullmatch(HASH.sub("", line).strip())
        hashes = tuple(HASH.findall(line))
        if not found or not hashes:
            wanted = "NAME==VERSION with at least one --hash=sha256:…"
            raise LockError(f"{where}, line {number}: saw {line[:80]!r}, expected {wanted}; write it anew: --lock")
        marker = (found["marker"] or "").strip()
        pins.append(Pin(canonical(found["name"]), found["version"], hashes, marker, remarks))
    return tuple(pins)


def _logical_lines(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return (first line's number, the pin with its continuations, the names in the comments below it)."""
    rows: list[tuple[int, list[str], list[str]]] = []
    continues = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith("#"):
            found = VIA.fullmatch(line)
            if rows and found and found["name"] not in {None, "via"}:
                rows[-1][2].append(str(found["name"]))
            continue
        if continues:
            rows[-1][1].append(line.removesuffix("\\").strip())
        elif line:
            rows.append((number, [line.removesuffix("\\").strip()], []))
        continues = line.endswith("\\")
    return [(number, " ".join(words).strip(), tuple(via)) for number, words, via in rows]
