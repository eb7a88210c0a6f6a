"""The upstream environment, phase by phase: tools, packages, the guard, then what compiles against the installed torch.

Each phase that is done is noted, so that an interrupted installation goes on with the next one.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.locks.read import Pin, read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAMP, PARTIAL = ".bevready", ".bevready-partial"
GUARD = "bevready_guard"
PIP = ("-m", "pip", "--disable-pip-version-check")
HASHED = ("--require-hashes", "--no-deps", "--no-build-isolation", "--progress-bar", "off")


class PhaseError(RuntimeError):
    """A phase that failed; the message names it and what to type."""


def install(folder: Path, prefix: Path, python: str, tell: Callable[[str], None]) -> None:
    """Install the stack in `folder` at `prefix` from its lock; what is done is not done again. Raises PhaseError."""
    told = json.loads((folder / "stack.json").read_text(encoding="utf-8"))
    name = fingerprint(folder)
    with _alone(prefix):
        if _read(prefix / STAMP) == name:
            return
        if prefix.exists() and not _read(prefix / PARTIAL).startswith(name):
            _clear(prefix)
        prefix.mkdir(exist_ok=True)
        if not (prefix / PARTIAL).exists():
            _write(prefix / PARTIAL, name)  # from here on it is ours, whatever interrupts
        pins = read_lock(folder / "requirements.lock")
        done = _read(prefix / PARTIAL).splitlines()[1:]
        phases = _phases(told, pins, prefix, python)
        for number, (title, work) in enumerate(phases, 1):
            if title not in done:
                tell(f"phase {number} of {len(phases)}: {title}")
                work()
                done.append(title)
                _write(prefix / PARTIAL, "\n".join([name, *done]))
        _write(prefix / STAMP, name)
        (prefix / PARTIAL).unlink()


def fingerprint(folder: Path) -> str:
    """Return "STACK DIGEST", which names the pins, the guard and what stack.json says about building."""
    told = json.loads((folder / "stack.json").read_text(encoding="utf-8"))
    building = json.dumps([told.get("tools"), told.get("from_source")], sort_keys=True)
    pins = "".join(pin.lines for pin in read_lock(folder / "requirements.lock"))
    guard = Path(__file__).with_name("guard.py").read_text(encoding="utf-8")
    return f"{folder.name} {hashlib.sha256(chr(0).join([pins, building, guard]).encode()).hexdigest()[:16]}"


def _phases(
    told: dict[str, Any], pins: tuple[Pin, ...], prefix: Path, python: str
) -> list[tuple[str, Callable[[], None]]]:
    compiled = {row["name"]: row["variables"] for row in told["from_source"]}
    tools = [pin for pin in pins if pin.name in told["tools"]]
    rest = [pin for pin in pins if pin.name not in {*told["tools"], *compiled}]

    def one(pin: Pin) -> Callable[[], None]:
        return lambda: _pip(prefix, [pin], variables=compiled[pin.name], source=pin.name)

    return [
        ("a virtual environment", lambda: _run([python, "-m", "venv", str(prefix)], "venv")),
        (f"{len(tools)} packages that others build with", lambda: _pip(prefix, tools)),
        (f"{len(rest)} packages", lambda: _pip(prefix, rest)),
        ("the guard against operators that need CUDA", lambda: _install_guard(prefix)),
        *((f"{pin.name} {pin.version} from its source", one(pin)) for pin in pins if pin.name in compiled),
    ]


def _pip(prefix: Path, pins: list[Pin], variables: dict[str, str] | None = None, source: str = "") -> None:
    """Install pins by their hashes. CUDA is hidden: what is compiled here is for the CPU, on every machine."""
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "requirements.txt"
        lines.write_text("".join(pin.lines for pin in pins), encoding="utf-8")
        words = ["--no-binary", source] if source else []
        command = [str(prefix / "bin" / "python"), *PIP, "install", *HASHED, *words, "-r", str(lines)]
        path = f"{prefix / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        _run(command, "pip", {"PATH": path, "CUDA_VISIBLE_DEVICES": "", "MAX_JOBS": _jobs(), **(variables or {})})


def _install_guard(prefix: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        wheel = guard_wheel(Path(scratch))
        _run([str(prefix / "bin" / "python"), *PIP, "install", "--no-deps", "--no-index", str(wheel)], "pip")


def guard_wheel(folder: Path) -> Path:
    """Write the guard as a wheel, so that its files have a RECORD like everybody's; return its path."""
    info = f"{GUARD}-1.dist-info"
    files = {
        f"{GUARD}.py": Path(__file__).with_name("guard.py").read_text(encoding="utf-8"),
        f"{GUARD}.pth": f"import {GUARD}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: bevready-guard\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bevready\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{GUARD}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, words in files.items():
            archive.writestr(name, words)
        rows = [f"{name},sha256={_digest(words)},{len(words.encode())}" for name, words in files.items()]
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))
    return path


def _digest(words: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(words.encode()).digest()).rstrip(b"=").decode()


def _run(command: list[str], what: str, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env={**os.environ, **(variables or {})}, stdout=2, check=False)  # noqa: S603
    if done.returncode:
        raise PhaseError(f"{what} failed (above); what is done is kept: the same command goes on from here")


def _jobs() -> str:
    return os.environ.get("MAX_JOBS") or str(os.cpu_count() or 1)


def _clear(prefix: Path) -> None:
    """Remove an environment that we began and cannot go on with. Raises PhaseError where it is not ours."""
    if not any((prefix / name).exists() for name in (STAMP, PARTIAL)) and any(prefix.iterdir()):
        raise PhaseError(f"{prefix} exists and is not ours; move it away, or name another place: --prefix DIR")
    shutil.rmtree(prefix)


@contextmanager
def _alone(prefix: Path) -> Iterator[None]:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{prefix}.lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _write(path: Path, words: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(words, encoding="utf-8")
    part.replace(path)
