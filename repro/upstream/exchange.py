"""The conversation with the authors' model in its own process: what it is asked, what it says, how it ends.

Arrays travel as .npz and .npy, never unpickled, events as lines of JSON (events.py). Their code can write both: what
comes from there is checked before it is used. What a failure means is worded in failures.py.
"""

from __future__ import annotations

import json
import os
import queue
import stat
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from repro.models.upstream_names import DROPPED, upstream_name
from repro.progress import progress
from repro.upstream.child import ANSWER
from repro.upstream.events import Done, Event, Failed, Interpreter, Model, Packages, Running, Seen, event_of
from repro.upstream.failures import NO_LOOK, UpstreamError, died, failed, silent, unexpected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from repro.tensors import Frame
    from repro.upstream.checkout import Checkout

CHILD = Path(__file__).with_name("child.py")
PACKAGES = ("numpy", "torch", "torchvision", "mmcv", "mmdet", "mmseg", "mmdet3d")
SHOWN = 4
FIRST_WORD_S = 60.0  # an interpreter takes well under a second to start, on a busy machine some
END_S = 5.0
Told = TypeVar("Told", bound=Event)


@dataclass(frozen=True, slots=True)
class Built:
    """Their model as it stands there: packages and their versions, shapes of its weights, and what was stood in for."""

    versions: dict[str, str]
    weights: dict[str, tuple[int, ...]]
    stand_ins: tuple[str, ...]


@dataclass(slots=True)
class Upstream:
    """The authors' model in a process of its own. Made by `upstream`, which also ends it."""

    python: Path
    scratch: Path
    process: subprocess.Popen[str]
    lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    versions: dict[str, str] = field(default_factory=dict)

    def built(self, say: Callable[[str], None]) -> Built:
        """Wait for their model to be built, and describe it; `say` hears of each step. Raises UpstreamError."""
        self.versions["python"] = self._hear(Interpreter, timeout=FIRST_WORD_S).version
        say(f"theirs: Python {self.versions['python']} imports its packages")
        versions = self._hear(Packages).versions
        self.versions.update({name: versions.get(name, "?") for name in PACKAGES})
        say(f"theirs: torch {self.versions['torch']} and mmcv {self.versions['mmcv']} build the model")
        told = self._hear(Model)
        weights = {name: tuple(shape) for name, shape in told.weights.items()}
        return Built(dict(self.versions), weights, tuple(told.stand_ins))

    def run(
        self, model: nn.Module, frames: Sequence[Frame], modules: Mapping[str, str], *, history: bool
    ) -> tuple[dict[str, Path], ...]:
        """Run it on our weights and frames; return, frame by frame, "MODULE/PART" → .npy file.

        Frames have batch size one; `modules` are theirs, each with the part of the model that it belongs to; with
        `history` each frame gets the BEV of the one before.
        Raises UpstreamError.
        """
        given = json.dumps({"modules": sorted(modules), "history": history})
        (self.scratch / "given.json").write_text(given, encoding="utf-8")
        write_arrays(self.scratch, model, frames)
        with suppress(BrokenPipeError):  # a dead child says why below
            _pipe(self.process.stdin).write("go\n")
            _pipe(self.process.stdin).flush()
        files: list[dict[str, Path]] = [{} for _ in frames]
        with progress("theirs", self._hear(Running).watched * len(frames)) as advance:
            while isinstance(told := self._hear(Seen, Done), Seen):
                if told.frame >= len(files):
                    raise unexpected(self.python, f"at most frame {len(files) - 1}", f"frame {told.frame}")
                files[told.frame].update({name: self.scratch / file for name, file in told.files.items()})
                advance(1, f"frame {told.frame + 1}, {modules.get(told.module, 'backbone')}")
        return tuple(files)

    def _hear(self, *expected: type[Told], timeout: float | None = None) -> Told:
        """Return the next event, which is one of those expected. Raises UpstreamError for any other end."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise silent(self.python, timeout or 0.0) from None
        if line is None:
            raise died(self.python, self._end(), self._last_words(), started=bool(self.versions))
        told = event_of(line, self.python)
        if isinstance(told, expected):
            return told
        if isinstance(told, Failed):
            raise failed(told, python=self.python, versions=self.versions, said=self._last_words())
        raise unexpected(self.python, " or ".join(kind.__name__ for kind in expected), type(told).__name__)

    def _end(self) -> int:
        """Return the exit code of a process that has closed its output, and so is about to end."""
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _last_words(self) -> str:
        return (self.scratch / "stderr.txt").read_text(encoding="utf-8", errors="replace")


@contextmanager
def upstream(python: Path, scratch: Path, checkout: Checkout) -> Iterator[Upstream]:
    """Start the authors' model; when the block ends, however it ends, no process is left. Raises UpstreamError."""
    asked = scratch / "request.json"
    place = {"checkout": str(checkout.folder), "config": str(checkout.config), "scratch": str(scratch)}
    asked.write_text(json.dumps({**place, "packages": PACKAGES}), encoding="utf-8")
    pipe, errors = subprocess.PIPE, (scratch / "stderr.txt").open("wb")
    with errors:
        try:
            process = subprocess.Popen(  # noqa: S603 — the interpreter that the user names, no shell
                [str(python), "-I", str(CHILD), str(asked)], stdin=pipe, stdout=pipe, stderr=errors, text=True,
                errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise UpstreamError(
                f"{python}: cannot be started ({error.strerror}); name a Python: --python PATH"
            ) from error
    there = Upstream(python, scratch, process)
    listener = threading.Thread(target=_listen, args=(_pipe(process.stdout), there.lines), daemon=True)
    listener.start()
    try:
        yield there
    finally:
        process.kill()  # it has nothing to put away: its files are ours
        process.wait()
        listener.join(END_S)
        with suppress(BrokenPipeError):
            _pipe(process.stdin).close()


def _listen(output: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Pass on the child's lines, and None at the end of them; what else it prints is the authors' code talking."""
    try:
        with output:
            for line in output:
                if line.startswith(ANSWER):
                    lines.put(line.removeprefix(ANSWER))
    finally:
        lines.put(None)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "Popen was given pipes"
    return stream


def write_arrays(folder: Path, model: nn.Module, frames: Sequence[Frame]) -> None:
    """Write what the child finds in `folder`: weights under upstream's names, and frames of batch size one."""
    state = {upstream_name(name): tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    np.savez(folder / "weights.npz", **state)
    np.savez(
        folder / "frames.npz",
        images=np.stack([frame.images.cpu().numpy() for frame in frames]),
        img_from_lidar=np.stack([frame.img_from_lidar[0].cpu().numpy() for frame in frames]),
        can_bus=np.stack([frame.can_bus[0].cpu().numpy() for frame in frames]),
    )


def check_same_weights(theirs: Mapping[str, tuple[int, ...]], model: nn.Module) -> None:
    """Raise UpstreamError unless both models have the same weights, in the same shapes."""
    ours = {upstream_name(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    both = [name for name in theirs if name in ours]
    odd = [f"{n} ({list(theirs[n])} there, {list(ours[n])} here)" for n in both if theirs[n] != ours[n]]
    for words, names in (
        ("has weights that ours lacks", [name for name in theirs if name not in ours and name not in DROPPED]),
        ("lacks weights of ours", [name for name in ours if name not in theirs]),
        ("has weights of another shape", odd),
    ):
        if names:
            some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            raise UpstreamError(
                f"their model {words}: {some}; expected the recipe's model: name the recipe of this configuration "
                "(--recipe NAME), or the configuration of this recipe (--config PATH)"
            )


def read_array(file: Path) -> NDArray[np.float32]:
    """Return an array that the child wrote, and remove its file; follows no link. Raises UpstreamError."""
    try:
        with open(file, "rb", opener=_open_no_link) as stream:
            array = _floats(stream)
        file.unlink(missing_ok=True)
    except Exception as error:
        words = f"{file}: what the authors' model wrote cannot be read ({str(error) or type(error).__name__})"
        raise UpstreamError(words, NO_LOOK) from error
    return array


def _floats(stream: IO[bytes]) -> NDArray[np.float32]:
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        raise ValueError("it is not a regular file")
    array = np.load(stream, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise TypeError("it is not one array of floats")
    return array


def _open_no_link(path: str, flags: int) -> int:
    """Open a file of theirs; a link is refused, and nobody waits for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
