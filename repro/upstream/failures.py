"""Why the authors' model did not run: what was seen, what was expected, what to type. Starts and reads nothing."""

from __future__ import annotations

import errno
import re
import signal
from tempfile import gettempdir
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from repro.upstream.events import Failed

BAD_INPUT, NO_LOOK = 2, 3
LINES, WIDTH = 6, 200
THEIRS = "Python 3.8 with torch 1.9.1, mmcv-full 1.4.0, mmdet 2.14.0 and mmdet3d 0.17.1"
MAKE = "./bevready env --stack upstream"
OTHER = f"make their environment ({MAKE}) or name it: --python PATH"
V2_ONLY = ("detectron2", "fvcore")  # what only the data mapper of BEVFormer v2 needs
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# as Python words it, as tempfile does where no folder takes a file, and as numpy does, which leaves out the number
NO_ROOM = re.compile(rf"\[Errno ({'|'.join(map(str, FULL))})\]|No usable temporary directory|requested and \d+ written")
CHANGED = "git status in the checkout shows what was changed"
STEPS = {
    "packages": "their packages were imported",
    "model": "their model was built",
    "weights": "their model was given our weights",
    "run": "their model ran",
}


class UpstreamError(RuntimeError):
    """A comparison that cannot be made; the message says what was seen and what to type. `code` is the exit code."""

    def __init__(self, words: str, code: int = BAD_INPUT) -> None:
        super().__init__(words)
        self.code = code


def silent(python: Path, seconds: float) -> UpstreamError:
    """Return the error for a program that says nothing."""
    words = f"{python}: said nothing in {seconds:.0f} s; expected a Python interpreter: --python PATH"
    return UpstreamError(words, NO_LOOK)


def not_written(error: OSError, folder: str) -> UpstreamError:
    """Return the error for what this system refuses: no room in `folder`, or whatever else it says of which file."""
    if error.errno == errno.EROFS or NO_ROOM.search(str(error)):
        return no_room(str(error), folder)
    return UpstreamError(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def no_room(words: str, folder: str) -> UpstreamError:
    """Return the error for arrays that could not be written to the folder for temporary files."""
    return UpstreamError(
        f"{words}; expected room for what their layers return (up to 3 GB, for bevformer_base) in {folder}: "
        "name another folder, TMPDIR=DIR",
        NO_LOOK,
    )


def died(python: Path, code: int, said: str, *, started: bool) -> UpstreamError:
    """Return the error for a process that ended without a word of its own; a Python that had `started` said so."""
    number = -code if code < 0 else code - 128  # so says a shell or a container of what it ran
    if 0 < number < signal.NSIG:
        how = f"was ended by signal {number}" + (" (out of memory?)" if number == signal.SIGKILL else "")
        return UpstreamError(f"{python}: their model {how}. {_last(said)}", NO_LOOK)
    if started:
        return UpstreamError(f"{python}: their model ended (exit {code}). {_last(said)}", NO_LOOK)
    return UpstreamError(f"{python}: is no Python that runs here (exit {code}); {OTHER}. {_last(said)}", NO_LOOK)


def garbled(python: Path, line: str, why: str) -> UpstreamError:
    """Return the error for a line that stands where an event would, and is none."""
    return unexpected(python, f"a word of ours on how far it is ({why})", repr(_short(line)))


def unexpected(python: Path, expected: str, heard: str) -> UpstreamError:
    """Return the error for what our child does not say: their code, or `python`, writes in its name."""
    return UpstreamError(
        f"{python}: expected {expected}, heard {heard}; something else writes to its output in our name: "
        f"{CHANGED}, {MAKE} --verify looks at their environment",
        NO_LOOK,
    )


def failed(told: Failed, *, python: Path, versions: Mapping[str, str], said: str) -> UpstreamError:
    """Return the error for a step that the child says has failed.

    `versions` is what it said before that.
    """
    if NO_ROOM.search(told.words):
        return no_room(told.words, gettempdir())
    seen = {**versions, **told.versions}
    words = _of_package(told, python, seen) or _of_checkout(told, seen) or _of_operator(told, seen)
    if words is None:
        at = f" at {told.where}" if told.where else ""
        what = f"{told.error}: {_short(told.words)}"
        words = f"their code failed{at} while {STEPS[told.step]} ({what}); is {python} their environment? "
        words += f"{MAKE} --verify tells. {_last(said)}"
    return UpstreamError(words, NO_LOOK)


def _of_package(told: Failed, python: Path, seen: Mapping[str, str]) -> str | None:
    """Return the words for a package that is missing or of another age."""
    name = told.name or ""
    package = name.split(".", maxsplit=1)[0]
    mmcv = f"mmcv {seen.get('mmcv', '')}".strip()
    if name == "mmcv" and "mmcv.Config" in told.words:
        return f"{python} has {mmcv}, which has no mmcv.Config; expected {THEIRS}: {OTHER}"
    if told.error != "ModuleNotFoundError" or package == "projects":
        return None
    if name == "mmcv._ext":
        return f"{python} has {mmcv} without its compiled operators (no mmcv._ext); expected mmcv-full 1.4.0: {OTHER}"
    if package in V2_ONLY:
        return (
            f"{told.where} imports {name}, which {python} lacks; only the data mapper of BEVFormer v2 uses it, "
            f"and no model here does. {MAKE} puts a stand-in for it into the environment; "
            "or check out a commit without v2"
        )
    if told.step == "packages":
        return f"{python} is Python {seen.get('python', '?')} without {name}; expected {THEIRS}: {OTHER}"
    where = f"{told.where} imports {name}, which {python} lacks" if told.where else f"{python} lacks {name}"
    return f"{where}; {MAKE} --verify says what is missing, {python} -m pip install {package} adds it"


def _of_checkout(told: Failed, seen: Mapping[str, str]) -> str | None:
    """Return the words for a checkout with a file that is broken, missing or moved."""
    python = seen.get("python", "?")
    restore = f"{CHANGED}, git checkout -- FILE brings it back"
    if told.error == "SyntaxError":
        return f"{told.where}: Python {python} cannot read it ({_short(told.words)}); {restore}"
    if told.error == "ModuleNotFoundError":
        return f"{told.where or 'the configuration'} imports {told.name}, which is not in the checkout; {restore}"
    if told.error == "KeyError" and "registry" in told.words:
        return (
            f"the configuration names something that the checkout does not bring: {_short(told.words)}; expected "
            f"the authors' layout, where projects/mmdet3d_plugin/__init__.py imports every part; {restore}"
        )
    return None


def _of_operator(told: Failed, seen: Mapping[str, str]) -> str | None:
    """Return the words for an mmcv that cannot run the recipe's convolutions on a CPU."""
    if told.step != "operators":
        return None
    return (
        f"the deformable convolutions (DCNv2) of this recipe's backbone do not run on the CPU in mmcv "
        f"{seen.get('mmcv', '?')} ({_short(told.words)}); expected mmcv-full 1.4.0, whose do: {OTHER}. "
        "bevformer_tiny has none and can be compared as it is"
    )


def _short(words: str) -> str:
    first = " ".join(words.split())
    return first if len(first) <= WIDTH else first[: WIDTH - 1] + "…"


def _last(said: str) -> str:
    """Return the last lines of what was said on stderr."""
    lines = said.strip().splitlines()[-LINES:]
    return "Its last words:\n" + "\n".join(f"  {line[:WIDTH]}" for line in lines) if lines else "It said nothing."
