"""What is installed in the environment of the interpreter that runs this file, as JSON on stdout. It judges nothing.

Runs as a child process of any Python from 3.8 on, alone, with the standard library: it imports nothing of ours. Reads
markers from stdin and says which of them hold there. RECORD (PEP 376) is what an installed package says of its files.
"""

# ruff: noqa: UP031, PTH118
# Python 3.8 reads this file, and a listing of 60,000 files is faster without Path.
from __future__ import annotations

import base64
import csv
import hashlib
import importlib
import importlib.util
import io
import json
import os
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

CODE = (".py", ".so", ".pth")
SHOWN = 5
CHUNK = 1 << 20


def main() -> None:
    """Print the packages with the state of their files, files that nobody owns, and which markers hold."""
    asked = json.load(sys.stdin)
    folders = sorted({os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")})
    owned: set[str] = set()
    found = [_package(dist, owned) for dist in metadata.distributions(path=folders)]
    strays = [name for folder in folders for name in _strays(folder, owned)]
    answer = {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "packages": found,
        "strays": strays,
        "markers": {marker: _holds(marker) for marker in asked["markers"]},
    }
    json.dump(answer, sys.stdout)


def _package(dist: metadata.Distribution, owned: set[str]) -> dict[str, Any]:
    """Compare each file of a package with its line in RECORD; add its files to `owned`."""
    missing: list[str] = []
    changed: list[str] = []
    record = dist.read_text("RECORD")
    state = hashlib.sha256((record or "").encode())  # names RECORD, and what the files that differ from it hold
    root = os.path.realpath(str(dist.locate_file("")))
    for row in csv.reader(io.StringIO(record or "")):
        if not row:
            continue
        path = os.path.normpath(os.path.join(root, row[0]))
        owned.add(path)
        kind, _, digest = row[1].partition("=") if len(row) > 1 else ("", "", "")
        if kind != "sha256" or row[0].endswith(".pyc"):  # Python writes byte code anew
            continue
        try:
            there = _digest(path)
            if there != digest:
                changed.append(row[0])
                state.update(there.encode())
        except OSError:
            missing.append(row[0])
    return {
        "name": str(dist.metadata["Name"] or ""),
        "version": str(dist.metadata["Version"] or ""),
        "recorded": record is not None,
        "record": state.hexdigest(),
        "missing": missing,
        "changed": changed,
    }


def _digest(path: str) -> str:
    state = hashlib.sha256()
    with Path(path).open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            state.update(chunk)
    return base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode()


def _strays(folder: str, owned: set[str]) -> list[str]:
    """Return the files that run as code, lie under `folder` and belong to no package."""
    found: list[str] = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(CODE) and path not in owned:
                found.append(os.path.relpath(path, folder))
    return sorted(found)


def _holds(marker: str) -> bool:
    name = "packaging.markers" if importlib.util.find_spec("packaging") else "pip._vendor.packaging.markers"
    return bool(importlib.import_module(name).Marker(marker).evaluate())


if __name__ == "__main__":
    main()
