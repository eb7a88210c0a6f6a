"""What the pages of the menu share: from a task's parameters to the words of a command line, and its exit code."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec

from invoke.exceptions import Exit
from invoke.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = ParamSpec("P")


def repro(typed: Sequence[str]) -> int:
    """Answer the words after `python -m repro`; return the exit code."""
    from repro.__main__ import main

    return main(typed)


def passed_to(menu: Callable[[list[str]], int], *command: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Give a task its body: `menu` gets `command` and then what was typed; its exit code ends the task.

    A parameter without a default is a plain word, any other a flag: `eval_only` is --eval-only, `for_` is --for. Left
    out are switches that are off, texts that are empty, and numbers that are the task's own default.
    """

    def with_body(task: Callable[P, None]) -> Callable[P, None]:
        signature = inspect.signature(task)

        @functools.wraps(task)
        def body(*args: P.args, **kwargs: P.kwargs) -> None:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            _, *parameters = signature.parameters.values()  # the first one is invoke's context
            plain = [given.arguments[p.name] for p in parameters if p.default is p.empty]
            flags = {_flag(p.name): _value(p, given.arguments[p.name]) for p in parameters if p.default is not p.empty}
            leave(menu([*command, *plain, *words(flags)]))

        return body

    return with_body


class KeepsH(Task[Any]):
    """A task that gives no flag of its own the short form -h, which asks for help: `@task(klass=KeepsH)`."""

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Return what invoke makes of a parameter."""
        told: dict[str, Any] = super().arg_opts(name, default, {*taken_names, "h"})
        return told


def _flag(parameter: str) -> str:
    return f"--{parameter.strip('_').replace('_', '-')}"


def _value(parameter: inspect.Parameter, given: Any) -> str | bool:
    """Return what stands behind a flag: a text, empty for nothing, or whether a switch is on."""
    if isinstance(given, bool):
        return given
    is_number = isinstance(given, int)
    return "" if given is None or (is_number and given == parameter.default) else str(given)


def words(flags: dict[str, str | bool]) -> list[str]:
    """Turn `{"--run": "x", "--smoke": True, "--plan": False}` into the words a command line would hold."""
    typed: list[str] = []
    for flag, value in flags.items():
        if value is True:
            typed.append(flag)
        elif value:
            typed += [flag, value]
    return typed


def leave(code: int) -> None:
    """End the task with an exit code. Raises Exit unless it is 0."""
    if code:
        raise Exit(code=code)
