"""One consultation as the menus use it: lines for a report, the number of problems, the stack that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor import consult as consult_room
from doctor.consult import (
    Consultation,
    UsageError,
    consult,
    goal_named,
    question_here,
    replay_of_this_machine,
)
from doctor.finding import Goal
from doctor.probes import Question
from doctor.replay import Replay
from doctor.shell import LiveHost

MACHINES = Path(__file__).resolve().parents[1] / "fixtures" / "machines"


def about(machine: str) -> Consultation:
    replay = Replay(json.loads((MACHINES / machine / "machine.json").read_text(encoding="utf-8")))
    subject = replay.subject()
    return consult(replay, question=Question(python=subject.python, folder=subject.folder))


def test_each_finding_is_a_line_and_problems_come_first() -> None:
    told = about("rtx4090_cpu_torch")
    assert told.num_problems == 1
    assert [line.split(":")[0] for line in told.lines] == ["TOR02 problem", "STK10 note"]


@pytest.mark.parametrize(
    ("machine", "stack"),
    [
        ("rtx4090_healthy", "cu130"),
        ("v100_driver580", "none: torch is not installed"),
        ("rtx4090_cpu_torch", "none: torch 2.13.0+cpu belongs to no pinned stack"),
    ],
)
def test_the_stack_that_is_installed_is_told_from_the_one_that_fits(machine: str, stack: str) -> None:
    assert about(machine).installed_stack == stack


def test_this_machine_is_judged_where_no_other_is_named() -> None:
    told = consult()
    assert len(told.diagnosis.verdicts) >= 15
    assert told.advice.next_command


def test_the_environment_of_bevready_is_examined_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv("BEVREADY_VENV", str(tmp_path / "venv"))
    question = question_here(LiveHost())
    assert (question.python, question.folder) == (str(python), str(tmp_path))


def test_without_it_the_doctor_s_own_interpreter_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEVREADY_VENV", str(tmp_path / "venv"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    assert question_here(LiveHost()).python == LiveHost().own_python()


def interpreter_in(folder: Path) -> str:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    return str(python)


def test_the_folder_of_an_environment_names_its_interpreter(tmp_path: Path) -> None:
    python = interpreter_in(tmp_path / "envs" / "bev")
    assert question_here(LiveHost(), python=str(tmp_path / "envs" / "bev")).python == python
    assert question_here(LiveHost(), python=python).python == python


def test_the_active_environment_is_examined_where_bevready_s_own_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conda, venv = interpreter_in(tmp_path / "conda"), interpreter_in(tmp_path / "venv")
    monkeypatch.setenv("BEVREADY_VENV", str(tmp_path / "nothing" / "here"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert question_here(LiveHost()).python == conda
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert question_here(LiveHost()).python == venv


def test_an_extension_that_is_no_file(tmp_path: Path) -> None:
    extension = tmp_path / "op.so"
    extension.touch()
    assert question_here(LiveHost(), extensions=[str(extension)]).extensions == (str(extension),)
    with pytest.raises(UsageError, match=r"--extension .*missing\.so: not a file that can be read"):
        question_here(LiveHost(), extensions=[str(tmp_path / "missing.so")])


def test_the_data_set_of_the_checkout_is_looked_at_where_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consult_room, "HOME", tmp_path)
    assert question_here(LiveHost()).dataroot == ""
    (tmp_path / "data" / "nuscenes").mkdir(parents=True)
    assert question_here(LiveHost()).dataroot == str(tmp_path / "data" / "nuscenes")
    assert question_here(LiveHost(), dataroot="/elsewhere").dataroot == "/elsewhere"


def test_this_machine_as_a_recording_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_HOME", "/home/grace/cuda")
    replay = replay_of_this_machine(dataroot="/home/grace/nuscenes")
    assert replay.variable("CUDA_HOME") == "/home/other/cuda"
    assert replay.subject().dataroot == "/home/other/nuscenes"


def test_a_checkout_that_is_no_folder(tmp_path: Path) -> None:
    assert question_here(LiveHost(), checkout=str(tmp_path)).checkout == str(tmp_path.resolve())
    with pytest.raises(UsageError, match=r"--checkout .*nowhere: there is no such folder"):
        question_here(LiveHost(), checkout=str(tmp_path / "nowhere"))


def test_a_recipe_without_a_name_is_no_goal() -> None:
    with pytest.raises(UsageError, match="--for recipe: expected run"):
        goal_named("recipe")
    assert goal_named("build-ext") == Goal("build-ext")
