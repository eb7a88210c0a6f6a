"""Tasks pass on what was typed, word for word, and every flag of a task is one that the command behind it reads."""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

import tasks
from repro.__main__ import COMMANDS, main
from repro.menu.words import passed_to
from repro.options import parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.parser.context import ParserContext

ROOT = Path(__file__).resolve().parents[1]
SAID: list[list[str]] = []


def menu(typed: list[str]) -> int:
    """Answer like a menu, with the number of words as exit code."""
    SAID.append(typed)
    return len(typed)


@passed_to(menu, "go")
def go(
    _: Context,
    where: str,
    *,
    for_: str = "",
    without_can_bus: bool = False,
    nodes: int = 1,
    seed: int = 0,
    video: str | bool | None = None,
    recipe: str = "nano",
) -> None:
    """Go somewhere."""


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({}, ["--recipe", "nano"]),
        ({"recipe": ""}, []),
        ({"for_": "x y"}, ["--for", "x y", "--recipe", "nano"]),
        ({"without_can_bus": True, "recipe": ""}, ["--without-can-bus"]),
        ({"nodes": 1, "seed": 0, "recipe": ""}, []),
        ({"nodes": 0, "seed": 1, "recipe": ""}, ["--nodes", "0", "--seed", "1"]),
        ({"video": "gif", "recipe": ""}, ["--video", "gif"]),
        ({"video": True, "recipe": ""}, ["--video"]),
    ],
)
def test_what_was_typed_is_passed_on(given: dict[str, str], typed: list[str]) -> None:
    with pytest.raises(Exit) as end:
        go(Context(), "there", **given)  # type: ignore[arg-type]
    assert SAID[-1] == ["go", "there", *typed]
    assert end.value.code == 2 + len(typed)


def test_exit_code_0_lets_the_next_task_run() -> None:
    @passed_to(lambda _: 0)
    def rest(_: Context) -> None:
        """Rest."""

    rest(Context())


def test_a_task_keeps_its_name_its_words_of_help_and_its_flags() -> None:
    shown: Task[Callable[..., None]] = Task(go)
    assert (shown.name, shown.__doc__) == ("go", "Go somewhere.")
    assert flags_of(shown) == {"--for", "--without-can-bus", "--nodes", "--seed", "--video", "--recipe"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_task_is_one_of_its_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = flags_of(tasks.namespace["repro" if command == "run" else command])
    with pytest.raises(SystemExit):
        main([command, "--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert flags - {"--show"} <= known, "--show NAME is a plain word of `python -m repro recipes`"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_that_stays_unsaid_is_the_command_s_own(command: str) -> None:
    signature = inspect.signature(tasks.namespace["repro" if command == "run" else command].body)
    (commands,) = (part for part in parser()._actions if isinstance(part, argparse._SubParsersAction))
    for name, parameter in signature.parameters.items():
        if isinstance(parameter.default, int) and not isinstance(parameter.default, bool):
            assert (commands.choices[command].get_default(name) or 0) == parameter.default, name


@pytest.mark.parametrize("context", tasks.namespace.to_contexts(), ids=lambda context: context.name)
def test_h_asks_for_help_after_every_task(context: ParserContext) -> None:
    assert "-h" not in context.flags


def test_a_reader_that_left_is_nothing_to_complain_about() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "repro", "recipes", "--json"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(words, cwd=ROOT, env=buffered, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def flags_of(task: Task[Callable[..., None]]) -> set[str]:
    """Return the flags of a task as typed; its plain words are none."""
    return {f"--{argument.names[0]}" for argument in Task(task.body).get_arguments() if not argument.positional}
