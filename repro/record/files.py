"""Files by hash: what a run left behind, every table of its data set, and a few images spread over the split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.atomic import sha256_of
from repro.record.schema import DataFiles, FileFact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repro.record.schema import Role

SAMPLED = 16


def fact(root: Path, path: Path, role: Role, *, momentary: bool = False) -> FileFact:
    """Return the size and SHA-256 of a file, named relative to `root` where it lies inside. Raises OSError."""
    inside = path.is_relative_to(root)
    name = path.relative_to(root).as_posix() if inside else str(path)
    return FileFact(role=role, path=name, size=path.stat().st_size, sha256=sha256_of(path), momentary=momentary)


def data_files(dataroot: Path, *, tables: Sequence[Path], images: Sequence[Path]) -> DataFiles:
    """Return the hashes of all `tables` and of SAMPLED of the `images`, relative to `dataroot`. Raises OSError."""
    return DataFiles(
        tables=tuple(fact(dataroot, path, "table") for path in tables),
        images=tuple(fact(dataroot, path, "image") for path in spread(images, SAMPLED)),
        images_in_all=len(images),
    )


def spread(images: Sequence[Path], count: int) -> list[Path]:
    """Return `count` of `images`, or all if they are fewer: the first, the last, and evenly between them."""
    if len(images) <= count:
        return list(images)
    return [images[round(i * (len(images) - 1) / (count - 1))] for i in range(count)]
