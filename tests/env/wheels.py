"""Wheels small enough to write in a test."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def wheel(folder: Path, name: str, version: str, text: str = "value = 1\n") -> Path:
    """Write a wheel of one package, which says `text`, with a RECORD of its files; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        rows = []
        for file, words in files.items():
            archive.writestr(file, words)
            digest = base64.urlsafe_b64encode(hashlib.sha256(words.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{file},sha256={digest},{len(words)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


def pinned(package: Path, marker: str = "") -> str:
    """Return the rows of a lock that pin a wheel by its hash."""
    name, version = package.name.split("-")[:2]
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return f"{name}=={version}{f' ; {marker}' if marker else ''} \\\n    --hash=sha256:{digest}\n    # via somebody\n"
