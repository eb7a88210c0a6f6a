"""Stopping politely: the first Ctrl-C (or SIGTERM) lets the current iteration end, a second one does not wait."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interrupted(Exception):  # noqa: N818 — like KeyboardInterrupt, an event and not an error
    """The user stopped the work at a point from which the same command goes on."""


@contextmanager
def stop_on_signal(when: str, *, alone: bool = True) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a stop was asked for; `when` says on stderr when it will happen.

    One of several processes (`alone` is False) is ended by SIGTERM at once: its launcher sends that when another one
    died, and the iteration under way would wait for the dead.
    """
    asked = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may handle signals
        return

    def ask(_signum: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print(f"\nstopping {when}; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)  # noqa: T201

    polite = (signal.SIGINT, signal.SIGTERM) if alone else (signal.SIGINT,)
    before = {s: signal.signal(s, ask) for s in polite}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
