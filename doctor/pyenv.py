"""What a shim of pyenv stands for, read from pyenv's files: to start a shim costs ten times what its program does."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def behind_shim(shim: Path) -> str | None:
    """Return the program that pyenv would start: of the first chosen version that has it, else of the rest of PATH."""
    versions = shim.parent.parent / "versions"
    if not versions.is_dir():
        return str(shim)
    for chosen in _pyenv_versions(shim.parent.parent):
        for folder in (versions / chosen, *sorted(versions.glob(f"{chosen}.*"), key=_release, reverse=True)):
            program = folder / "bin" / shim.name
            if chosen != "system" and os.access(program, os.X_OK):
                real = program.resolve()  # python3 is python3.11; a virtual environment's is another folder's
                return str(real if real.parent == program.parent else program)
    rest = [folder for folder in os.get_exec_path() if Path(folder) != shim.parent]
    return shutil.which(shim.name, path=os.pathsep.join(rest))


def _pyenv_versions(root: Path) -> list[str]:
    """Return the versions that PYENV_VERSION, the nearest .python-version or pyenv's own file choose."""
    told = os.environ.get("PYENV_VERSION", "").replace(":", " ").split()
    nearest: list[Path] = []
    with suppress(OSError):  # the working folder may be gone
        here = Path.cwd()
        nearest = [folder / ".python-version" for folder in (here, *here.parents)]
    for file in (*nearest, root / "version"):
        with suppress(OSError, UnicodeDecodeError):
            told = told or [
                word for line in file.read_text("utf-8").splitlines() for word in line.partition("#")[0].split()
            ]
    return told


def _release(folder: Path) -> list[int]:
    return [int(part) for part in folder.name.split(".") if part.isdecimal()]
