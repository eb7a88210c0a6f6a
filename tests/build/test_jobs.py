"""Programs side by side: the first that fails ends the others, and their words are kept."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from doctor.build.jobs import Done, Job, JobFailedError, num_workers, run_all

if TYPE_CHECKING:
    from pathlib import Path


def job(folder: Path, name: str, program: str, limit_s: float = 60) -> Job:
    return Job(name, (sys.executable, "-c", program), folder / f"{name}.log", limit_s)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_jobs_run_side_by_side_and_each_is_told(tmp_path: Path) -> None:
    told: list[Done] = []
    meet = "import pathlib, time; pathlib.Path({0!r}).touch()\nwhile not pathlib.Path({1!r}).exists(): time.sleep(0.01)"
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    run_all([job(tmp_path, "one", meet.format(a, b)), job(tmp_path, "two", meet.format(b, a))], told.append, workers=2)
    assert {done.job.name for done in told} == {"one", "two"}


def test_the_first_that_fails_ends_the_others(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    endless = f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    wait = f"while not (pathlib.Path({str(pid_file)!r}).exists()): time.sleep(0.01)"
    fails = f"import pathlib, sys, time\n{wait}\nsys.exit('no: 7')"
    started = time.monotonic()
    with pytest.raises(JobFailedError, match="bad: exit 1") as failed:
        run_all([job(tmp_path, "good", endless), job(tmp_path, "bad", fails)], lambda _: None, workers=2)
    assert failed.value.log == b"no: 7\n"
    assert time.monotonic() - started < 30
    assert not is_running(int(pid_file.read_text() or 1))


def test_a_program_that_is_not_there_is_a_failed_job(tmp_path: Path) -> None:
    with pytest.raises(JobFailedError) as failed:
        run_all([Job("compile", ("/no/such/g++",), tmp_path / "log")], lambda _: None)
    assert b"/no/such/g++ cannot be started" in failed.value.log


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(JobFailedError) as failed:
        run_all([job(tmp_path, "slow", "import time; time.sleep(60)", limit_s=0.3)], lambda _: None)
    assert failed.value.log.endswith(b"ended after 0.3 s")


def test_max_jobs_limits_how_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "3")
    assert num_workers() == 3
    monkeypatch.setenv("MAX_JOBS", "many")
    assert num_workers() == len(os.sched_getaffinity(0))
