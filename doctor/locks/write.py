"""Writing a stack's requirements.lock from its requirements.in, by uv: every hash of every file, no index by name."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.locks.read import LockError, Pin, canonical, parse_lock, read_lock

if TYPE_CHECKING:
    from collections.abc import Callable

NATIVE = ("--universal", "--python-version", "3.10")


def write_lock(folder: Path, tell: Callable[[str], None]) -> list[str]:
    """Resolve env/STACK anew and put its lock in place whole; return what changed, in words. Raises LockError.

    Versions that still fit stay as they are: uv prefers what the present lock says.
    """
    old = read_lock(folder / "requirements.lock") if (folder / "requirements.lock").exists() else ()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lock-") as scratch:
        part = Path(scratch) / "requirements.lock"
        if old:
            shutil.copy(folder / "requirements.lock", part)
        command = [*_uv(), "pip", "compile", *how(folder), "requirements.in", "-o", str(part)]
        tell(" ".join(command))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise LockError(f"{folder / 'requirements.in'}: uv found no solution:\n{done.stderr.strip()}")
        text = part.read_text(encoding="utf-8")
        new = parse_lock(text, str(part))
        check_no_hosts(text)
        part.chmod(0o644)
        part.replace(folder / "requirements.lock")
    return changes(old, new)


def how(folder: Path) -> list[str]:
    """Return uv's options for a stack: for every platform, or for the one that its stack.json names."""
    target = json.loads((folder / "stack.json").read_text(encoding="utf-8")).get("lock_for")
    options = ["--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    options += ["--python-version", target["python"], "--python-platform", target["platform"]] if target else NATIVE
    for name, option in (("uv.toml", "--config-file"), ("overrides.txt", "--override")):
        options += [option, name] if (folder / name).exists() else []
    return options


def check_no_hosts(text: str) -> None:
    """Raise LockError if a lock names an index or the address of a file: it must install from anybody's mirror."""
    for number, line in enumerate(text.split("\n"), 1):
        if "://" in line or line.lstrip().startswith(("-i ", "--index", "--extra-index", "--find-links", "-f ")):
            raise LockError(f"requirements.lock, line {number}: saw {line.strip()[:80]!r}, expected no address")


def changes(old: tuple[Pin, ...], new: tuple[Pin, ...]) -> list[str]:
    """Return one line for each pin that came, went, or has another version or other files."""
    before, after = ({(pin.name, pin.marker): pin for pin in pins} for pins in (old, new))
    told = []
    for key in sorted(before.keys() | after.keys()):
        was, now, name = before.get(key), after.get(key), canonical(key[0])
        if was is None and now is not None:
            told.append(f"{name} {now.version} is new")
        elif was is not None and now is None:
            told.append(f"{name} {was.version} is gone")
        elif was is not None and now is not None and was.version != now.version:
            told.append(f"{name} {was.version} → {now.version}")
        elif was is not None and now is not None and set(was.hashes) != set(now.hashes):
            told.append(f"{name} {now.version}: the index offers other files ({len(was.hashes)} → {len(now.hashes)})")
    return told


def _uv() -> list[str]:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if not found:
        raise LockError(f"uv writes the locks and is not here; install it: {sys.executable} -m pip install uv")
    return [found]
