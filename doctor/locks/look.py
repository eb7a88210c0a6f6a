"""Looking into an environment: its packages through `seen.py` in its own Python, and what was noted at making."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.locks.judge import Installed
from doctor.locks.read import LockError, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEN = Path(__file__).with_name("seen.py")
NOTED = ".bevready-records.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """What is in an environment; `records` are the digests noted when it was made, empty where nobody noted any."""

    python: str
    installed: tuple[Installed, ...]
    strays: tuple[str, ...]
    markers: dict[str, bool]
    records: dict[str, str]


def look(prefix: Path, markers: Iterable[str] = ()) -> Environment:
    """Return what is installed under `prefix`, every file hashed (seconds). Raises LockError if nobody answers."""
    python = prefix / "bin" / "python"
    if not python.exists():
        raise LockError(f"{prefix}: expected an environment with bin/python and found none; make it: ./bevready env")
    asked = json.dumps({"markers": sorted(set(markers))})
    command = [str(python), "-I", str(SEEN)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise LockError(f"{python} does not say what is installed ({said}); make it again: ./bevready env") from None
    return _environment(answer, noted(prefix))


def _environment(answer: dict[str, Any], records: dict[str, str]) -> Environment:
    rows = tuple(
        Installed(
            name=row["name"],
            version=row["version"],
            record=row["record"],
            missing=tuple(row["missing"]),
            changed=tuple(row["changed"]),
            recorded=row["recorded"],
        )
        for row in answer["packages"]
    )
    return Environment(answer["python"], rows, tuple(answer["strays"]), answer["markers"], records)


def noted(prefix: Path) -> dict[str, str]:
    """Return the digests of RECORD files as they were when the environment was made; none where nobody noted them."""
    try:
        kept = json.loads((prefix / NOTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in kept.items()} if isinstance(kept, dict) else {}


def note(prefix: Path) -> None:
    """Write down the digest of every RECORD, so that a later look sees a RECORD that was rewritten."""
    records = {canonical(row.name): row.record for row in look(prefix).installed}
    handle, name = tempfile.mkstemp(dir=prefix, prefix=NOTED)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(records, file, indent=0, sort_keys=True)
    Path(name).replace(prefix / NOTED)
