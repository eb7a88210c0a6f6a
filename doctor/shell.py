"""The one door to the machine: commands, files, folders, links, room on disk, variables. It judges nothing.

Probes ask a `Host`. `LiveHost` asks this machine; `record.py` has one that writes the answers down, `replay.py` one
that gives them back. Every answer is a value: what is missing, forbidden, hanging or broken is said, never raised.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from doctor.elf import NotReadableError
from doctor.inspect import inspect
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

from doctor.pyenv import behind_shim

MAX_TEXT = 1 << 20  # no file or output that a probe reads is longer; a hostile one is cut
DEFAULT_TIMEOUT_S = 4.0
SILENT = "{program} gave no answer in {seconds} s"
NO_TIME = "no time was left to ask {program}"
NOT_STARTED = "{program} cannot be started: {why}"
STDERR = 2
PIECE = 1 << 12


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed; `code` is None and `problem` says why where it did not end by itself."""

    code: int | None
    out: str = ""
    err: str = ""
    problem: str = ""

    @classmethod
    def silent(cls, problem: str) -> Output:
        """Return the answer of a program that did not answer, and let the probe's watch know."""
        watch = WATCH.get()
        if watch:
            watch.silences.append(problem)
        return cls(None, problem=problem)


@dataclass(slots=True)
class Watch:
    """How long the programs of one probe may run in all, and what was said of those that did not answer."""

    deadline: float
    silences: list[str] = field(default_factory=list)


WATCH: ContextVar[Watch | None] = ContextVar("WATCH", default=None)  # each probe's thread has its own


@dataclass(frozen=True, slots=True)
class Access:
    """What a path is to this user."""

    exists: bool
    readable: bool = False
    writable: bool = False


class Host(Protocol):
    """Where answers come from."""

    def run(self, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run a program, without a shell, in the C locale."""

    def run_python(self, python: str, script: Path, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run one of our scripts in the interpreter `python`; it is known by its name and words, not by its place."""

    def which(self, program: str) -> str | None:
        """Return the path of a program on PATH."""

    def read(self, path: str) -> str | None:
        """Return a file's text, undecodable bytes replaced; None where it cannot be read."""

    def tail(self, path: str, size: int) -> str | None:
        """Return the last `size` bytes of a file as text; None where it cannot be read."""

    def listing(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted; none where it cannot be read."""

    def find_in(self, path: str, pattern: str, pieces: int = 0) -> tuple[str, ...]:
        """Return what a pattern finds in a file, once each; with `pieces`, the first in each of so many."""

    def real_path(self, path: str) -> str | None:
        """Return where a path leads after every link; None where nothing is there."""

    def access(self, path: str) -> Access:
        """Return what this user may do with a path."""

    def space(self, path: str) -> tuple[int, int] | None:
        """Return total and free bytes of the file system at `path`; None where that is unknown."""

    def inspect(self, path: str, libraries: tuple[str, ...]) -> dict[str, Any]:
        """Return what is in a shared object, compared with the libraries; `problem` where it is unreadable."""

    def mount_flags(self, path: str) -> tuple[str, ...]:
        """Return which of `ro` and `noexec` the file system at `path` is mounted with."""

    def variable(self, name: str) -> str:
        """Return an environment variable, empty where it is not set."""

    def is_set(self, name: str) -> bool:
        """Return whether an environment variable is set, be it empty."""

    def own_python(self) -> str:
        """Return the interpreter that runs the doctor."""

    def machine(self) -> str:
        """Return the CPU architecture, x86_64 for example."""


class LiveHost:
    """This machine."""

    def __init__(self) -> None:
        self._silent: dict[str, str] = {}

    def run(self, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run a program in its own process group, so that a time-out takes its children too."""
        return self._ask(words[0], words, timeout_s)

    def run_python(self, python: str, script: Path, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run the script without writing byte code; the interpreter keeps its own paths, that is what is examined."""
        program = f"{python} {script}" if python == self.own_python() else python  # ours answers, it runs this
        return self._ask(program, (python, "-B", str(script), *words), timeout_s)

    def _ask(self, program: str, words: tuple[str, ...], timeout_s: float) -> Output:
        """Run within the probe's time. A program that was silent once is not asked again: it would be silent again."""
        watch, name = WATCH.get(), Path(words[0]).name
        left_s = watch.deadline - time.monotonic() if watch else timeout_s
        problem = self._silent.get(program, "") if left_s > 0 else say(NO_TIME, program=name)
        if not problem:
            timeout_s = min(timeout_s, left_s)
            output = _run(words, timeout_s)
            if output:
                return output
            seconds = f"{round(timeout_s, 1):g}"
            problem = self._silent[program] = say(SILENT, program=name, seconds=seconds)
        return Output.silent(problem)

    def which(self, program: str) -> str | None:
        """Return the path of a program on PATH; for a shim of pyenv, which takes long to start, what it stands for."""
        path = shutil.which(program)
        return behind_shim(Path(path)) if path and path.rsplit("/", 2)[-2:-1] == ["shims"] else path

    def read(self, path: str) -> str | None:
        """Return at most MAX_TEXT bytes of a file as text."""
        try:
            with Path(path).open("rb") as file:
                return _text(file.read(MAX_TEXT))
        except (OSError, ValueError):
            return None

    def tail(self, path: str, size: int) -> str | None:
        """Return the end of a file, which may be large, as text."""
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return _text(file.read(size))
        except (OSError, ValueError):
            return None

    def listing(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted."""
        try:
            return tuple(sorted(os.listdir(path)))  # noqa: PTH208 — names only, and Path.iterdir would say no more
        except (OSError, ValueError):
            return ()

    def find_in(self, path: str, pattern: str, pieces: int = 0) -> tuple[str, ...]:
        """Return what a pattern finds in the first MAX_TEXT bytes, or in pieces of PIECE bytes, evenly spread."""
        if not pieces:
            return tuple(dict.fromkeys(match[0] for match in re.finditer(pattern, self.read(path) or "")))
        try:
            with Path(path).open("rb") as file:
                room = max(0, os.fstat(file.fileno()).st_size - PIECE)
                found = []
                for number in range(pieces):
                    file.seek(room * number // max(1, pieces - 1))
                    found.append(re.search(pattern, _text(file.read(PIECE))))
        except (OSError, ValueError):
            return ()
        return tuple(dict.fromkeys(match[0] for match in found if match))

    def real_path(self, path: str) -> str | None:
        """Return where a path leads."""
        try:
            return str(Path(path).resolve(strict=True))
        except (OSError, ValueError, RuntimeError):
            return None

    def access(self, path: str) -> Access:
        """Return what this user may do with a path."""
        return Access(Path(path).exists(), os.access(path, os.R_OK), os.access(path, os.W_OK))

    def space(self, path: str) -> tuple[int, int] | None:
        """Return total and free bytes, free as an ordinary user sees them."""
        try:
            usage = os.statvfs(path)
        except (OSError, ValueError):
            return None
        return usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize

    def inspect(self, path: str, libraries: tuple[str, ...]) -> dict[str, Any]:
        """Return what is in a shared object; reading it is all that happens to it."""
        try:
            return inspect(path, libraries)
        except NotReadableError as why:
            return {"problem": str(why)}

    def mount_flags(self, path: str) -> tuple[str, ...]:
        """Return which of `ro` and `noexec` hold at `path`."""
        try:
            flags = os.statvfs(path).f_flag
        except (OSError, ValueError):
            return ()
        return tuple(name for name, bit in (("ro", os.ST_RDONLY), ("noexec", os.ST_NOEXEC)) if flags & bit)

    def variable(self, name: str) -> str:
        """Return an environment variable, empty where it is not set."""
        return os.environ.get(name, "")

    def is_set(self, name: str) -> bool:
        """Return whether an environment variable is set."""
        return name in os.environ

    def own_python(self) -> str:
        """Return the interpreter that runs the doctor."""
        return sys.executable

    def machine(self) -> str:
        """Return the CPU architecture, x86_64 for example."""
        return os.uname().machine


def run_in_sight(words: Sequence[str], variables: Mapping[str, str], without: Container[str] = ()) -> int:
    """Run a program, without a shell, its output on stderr; return its exit code. Only `--fix` does this."""
    kept = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(  # noqa: S603 — words are ours, no shell
        words, stdin=subprocess.DEVNULL, stdout=STDERR, env={**kept, **variables}, check=False
    )
    return done.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process group. A process in an uninterruptible wait (a lost GPU) is left behind, not waited for."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _run(words: tuple[str, ...], timeout_s: float) -> Output | None:
    """Return what the program said, None where it did not end in time."""
    try:
        process = subprocess.Popen(  # noqa: S603 — words are ours, no shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
            start_new_session=True,
        )
    except (OSError, ValueError) as why:
        return Output(None, problem=say(NOT_STARTED, program=words[0], why=str(why)))
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        ended = process.poll()  # it may have left somebody behind who holds its output open
        _kill(process)
        return None if ended is None else Output(ended, _text(late.stdout or b""), _text(late.stderr or b""))
    return Output(process.returncode, _text(out), _text(err))


def _text(data: bytes) -> str:
    return data[:MAX_TEXT].decode("utf-8", errors="replace")
