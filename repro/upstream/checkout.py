"""The checkout that the user brings: whether it is the authors' repository, and which configuration is meant."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from repro.upstream.child import PLUGIN
from repro.upstream.failures import UpstreamError

GET_IT = "git clone https://github.com/fundamentalvision/BEVFormer"
SHOWN = 6
DEPTH = 3  # how far down a repository is looked for that lies inside of the folder named


@dataclass(frozen=True, slots=True)
class Checkout:
    """The authors' repository: its folder, the configuration compared, and its commit ("" where git does not say)."""

    folder: Path
    config: Path
    commit: str


def open_checkout(folder: Path | None, recipe: str, named: str = "") -> Checkout:
    """Return the authors' repository and their configuration of a recipe, or the one named. Raises UpstreamError."""
    if folder is None:
        raise UpstreamError(f"expected a checkout of the authors' repository: --checkout DIR; get one: {GET_IT}")
    folder = folder.resolve()
    if not (folder / PLUGIN).is_dir():
        raise UpstreamError(f"{folder}: expected the authors' repository, with {PLUGIN} in it; {_saw(folder)}")
    if named:
        found = [path for path in (folder / named, Path(named)) if path.is_file()]
    else:
        found = sorted(folder.glob(f"projects/configs/*/{recipe}.py"))
    if not found:
        there = ", ".join(sorted(path.stem for path in folder.glob("projects/configs/bevformer*/*.py"))) or "none"
        raise UpstreamError(
            f"{folder}: no configuration {named or recipe} under projects/configs (there: {there}); "
            "choose another recipe (--recipe NAME), or name the file: --config PATH"
        )
    return Checkout(folder, found[0].resolve(), _commit(folder))


def _saw(folder: Path) -> str:
    """Return what is in a folder that is no checkout, and what to type."""
    if not folder.is_dir():
        return f"saw {'a file' if folder.exists() else 'nothing there'}; get it: {GET_IT}"
    for depth in range(1, DEPTH + 1):
        for plugin in folder.glob("*/" * depth + PLUGIN):
            return f"saw one further down; name that: --checkout {plugin.parents[1]}"
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"saw {some or 'an empty folder'}; get it: {GET_IT}"


def _commit(folder: Path) -> str:
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return ""
    command = [git, "-C", str(folder), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 — no shell
    return done.stdout.strip() if done.returncode == 0 else ""
