"""What a build sends to the engine: the sources that an image holds, as a tar, and the digest that names them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
SENT = ("bevready", "tasks.py", "pyproject.toml", "LICENSE", "docker", "doctor", "env", "recipes", "repro")
LEFT_OUT = ("docker/images.lock", "docker/compose.yaml")  # they say which image, and are not in one
CERTIFICATE = "docker/certificates/private.crt"


class ContextError(ValueError):
    """A file that cannot be sent; the message names it and says what to type."""


def files_of(root: Path = ROOT) -> tuple[Path, ...]:
    """Return the files of a checkout that an image holds, sorted; what is hidden or compiled stays out."""
    found = [path for name in SENT for path in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))]
    return tuple(sorted(path for path in found if path.is_file() and _is_source(path.relative_to(root))))


def _is_source(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    private = path.parent.name == "certificates" and path.suffix == ".crt"
    return not hidden and not private and path.suffix != ".pyc" and path.as_posix() not in LEFT_OUT


def sources_digest(root: Path = ROOT) -> str:
    """Return 16 hex digits that name the files of a checkout that an image holds, their names and their bytes."""
    state = hashlib.sha256()
    for path in files_of(root):
        content = path.read_bytes()
        state.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return state.hexdigest()[:16]


def pack(certificates: Sequence[Path] = (), root: Path = ROOT) -> IO[bytes]:
    """Return the context as a tar that is the same for the same files: no owners, no times. Raises ContextError."""
    trusted = b"".join(_certificate(path) for path in certificates)
    packed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 — the caller reads and closes it
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files_of(root):
            runs = bool(path.stat().st_mode & 0o100)
            _add(archive, path.relative_to(root).as_posix(), path.read_bytes(), 0o755 if runs else 0o644)
        if trusted:
            _add(archive, CERTIFICATE, trusted, 0o644)
    packed.seek(0)
    return packed


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _certificate(path: Path) -> bytes:
    """Return a file of certificates, whole lines. Raises ContextError for a private key or another kind of file."""
    try:
        content = path.read_bytes()
    except OSError as why:
        raise ContextError(f"--ca {path}: {why.strerror}; name a PEM file of certificates") from why
    if b"PRIVATE KEY" in content:
        raise ContextError(f"--ca {path}: this file holds a private key, and an image keeps no secrets; name the .crt")
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ContextError(f"--ca {path}: no certificate in it; expected PEM: -----BEGIN CERTIFICATE-----")
    return content.rstrip(b"\n") + b"\n"
