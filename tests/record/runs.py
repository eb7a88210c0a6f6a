"""Smoke runs in this process for the tests of records, and records forged as somebody with bad intentions would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from repro.__main__ import main
from repro.record.files import fact
from repro.record.schema import Record, read_record, sealed, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NANO = ("--recipe", "bevformer_nano", "--data", "nuscenes-mini", "--smoke", "--device", "cpu")


def smoke(run: Path, dataroot: Path, *words: str) -> int:
    """Run the whole path of BEVFormer-nano on a small data set, as typed; return the exit code."""
    return main(["run", *NANO, "--dataroot", str(dataroot), "--run", str(run), *words])


def forge(run: Path, change: Callable[[dict[str, Any]], None], *, stage: str = "", part: str = "") -> None:
    """Change a record, and the value of `stage` with it, so that every hash and the seal fit again."""
    record = read_record(run / "record.json")
    document = record.model_dump(mode="json")
    change(document)
    if stage:
        envelope = json.loads((run / f"{stage}.json").read_text()) | {"value": document[part]}
        (run / f"{stage}.json").write_text(json.dumps(envelope))
    files = [fact(run, run / file["path"], file["role"], momentary=file["momentary"]) for file in document["files"]]
    forged = Record.model_validate(document | {"files": [file.model_dump() for file in files]})
    (run / "record.json").write_text(text_of(sealed(forged)))
