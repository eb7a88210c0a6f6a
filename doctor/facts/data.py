"""Data sets on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A nuScenes folder: which table versions are there, and what else the data path needs."""

    path: str
    versions: tuple[str, ...]
    missing_tables: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    can_bus: bool = False

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path}: {', '.join(self.versions) or 'no tables'}"
