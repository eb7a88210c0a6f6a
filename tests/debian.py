"""Programs of Debian's that tests run: CI installs what is missing, one process at a time; elsewhere the test skips."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCK = Path(__file__).resolve().parents[1] / "build" / "packages.lock"


def bring(programs: Mapping[str, str]) -> None:
    """Have programs (name: its package) on PATH, or end the test: in CI as a failure, elsewhere as a skip."""
    if not os.environ.get("CI"):
        if missing := missing_of(programs):
            pytest.skip(f"not here: sudo apt install {' '.join(missing)}")
        return
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:  # before the look: a program is on PATH a while before its package is set up
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = missing_of(programs)
        problem = install(missing)
    if problem:
        pytest.fail(f"CI needs what `sudo apt install {' '.join(missing)}` brings: {problem}")


def missing_of(programs: Mapping[str, str]) -> list[str]:
    """Return the packages of the programs that are not on PATH."""
    return [package for program, package in programs.items() if shutil.which(program) is None]


def install(packages: list[str]) -> str:
    """Install Debian's packages; return why that did not work, an empty text where it did."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = ("-o", "DPkg::Lock::Timeout=300")
    for words in (("update",), ("install", "--yes", "--no-install-recommends", *packages)) if packages else ():
        try:
            done = subprocess.run(["apt-get", *patient, *words], env=quiet, capture_output=True, text=True, check=False)
        except OSError as why:
            return f"apt-get: {why.strerror}"
        if done.returncode:
            return f"apt-get {words[0]}: {done.stderr.strip()[-300:]}"
    return ""
