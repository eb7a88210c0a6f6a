"""From named values to the words of a command line, for tasks that call a menu."""

from __future__ import annotations


def words(*options: dict[str, str | bool]) -> list[str]:
    """Turn `{"--run": "x", "--smoke": True, "--plan": False}` into the words a command line would hold."""
    typed: list[str] = []
    for name, value in (item for group in options for item in group.items()):
        if value is True:
            typed.append(name)
        elif value:
            typed += [name, str(value)]
    return typed
