"""Upstream's info files as typed: written from the index, or read, judged and kept as an index of our own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from repro.data import DataError, Subset
from repro.data.index import write_index
from repro.data.info_files import counts_against, read_infos, write_infos
from repro.prepare import SPLITS_OF, VERSION_OF, open_index
from repro.recipe import load_recipe

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

OK, BAD_INPUT = 0, 2


def main(words: argparse.Namespace) -> int:
    """Do what `python -m repro infos` was asked for; return its exit code."""
    try:
        document = _import(words) if words.read else _export(words)
    except DataError as error:
        if words.json:
            sys.stdout.write(json.dumps({"schema_version": 1, "error": str(error)}, indent=1) + "\n")
        else:
            sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    lines = [f"{row['path']}: {row['counts']}" for row in document["files"]]
    sys.stdout.write((json.dumps(document, indent=1) if words.json else "\n".join(lines)) + "\n")
    return OK


def _export(words: argparse.Namespace) -> dict[str, Any]:
    """Write nuscenes_infos_temporal_{train,val}.pkl of a data set into a folder."""
    version = VERSION_OF[words.data]
    index = open_index(words.dataroot, version, load_recipe("bevformer_tiny"), words.cache)
    rows = []
    for split, kind in zip(SPLITS_OF[version], ("train", "val"), strict=True):
        path: Path = words.export / f"nuscenes_infos_temporal_{kind}.pkl"
        subset = index.split(split)
        try:
            write_infos(path, _each(subset), version=version, prefix=words.prefix)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
        rows.append({"path": str(path), "split": split, "counts": counts_against(split, len(subset))})
    return {"schema_version": 1, "version": version, "files": rows}


def _each(subset: Subset) -> Any:
    return (subset[position] for position in range(len(subset)))


def _import(words: argparse.Namespace) -> dict[str, Any]:
    """Read info files, say how many frames of which split they hold, and keep each as FILE.arrow beside it."""
    channels, rows = load_recipe("bevformer_tiny").data.cameras, []
    for path in words.read:
        records, version = read_infos(path, channels, convert=words.convert)
        kind = "val" if "val" in path.name else "train"
        split = f"mini_{kind}" if version == "v1.0-mini" else kind
        target = path.with_suffix(".arrow")
        meta = {"fingerprint": f"info file {path.name}", "channels": list(channels), "scenes_without_can_bus": []}
        try:
            write_index(target, sorted(records, key=lambda record: record.timestamp), meta)
        except OSError as error:
            raise DataError(f"{target}: cannot be written ({error.strerror or error})") from error
        counts = counts_against(split, len(records))
        rows.append({"path": str(path), "split": split, "version": version, "index": str(target), "counts": counts})
    return {"schema_version": 1, "files": rows}
