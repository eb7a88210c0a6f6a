"""Phases for real: a stack of two wheels is installed by pip, fails half way, goes on, and is left alone when whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from doctor.locks.phases import PhaseError, install
from tests.env.wheels import pinned, wheel

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failed_phase_is_taken_up_again_and_a_whole_environment_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, wheels, prefix = tmp_path / "env" / "mine", tmp_path / "wheels", tmp_path / "venv"
    stack.mkdir(parents=True)
    wheels.mkdir()
    told = {"tools": ["tool"], "from_source": []}
    (stack / "stack.json").write_text(json.dumps(told), encoding="utf-8")
    (stack / "requirements.lock").write_text(
        pinned(wheel(wheels, "tool", "1")) + pinned(wheel(wheels, "fruit", "1")), encoding="utf-8"
    )
    (wheels / "fruit-1-py3-none-any.whl").rename(tmp_path / "fruit-1-py3-none-any.whl")
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(wheels)), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)
    said: list[str] = []
    with pytest.raises(PhaseError, match="the same command goes on from here"):
        install(stack, prefix, sys.executable, said.append)
    (tmp_path / "fruit-1-py3-none-any.whl").rename(wheels / "fruit-1-py3-none-any.whl")
    install(stack, prefix, sys.executable, said.append)
    install(stack, prefix, sys.executable, said.append)
    assert [words.split(": ")[1] for words in said] == [
        "a virtual environment",
        "1 packages that others build with",
        "1 packages",
        "1 packages",
        "the guard against operators that need CUDA",
    ]


def test_an_environment_that_was_interrupted_in_its_first_phase_is_ours(tmp_path: Path) -> None:
    stack, prefix, breaks = tmp_path / "mine", tmp_path / "venv", tmp_path / "python"
    stack.mkdir()
    (stack / "stack.json").write_text('{"tools": [], "from_source": []}', encoding="utf-8")
    (stack / "requirements.lock").touch()
    breaks.write_text(f"#!/bin/sh\nmkdir -p '{prefix}/lib'; exit 1\n", encoding="utf-8")
    breaks.chmod(0o755)
    for _ in range(2):
        with pytest.raises(PhaseError, match="venv failed"):
            install(stack, prefix, str(breaks), lambda _: None)


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    stack, prefix = tmp_path / "mine", tmp_path / "thesis"
    stack.mkdir()
    prefix.mkdir()
    (prefix / "chapter1.txt").touch()
    (stack / "stack.json").write_text("{}", encoding="utf-8")
    (stack / "requirements.lock").touch()
    with pytest.raises(PhaseError, match="exists and is not ours"):
        install(stack, prefix, sys.executable, lambda _: None)
    assert (prefix / "chapter1.txt").exists()
