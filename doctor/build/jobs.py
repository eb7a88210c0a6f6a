"""Programs run side by side, their words kept, all ended when one fails or the user interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PAUSE_S = 0.01
TIME_TO_END_S = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """A program, what it is called in a progress line, and the file that gets its words."""

    name: str
    words: tuple[str, ...]
    log: Path
    limit_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Done:
    """A job that ended, its exit code, and how long it took."""

    job: Job
    code: int
    seconds: float


class JobFailedError(Exception):
    """A job ended with an error; `log` are its words."""

    def __init__(self, job: Job, code: int, log: bytes) -> None:
        super().__init__(f"{job.name}: exit {code}")
        self.job, self.code, self.log = job, code, log


def num_workers() -> int:
    """Return how many jobs run at once: the cores that this process may use, or MAX_JOBS."""
    asked = os.environ.get("MAX_JOBS", "").strip()
    return max(1, int(asked)) if asked.isdecimal() else len(os.sched_getaffinity(0))


def run_all(jobs: Sequence[Job], tell: Callable[[Done], None], workers: int | None = None) -> None:
    """Run the jobs in order, some at a time. Raises JobFailedError for the first that fails; none is left running."""
    waiting, running = list(jobs), dict[subprocess.Popen[bytes], tuple[Job, float]]()
    workers = workers or num_workers()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[_start(job)] = job, time.monotonic()
            late = next((job for job, started in running.values() if time.monotonic() - started > job.limit_s), None)
            if late:
                raise JobFailedError(late, 124, late.log.read_bytes() + f"\nended after {late.limit_s:g} s".encode())
            for process in [process for process in running if process.poll() is not None]:
                job, started = running.pop(process)
                done = Done(job, process.returncode, time.monotonic() - started)
                if done.code:
                    raise JobFailedError(job, done.code, job.log.read_bytes())
                tell(done)
            time.sleep(PAUSE_S)
    finally:
        _end(list(running))


def _start(job: Job) -> subprocess.Popen[bytes]:
    """Start it in a process group of its own, so that a compiler's children end with it."""
    with job.log.open("wb") as log:
        try:
            return subprocess.Popen(  # noqa: S603 — words are ours, no shell
                job.words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
                start_new_session=True,
            )
        except OSError as why:
            raise JobFailedError(job, 127, f"{job.words[0]} cannot be started: {why}".encode()) from why


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=TIME_TO_END_S)
