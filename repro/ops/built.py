"""Which built extension belongs to this torch and these sources: it reads what `invoke build-ext` left, nothing more.

The places and files are those of `doctor/build/cache.py`, which is not imported: a run does not need the doctor.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent / "csrc"
SUFFIXES = frozenset({".cpp", ".h", ".inc", ".cu", ".cuh"})
LIBRARY = "bevready_ops.so"
BUILD_IT = "make it: ./bevready build-ext"


@dataclass(frozen=True, slots=True)
class Found:
    """The built extension, or None and why there is none; `manifest` is what was written beside it."""

    path: Path | None
    why: str
    manifest: dict[str, Any]


def current(sources: Path = SOURCES) -> Path | None:
    """Return the extension built for this torch from the sources as they are, None where there is none."""
    return find(sources).path


def find(sources: Path = SOURCES) -> Found:
    """Look for the extension, and say in words why there is none."""
    name = pointer_name(Path(torch.__file__).resolve().parent, sources)
    why = f"no extension was built for torch {torch.__version__}; {BUILD_IT}"
    for folder in folders():
        pointer = _read(folder / "current" / name)
        if pointer is None or not _is_ours(folder):
            continue
        key = str(pointer.get("key"))
        manifest, library = _read(folder / key / "manifest.json"), folder / key / LIBRARY
        if pointer.get("torch") != str(torch.__version__):
            why = f"the extension was built for torch {pointer.get('torch')}, this is {torch.__version__}; {BUILD_IT}"
        elif pointer.get("sources") != source_digest(sources):
            why = f"the sources in {sources} changed since the extension was built; {BUILD_IT}"
        elif manifest is None or not library.is_file() or library.stat().st_size != manifest.get("size"):
            why = f"{library} is gone or cut short; {BUILD_IT}"
        else:
            return Found(library, f"built {manifest.get('built')}", manifest)
    return Found(None, why, {})


def folders() -> tuple[Path, ...]:
    """Return where builds may lie, in the order in which they are written."""
    variables = os.environ
    if variables.get("BEVREADY_CACHE"):
        return (Path(variables["BEVREADY_CACHE"]).expanduser().absolute() / "ext",)
    roots = []
    if variables.get("XDG_CACHE_HOME"):
        roots.append(Path(variables["XDG_CACHE_HOME"]) / "bevready")
    elif variables.get("HOME"):
        roots.append(Path(variables["HOME"]) / ".cache" / "bevready")
    roots += [ROOT / "build" / "cache", Path(tempfile.gettempdir()) / f"bevready-{os.getuid()}"]
    return tuple(root / "ext" for root in roots)


def pointer_name(torch_folder: Path, sources: Path) -> str:
    """Return the name of the file that says which build this torch uses for these sources."""
    text = f"{torch_folder.resolve()}\0{sources.resolve()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16] + ".json"


def source_digest(folder: Path) -> str:
    """Return 16 hex digits that name the sources under `folder`."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            state.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()[:16]


def _is_ours(folder: Path) -> bool:
    """Return whether what lies there may be loaded: under the shared folder for temporary files, only our own."""
    in_shared = Path(tempfile.gettempdir()) in folder.parents
    return not in_shared or folder.parent.stat().st_uid == os.getuid()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
