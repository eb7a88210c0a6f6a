"""Progress of long work on stderr: a bar with rate and time left on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BEFORE_FIRST = 1.0


class Advance(Protocol):
    """Called after each unit of work; `note` replaces the words at the end of the line."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more units as done."""


class _RateColumn(TextColumn):
    """Units a second, or seconds a unit when those are the readable ones."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(rate_words(task.speed or 0.0), style="progress.data.speed")


@contextmanager
def progress(
    label: str, total: int, *, done: int = 0, alike: bool = True, tty: bool | None = None, shown: bool = True
) -> Iterator[Advance]:
    """Show how far `label` is, out of `total` units of which `done` were there already.

    Units that are not `alike` (one takes a second, another an hour) tell how long it took so far, and foretell nothing.
    """
    if not shown:  # one of several processes speaks for all
        yield _silent
    elif sys.stderr.isatty() if tty is None else tty:
        with _bar(label, total, done, alike=alike) as advance:
            yield advance
    else:
        yield _lines(label, total, done, alike=alike)


@contextmanager
def told(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of work that says for itself how far it is: call what is yielded with (done, total)."""
    with ExitStack() as stack:
        advance: Advance | None = None
        seen = 0

        def tell(done: int, total: int) -> None:
            nonlocal advance, seen
            if advance is None:
                advance = stack.enter_context(progress(label, total))
            advance(done - seen)
            seen = done

        yield tell


@contextmanager
def _bar(label: str, total: int, done: int, *, alike: bool) -> Iterator[Advance]:
    times = (_RateColumn(), TimeRemainingColumn()) if alike else (TimeElapsedColumn(),)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), *times)
    note_column = TextColumn("{task.fields[note]}")
    with Progress(*columns, note_column, console=Console(stderr=True), speed_estimate_period=120) as bar:
        task = bar.add_task(label, total=total, completed=done, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            bar.update(task, advance=steps, note=note)

        yield advance


def _silent(steps: int = 1, note: str = "") -> None:
    """Count in silence."""


def _lines(label: str, total: int, done: int, *, alike: bool) -> Advance:
    started = time.monotonic()
    last_line = started - SECONDS_BETWEEN_LINES + SECONDS_BEFORE_FIRST
    count = done

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal count, last_line
        count += steps
        now = time.monotonic()
        if now - last_line < SECONDS_BETWEEN_LINES and count < total:
            return
        last_line = now
        times = _pace(count - done, total - count, now - started) if alike else f"after {duration_words(now - started)}"
        line = f"{label} {count}/{total} · {times} {note}".rstrip()
        print(line, file=sys.stderr, flush=True)  # noqa: T201 — showing progress is this room's purpose

    return advance


def _pace(done: int, left: int, seconds: float) -> str:
    """Return the rate so far and, from it, what is left."""
    speed = done / max(seconds, 1e-9)
    end = (f"{duration_words(left / speed)} left" if speed else "") if left else "done"
    return " · ".join(word for word in (rate_words(speed), end) if word)


def rate_words(per_second: float) -> str:
    """Return "3.2/s" or, for slow work, "4.1 s each"."""
    if per_second <= 0:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


def duration_words(seconds: float) -> str:
    """Return a duration as a person says it: "42 s", "3 min", "5 h 10 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
