"""Making an environment: a native one through the bootstrap, upstream's in phases with what builds from source last."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.locks.look import note
from doctor.locks.phases import PhaseError, install

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = Path(__file__).resolve().parents[2]
FAILED = 3


class MakeError(RuntimeError):
    """An environment that could not be made; the message says why and what to type. `code` is the exit code."""

    def __init__(self, words: str, code: int = FAILED) -> None:
        super().__init__(words)
        self.code = code


def make(folder: Path, prefix: Path, *, python: str, tell: Callable[[str], None]) -> None:
    """Make the environment of the stack in `folder` at `prefix`; the same call resumes. Raises MakeError."""
    tell(f"{folder.name} into {prefix}")
    told = json.loads((folder / "stack.json").read_text(encoding="utf-8"))
    if "from_source" in told:
        try:
            install(folder, prefix, _interpreter(told["python_min"], python), tell)
        except PhaseError as why:
            raise MakeError(str(why)) from why
    else:
        _bootstrap(folder, prefix, python)
    note(prefix)


def _interpreter(version: str, named: str) -> str:
    """Return a Python of exactly this version: the one named, on PATH, or pyenv's newest. Raises MakeError."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [named] if named else [f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    question = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for place in reversed(places):
        found = shutil.which(place)
        if found and not subprocess.run([found, "-c", question], capture_output=True, check=False).returncode:  # noqa: S603
            return found
    tried = f" ({named} is not)" if named else ""
    raise MakeError(
        f"this stack needs Python {version}{tried}; install it: pyenv install {version}, or name it: --python PATH"
    )


def _bootstrap(folder: Path, prefix: Path, python: str) -> None:
    """Let the bootstrap install: it has the lock file, the progress, the stamp and the words for what goes wrong."""
    changes = {"BEVREADY_VENV": str(prefix), "BEVREADY_STACK": folder.name, "BEVREADY_PYTHON": python}
    if folder.parent != HOME / "env":
        changes["BEVREADY_LOCK"] = str(folder / "requirements.lock")
    environment = {**os.environ, **{name: value for name, value in changes.items() if value}}
    done = subprocess.run(  # noqa: S603
        [str(HOME / "bevready"), "--version"], env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise MakeError(f"the environment is not whole (above); the same command resumes: {prefix}", done.returncode)
