"""Upstream's info files as the records of a run, in place of those made from the tables (spec §F.1).

The tables stay what evaluation judges by, so every frame of the files has to be one of theirs.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from repro.atomic import digest, sha256_of
from repro.data.index import NuScenesIndex, write_index
from repro.data.info_files import converted, read_infos
from repro.data.records import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from repro.data.records import FrameRecord

FORMAT = 1
KINDS = ("train", "val")


def info_paths(folder: Path) -> tuple[Path, ...]:
    """Return the two info files of a folder; one that `infos --import --convert` wrote goes before its original.

    Raises DataError when one is missing.
    """
    paths = []
    for kind in KINDS:
        original = folder / f"nuscenes_infos_temporal_{kind}.pkl"
        path = converted(original) if converted(original).is_file() else original
        if not path.is_file():
            raise DataError(f"{path}: no such file; --infos DIR is the folder with nuscenes_infos_temporal_*.pkl")
        paths.append(path)
    return tuple(paths)


def infos_fingerprint(folder: Path, tables: str) -> str:
    """Return hex digits that name what the info files and the tables (their fingerprint) hold. Raises DataError."""
    return digest([tables, *(sha256_of(path) for path in info_paths(folder))])


def open_brought(
    folder: Path,
    index: NuScenesIndex,
    splits: Sequence[Sequence[str]],
    *,
    version: str,
    cache: Path,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> NuScenesIndex:
    """Return the records of a folder's info files as an index, built into `cache` the first time.

    `index` is that of the tables; `splits` are its sample tokens of train and val, which each file has to hold. Raises
    DataError for files that are damaged, of another version, or of other frames than the tables'.
    """
    fingerprint = infos_fingerprint(folder, index.fingerprint)
    path = cache / f"{version}-infos-{digest({'format': FORMAT, 'of': fingerprint, 'cams': index.channels})}.arrow"
    if path.is_file():
        with suppress(DataError):  # as in open_nuscenes: written anew
            return NuScenesIndex(path)
    names = dict(zip(index.table["scene_token"].to_pylist(), index.table["scene_name"].to_pylist(), strict=True))
    records: list[FrameRecord] = []
    paths = info_paths(folder)
    for done, (file, tokens) in enumerate(zip(paths, splits, strict=True)):
        tell(done, len(paths))
        frames = _judged(file, index.channels, tokens, version)
        records += [replace(frame, scene_name=names[frame.scene_token]) for frame in frames]
    tell(len(paths), len(paths))
    meta = {
        "fingerprint": fingerprint,
        "channels": list(index.channels),
        "scenes_without_can_bus": _without_can_bus(records),
    }
    write_index(path, sorted(records, key=lambda record: record.timestamp), meta)
    return NuScenesIndex(path)


def _judged(path: Path, channels: Sequence[str], tokens: Sequence[str], version: str) -> list[FrameRecord]:
    """Return the frames of a file that holds exactly the samples `tokens`."""
    frames, found = read_infos(path, channels)
    if found != version:
        raise DataError(f"{path}: made from {found}, and this run reads {version}; choose the files of {version}")
    mine, theirs = {frame.token for frame in frames}, set(tokens)
    if mine != theirs or len(frames) != len(tokens):
        raise DataError(
            f"{path}: {len(frames)} frames, of which {len(mine & theirs)} are among the {len(theirs)} of this split in "
            "the tables; evaluation needs the same: make the files from these tables"
        )
    return frames


def _without_can_bus(records: Sequence[FrameRecord]) -> list[str]:
    """Return the names of scenes all of whose CAN bus vectors are zeros, as upstream writes one that is missing."""
    moved: dict[str, bool] = defaultdict(bool)
    for record in records:
        moved[record.scene_name] |= bool(record.can_bus.any())
    return sorted(name for name, has in moved.items() if not has)
