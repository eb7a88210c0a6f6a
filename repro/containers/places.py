"""Which folders of the host a run in a container needs, each at its own place: data to read, the run's to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repro.containers.engine import EngineError
from repro.containers.running import Mount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOO_WIDE = (Path("/"), Path("/tmp"), Path("/opt"), Path("/usr"), Path("/etc"))  # noqa: S108 — what we refuse to mount


def mounts_for(
    *,
    here: Path,
    recipe: str,
    run: Path | None = None,
    dataroot: Path | None = None,
    also: Iterable[Path | None] = (),
    weights: Path | None = None,
    synth: bool = False,
) -> tuple[Mount, ...]:
    """Return the mounts of a run that was typed in the folder `here`, outermost first; what it writes to is made.

    Run folder, index and `weights` (what torch has fetched) are written to; data sets, recipe file and what is `also`
    named (checkpoint, info files, logs) are only read; synthetic data is made where it should lie. Links out of a data
    folder lead to the same places inside.
    Raises EngineError.
    """
    index = here / "data" / "index"
    written = [index, here / run if run else here / "runs", *([weights] if weights else [])]
    data = here / dataroot if dataroot else here / "data"
    read = [here / path for path in also if path is not None and (here / path).exists()]
    read += [here / recipe] if (here / recipe).is_file() else []
    if synth:
        written.append(data.parent if dataroot else data)
    elif data.is_dir():
        read.append(data)
    for folder in written:
        _make(folder)
    reached = [place for path in read for place in _reached(path)]
    found = {path.absolute(): False for path in reached} | {path.absolute(): True for path in written}
    for path in found:
        if path in TOO_WIDE:
            raise EngineError(f"{path} is too much to hand to a container; name a folder of its own below it")
    return tuple(Mount(path=path, writable=found[path]) for path in sorted(found))


def torch_home(env: Mapping[str, str]) -> Path:
    """Return where torch keeps the weights that it has fetched, so that a container fetches them only once."""
    cache = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or "/") / ".cache")
    return Path(env.get("TORCH_HOME") or str(Path(cache) / "torch")).absolute()


def _make(folder: Path) -> None:
    """Make a folder as this user, before the engine makes it as root. Raises EngineError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise EngineError(f"{folder}: {why.strerror}; choose a folder that you may write to") from why


def _reached(path: Path) -> Iterable[Path]:
    """Return the path and where links lead that are it, or lie directly in it or one folder deeper."""
    yield path
    entries = [path, *path.glob("*"), *path.glob("*/*")] if path.is_dir() else [path]
    for entry in entries:
        if entry.is_symlink() and entry.exists():
            yield entry.resolve()
