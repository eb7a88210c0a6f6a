"""The one door to the machine: commands, files, folders, links, room on disk, variables. It judges nothing.

Probes ask a `Host`. `LiveHost` asks this machine; `record.py` has one that writes the answers down and one that
gives them back. Every answer is a value: what is missing, forbidden, hanging or broken is said, never raised.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MAX_TEXT = 1 << 20  # no file or output that a probe reads is longer; a hostile one is cut
DEFAULT_TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed; `code` is None and `problem` says why where it did not end by itself."""

    code: int | None
    out: str = ""
    err: str = ""
    problem: str = ""


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

    def listing(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted; none where it cannot be read."""

    def real_path(self, path: str) -> str | None:
        """Return where a path leads after every link; None where nothing is there."""

    def access(self, path: str) -> Access:
        """Return what this user may do with a path."""

    def space(self, path: str) -> tuple[int, int] | None:
        """Return total and free bytes of the file system at `path`; None where that is unknown."""

    def mount_flags(self, path: str) -> tuple[str, ...]:
        """Return which of `ro` and `noexec` the file system at `path` is mounted with."""

    def variable(self, name: str) -> str:
        """Return an environment variable, empty where it is not set."""

    def own_python(self) -> str:
        """Return the interpreter that runs the doctor."""

    def machine(self) -> str:
        """Return the CPU architecture, x86_64 for example."""


class LiveHost:
    """This machine."""

    def run(self, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run a program in its own process group, so that a time-out takes its children too."""
        environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
        try:
            process = subprocess.Popen(  # noqa: S603 — words are ours, no shell
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as why:
            return Output(None, problem=f"{words[0]} cannot be started: {why}")
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Output(None, problem=f"{Path(words[0]).name} gave no answer in {timeout_s:g} s")
        return Output(process.returncode, _text(out), _text(err))

    def run_python(self, python: str, script: Path, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run the script without writing byte code; the interpreter keeps its own paths, that is what is examined."""
        return self.run(python, "-B", str(script), *words, timeout_s=timeout_s)

    def which(self, program: str) -> str | None:
        """Return the path of a program on PATH."""
        return shutil.which(program)

    def read(self, path: str) -> str | None:
        """Return at most MAX_TEXT bytes of a file as text."""
        try:
            with Path(path).open("rb") as file:
                return _text(file.read(MAX_TEXT))
        except (OSError, ValueError):
            return None

    def listing(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted."""
        try:
            return tuple(sorted(os.listdir(path)))  # noqa: PTH208 — names only, and Path.iterdir would say no more
        except (OSError, ValueError):
            return ()

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

    def own_python(self) -> str:
        """Return the interpreter that runs the doctor."""
        return sys.executable

    def machine(self) -> str:
        """Return the CPU architecture, x86_64 for example."""
        return os.uname().machine


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process group. A process in an uninterruptible wait (a lost GPU) is left behind, not waited for."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=0.5)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return


def _text(data: bytes) -> str:
    return data[:MAX_TEXT].decode("utf-8", errors="replace")
