"""What tasks of the menu share: from named values to the words of a command line, and from exit codes to the end."""

from __future__ import annotations

from invoke.exceptions import Exit


def words(*options: dict[str, str | bool]) -> list[str]:
    """Turn `{"--run": "x", "--smoke": True, "--plan": False}` into the words a command line would hold."""
    typed: list[str] = []
    for name, value in (item for group in options for item in group.items()):
        if value is True:
            typed.append(name)
        elif value:
            typed += [name, str(value)]
    return typed


def leave(code: int) -> None:
    """End the task with an exit code. Raises Exit unless it is 0."""
    if code:
        raise Exit(code=code)
