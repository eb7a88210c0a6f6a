"""Upstream's info files as typed: written from the tables, or read, judged and converted.

Runs read the tables; `run --infos DIR` reads info files instead.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from repro.data import DataError, Subset
from repro.data.info_files import converted, counts_against, read_infos, write_infos
from repro.prepare import SPLITS_OF, VERSION_OF, open_index
from repro.recipe import load_recipe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from repro.data import FrameRecord

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
    lines += [f"{row['written']}: written" for row in document["files"] if "written" in row]
    lines += ["a run reads them with --infos DIR"] if words.read else []
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
        _write(path, _each(subset), version, words.prefix)
        rows.append({"path": str(path), "split": split, "counts": counts_against(split, len(subset))})
    return {"schema_version": 1, "version": version, "files": rows}


def _each(subset: Subset) -> Any:
    return (subset[position] for position in range(len(subset)))


def _import(words: argparse.Namespace) -> dict[str, Any]:
    """Read info files, running nothing in them; say how many frames of which split each holds.

    With --convert, also write FILE.mmdet3d-0.17.pkl beside each, in the box convention that BEVFormer expects.
    """
    channels, rows = load_recipe("bevformer_tiny").data.cameras, []
    for path in words.read:
        records, version = read_infos(path, channels, convert=words.convert)
        kind = "val" if "val" in path.name else "train"
        split = f"mini_{kind}" if version == "v1.0-mini" else kind
        row = {"path": str(path), "split": split, "version": version, "counts": counts_against(split, len(records))}
        if words.convert:
            row["written"] = str(_write(converted(path), records, version, words.prefix))
        rows.append(row)
    return {"schema_version": 1, "files": rows}


def _write(path: Path, records: Iterable[FrameRecord], version: str, prefix: str) -> Path:
    try:
        write_infos(path, records, version=version, prefix=prefix)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path
