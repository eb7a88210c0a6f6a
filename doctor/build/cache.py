"""Where built extensions lie, and how they get there: whole or not at all, once however many ranks ask.

    ROOT/ext/KEY/bevready_ops.so, manifest.json    one build, named by its content
    ROOT/ext/current/ID.json                       the build that a torch and a source folder use: its key and digest
    ROOT/ext/KEY.lock, KEY.log                     who builds, and what the compilers said

`repro/ops/built.py` reads the same places without importing this.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.build.plan import LIBRARY
from doctor.toolchain import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}  # some network file systems; atomic renames remain


@dataclass(frozen=True, slots=True)
class Place:
    """A folder where builds may lie, and which variable or habit leads there."""

    root: Path
    source: str
    shared: bool = False  # a folder that others may write to: what is there must be our own

    @property
    def ext(self) -> Path:
        """Return the folder of builds."""
        return self.root / "ext"


def places(variables: Mapping[str, str], checkout: Path) -> tuple[Place, ...]:
    """Return where to look and write, the first writable one first: BEVREADY_CACHE stands alone where it is set."""
    named = variables.get("BEVREADY_CACHE")
    if named:
        return (Place(Path(named).expanduser().absolute(), "BEVREADY_CACHE"),)
    found = []
    if variables.get("XDG_CACHE_HOME"):
        found.append(Place(Path(variables["XDG_CACHE_HOME"]) / "bevready", "XDG_CACHE_HOME"))
    elif variables.get("HOME"):
        found.append(Place(Path(variables["HOME"]) / ".cache" / "bevready", "HOME"))
    found.append(Place(checkout / "build" / "cache", "the checkout"))
    temporary = Path(tempfile.gettempdir()) / f"bevready-{os.getuid()}"
    return (*found, Place(temporary, "the folder for temporary files", shared=True))


def writable(candidates: tuple[Place, ...]) -> Place:
    """Return the first place that can be written to, made if need be. Raises ToolchainError naming every one tried."""
    tried = []
    for place in candidates:
        try:
            place.root.mkdir(parents=True, exist_ok=True, mode=0o700 if place.shared else 0o777)
            place.ext.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=place.ext):
                pass
        except OSError as why:
            tried.append(f"{place.root} ({place.source}): {why.strerror or why}")
            continue
        if not place.shared or place.root.stat().st_uid == os.getuid():
            return place
        tried.append(f"{place.root}: it belongs to somebody else")
    raise ToolchainError(f"no place for the build: {'; '.join(tried)}", "name a folder: BEVREADY_CACHE=/path/to/folder")


def pointer_name(torch_folder: Path, sources: Path) -> str:
    """Return the name of the file that says which build this torch uses for these sources."""
    text = f"{torch_folder.resolve()}\0{sources.resolve()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16] + ".json"


def manifest_of(place: Place, key: str) -> dict[str, Any] | None:
    """Return the manifest of a build that is whole: its file is there, of the size that was proven."""
    try:
        manifest: dict[str, Any] = json.loads((place.ext / key / "manifest.json").read_text(encoding="utf-8"))
        return manifest if (place.ext / key / LIBRARY).stat().st_size == manifest["size"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def pointed_at(place: Place, name: str) -> dict[str, Any] | None:
    """Return what the pointer says, None where there is none that can be read."""
    try:
        told: dict[str, Any] = json.loads((place.ext / "current" / name).read_text(encoding="utf-8"))
        return told if isinstance(told["key"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def locked(place: Place, key: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a key; `waiting` is called once where somebody else has it. It ends with the process."""
    with (place.ext / f"{key}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as why:
            if why.errno not in NO_LOCKS:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def workshop(place: Place, key: str) -> Iterator[Path]:
    """Yield a folder to build in, beside where the build goes; it is gone afterwards. The lock must be held."""
    for left in place.ext.glob(f".{key}.*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=place.ext, prefix=f".{key}."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(place: Place, key: str, library: Path, manifest: dict[str, Any]) -> Path:
    """Move a proven library and its manifest to their place, each in one step; return where the library now is."""
    folder = place.ext / key
    folder.mkdir(exist_ok=True)
    with library.open("rb") as file:
        os.fsync(file.fileno())
    library.replace(folder / LIBRARY)
    write_json(folder / "manifest.json", manifest)
    return folder / LIBRARY


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 — a file that mkstemp has opened
            file.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
        part.chmod(0o644)
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
