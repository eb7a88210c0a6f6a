"""What a shim of pyenv stands for: found without starting it, which would cost ten times what its program does."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.shell import LiveHost

HOST = LiveHost()


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a pyenv with 3.11.7, 3.12.1 and 3.12.10, 3.11.7 chosen for all; /usr/bin has a Python 3.10."""
    root = tmp_path / "pyenv"
    for version in ("3.11.7", "3.12.1", "3.12.10"):
        name = "python" + version.rsplit(".", 1)[0]
        real = Path(program(root / "versions" / version / "bin" / name))
        (real.parent / "python3").symlink_to(real.name)
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.9"):
        program(root / "shims" / name)
    program(tmp_path / "usr" / "bin" / "python3.10")
    program(tmp_path / "usr" / "bin" / "python3")
    (root / "version").write_text("3.11.7\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{root}/shims:{tmp_path}/usr/bin")
    monkeypatch.delenv("PYENV_VERSION", raising=False)
    monkeypatch.chdir(tmp_path)
    return root


def test_the_version_chosen_for_all(pyenv: Path) -> None:
    assert HOST.which("python3.11") == f"{pyenv}/versions/3.11.7/bin/python3.11"


def test_two_names_of_one_program_are_one_path(pyenv: Path) -> None:
    assert HOST.which("python3") == f"{pyenv}/versions/3.11.7/bin/python3.11"


def test_a_version_that_is_not_chosen_is_not_there(pyenv: Path) -> None:
    assert (pyenv / "shims" / "python3.12").exists()
    assert HOST.which("python3.12") is None


def test_else_the_rest_of_path_counts(pyenv: Path) -> None:
    assert HOST.which("python3.10") == f"{pyenv.parent}/usr/bin/python3.10"


def test_the_variable_comes_first_and_may_name_several(pyenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_VERSION", "3.12.1:3.11.7")
    assert HOST.which("python3") == f"{pyenv}/versions/3.12.1/bin/python3.12"
    assert HOST.which("python3.11") == f"{pyenv}/versions/3.11.7/bin/python3.11"


def test_system_is_what_stands_behind_the_shims(pyenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_VERSION", "system")
    assert HOST.which("python3") == f"{pyenv.parent}/usr/bin/python3"


def test_a_file_in_a_parent_folder_chooses_and_3_12_is_the_newest_of_its_kind(
    pyenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = pyenv.parent / "project" / "deep"
    below.mkdir(parents=True)
    (below.parent / ".python-version").write_text("# for us\n3.12 # the newest\n", encoding="utf-8")
    monkeypatch.chdir(below)
    assert HOST.which("python3.12") == f"{pyenv}/versions/3.12.10/bin/python3.12"


def test_an_interpreter_that_belongs_to_an_environment_keeps_its_path(
    pyenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pyenv / "versions" / "mine" / "bin").mkdir(parents=True)
    (pyenv / "versions" / "mine" / "bin" / "python3").symlink_to(pyenv / "versions" / "3.11.7" / "bin" / "python3.11")
    monkeypatch.setenv("PYENV_VERSION", "mine")
    assert HOST.which("python3") == f"{pyenv}/versions/mine/bin/python3"


def test_a_working_folder_that_is_gone_chooses_nothing(pyenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pyenv.parent / "gone").mkdir()
    monkeypatch.chdir(pyenv.parent / "gone")
    (pyenv.parent / "gone").rmdir()
    assert HOST.which("python3") == f"{pyenv}/versions/3.11.7/bin/python3.11"


def test_another_folder_called_shims_is_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "shims" / "python3")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    assert HOST.which("python3") == path
