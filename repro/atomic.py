"""Files that appear whole or not at all, and digests of what is in them. No formats, no policy."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write to; it takes the place of `path` if the block ends well, else it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())  # mkstemp's 0600 would lock colleagues out of a shared run folder
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` in one step."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def digest(value: Any) -> str:
    """Return 16 hex digits that name a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        state = hashlib.sha256()
        while chunk := file.read(1 << 20):
            state.update(chunk)
        return state.hexdigest()


def source_digest(*rooms: Path) -> str:
    """Return 16 hex digits that name the Python and C++ sources under `rooms` (files or folders)."""
    state = hashlib.sha256()
    for room in rooms:
        files = [room] if room.is_file() else sorted(room.rglob("*"))
        for path in files:
            if path.suffix in {".py", ".cpp", ".cu", ".cuh", ".h"}:
                state.update(f"{path.relative_to(room.parent)}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()[:16]


def _umask() -> int:
    """Return the process's umask; the system offers no other way to read it than to set it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
