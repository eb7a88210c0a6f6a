"""The doctor where nothing is: no packages, no programs, no HOME, no language, a read-only folder, another user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from doctor.__main__ import main; sys.exit(main())"
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534
NOT_STDIN = ("/bin/sh", "-c", 'exec "$@" <&-', "sh")  # what follows starts with its standard input closed


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    """Return a read-only copy of the checkout, with a blank in its path, that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own folder: that is private, and stays so
        copy = Path(folder) / "a checkout"
        for room in ("doctor", "env", "recipes"):
            shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        Path(folder).chmod(0o755)
        yield copy
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def nothing(tmp_path: Path) -> dict[str, str]:
    """Return an environment of nothing but a PATH on which nothing is."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin")}


def run(
    copy: Path,
    *words: str,
    environment: dict[str, str],
    python: str = sys.executable,
    options: tuple[str, ...] = (),
    user: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the copy's doctor from `/`, with standard input closed, without any site-packages."""
    return subprocess.run(
        [*NOT_STDIN, python, "-I", "-S", *options, "-c", RUN, str(copy), *words],
        env=environment,
        cwd="/",
        user=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def document_of(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON of a run that said nothing else, whose exit code is its own and where nothing crashed."""
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    assert [row for row in document["skipped"] if "crashed" in row["why"]] == []
    return document


def pyenv_python(version: str) -> str:
    """Return the interpreter that pyenv has of a Python version; skip where it has none."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(versions.glob(f"{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} under {versions}")
    return str(found[-1])


def test_it_answers(copy: Path, nothing: dict[str, str]) -> None:
    machine = document_of(run(copy, "--json", environment=nothing))["machine"]
    assert machine["toolkit"].get("found_by") != "PATH"
    assert machine["host_compiler"]["unknown"] == "no c++, g++ or clang++ on PATH"
    assert machine["pythons"]["found"][0]["path"] == sys.executable


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_answers_alike(copy: Path, nothing: dict[str, str], version: str) -> None:
    machine = document_of(run(copy, "--json", environment=nothing, python=pyenv_python(version)))["machine"]
    assert ".".join(map(str, machine["packages"]["version"][:2])) == version


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9"])
def test_a_python_that_is_too_old_is_told_in_one_sentence(copy: Path, nothing: dict[str, str], version: str) -> None:
    done = subprocess.run(
        [*NOT_STDIN, pyenv_python(version), "-S", "-c", RUN, str(copy)],
        env=nothing,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"doctor: this is Python {version}; it needs 3.10 or newer.")
    assert done.stderr.count("\n") == 1


def test_the_python_of_the_system_answers(copy: Path, nothing: dict[str, str]) -> None:
    document_of(system(copy, "--json", environment=nothing))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_answers_to_nobody(copy: Path, nothing: dict[str, str]) -> None:
    before = sorted(copy.rglob("*"))
    document_of(system(copy, "--json", environment=nothing, user=NOBODY))
    assert sorted(copy.rglob("*")) == before


def system(copy: Path, *words: str, environment: dict[str, str], user: int | None = None) -> Any:
    """Run the doctor with the system's Python; skip where there is none that is new enough."""
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"there is no {SYSTEM_PYTHON}")
    done = run(copy, *words, environment=environment, python=SYSTEM_PYTHON, user=user)
    if "it needs 3.10 or newer" in done.stderr:
        pytest.skip(done.stderr)
    return done


def test_a_terminal_that_knows_only_ascii(copy: Path, nothing: dict[str, str]) -> None:
    ascii_only = partial(run, copy, environment={**nothing, "LC_ALL": "C"}, options=("-X", "utf8=0"))
    done = ascii_only()
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert "next:" in done.stdout
    assert document_of(ascii_only("--json"))["advice"]["next"]
    assert ascii_only("--markdown").stderr == ""


def test_it_names_a_stack(copy: Path, nothing: dict[str, str]) -> None:
    done = run(copy, "stack", environment=nothing)
    assert (done.returncode, done.stderr) == (0, "") or "no pinned stack" in done.stderr
