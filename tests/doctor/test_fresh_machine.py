"""The doctor on a machine where nothing is: no packages, no PATH, no HOME, a read-only folder, another user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from doctor.__main__ import main; sys.exit(main())"
NOBODY = 65534


@pytest.fixture
def read_only_copy(tmp_path: Path) -> Path:
    copy = tmp_path / "a checkout"
    for room in ("doctor", "env", "recipes"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in tmp_path.parents[:3]:  # pytest's own folders are private; nobody must be able to pass through
        if path.owner() == Path.home().owner() and "pytest" in path.name:
            path.chmod(0o755)
    tmp_path.chmod(0o755)
    return copy


def run(
    copy: Path, *words: str, python: str = sys.executable, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", "-S", "-c", RUN, str(copy), *words],
        env={"PATH": ""},
        cwd="/",
        user=user,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_answers(read_only_copy: Path) -> None:
    done = run(read_only_copy, "--json")
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    assert document["skipped"] is not None
    crashed = [row for row in document["skipped"] if "crashed" in row["why"]]
    assert crashed == []


def test_it_names_a_stack(read_only_copy: Path) -> None:
    done = run(read_only_copy, "stack")
    assert (done.returncode, done.stderr) == (0, "") or "no pinned stack" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no system Python that another user may run")
def test_it_answers_to_nobody(read_only_copy: Path) -> None:
    done = run(read_only_copy, "--json", python="/usr/bin/python3", user=NOBODY)
    if "it needs 3.10 or newer" in done.stderr:
        pytest.skip(done.stderr)
    assert json.loads(done.stdout)["schema_version"] == 1
    assert not list(read_only_copy.rglob("__pycache__"))
