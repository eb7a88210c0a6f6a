"""What every fact is made of: versions, sizes, and `Unknown` where there is no fact."""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, ...]
Capability = tuple[int, int]
GIB = 1 << 30


def dotted(version: Version) -> str:
    """Return `580.95.5` for (580, 95, 5)."""
    return ".".join(map(str, version))


def dotted_driver(version: Version) -> str:
    """Return `580.95.05` for (580, 95, 5): NVIDIA writes two digits at least."""
    return ".".join([str(version[0]), *(f"{part:02d}" for part in version[1:])])


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such fact, and why: nothing there (`looked`), or it could not be looked at (not `looked`)."""

    why: str
    looked: bool = True

    def __str__(self) -> str:
        """Return the reason."""
        return self.why
