"""The first process in a container: it starts the work, and ends it when whoever started the container is gone.

The starter holds the container's standard input open and writes nothing. Where that closes (Ctrl-C, a kill, a lost
connection), nobody would stop the work any more: it is asked to stop, as by Ctrl-C, and after a while it has to.
Standard library only, and nothing of ours: this runs in every image.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_S = (60.0, 10.0)  # after the first polite signal, after the second one
NOT_STARTED = 127


def main(words: Sequence[str]) -> int:
    """Run the words as a program until it ends; return its exit code, 128 and its signal where one ended it."""
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL)  # noqa: S603 — words of running.py, no shell
    except OSError as why:
        sys.stderr.write(f"{words[0]}: {why.strerror}\n")
        return NOT_STARTED
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: _pass_on(child.pid, signum))
    threading.Thread(target=_watch, args=(child.pid,), daemon=True).start()
    return _reap(child.pid)


def _reap(pid: int) -> int:
    """Wait for the work. As the first process we also inherit, and must collect, what it leaves behind."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _watch(pid: int, patience_s: Sequence[float] = PATIENCE_S) -> None:
    while os.read(0, 1 << 12):
        pass  # nobody writes; whatever comes is no word to us
    sys.stderr.write("\nwho started this container is gone; stopping\n")
    for seconds in patience_s:
        _pass_on(pid, signal.SIGINT)
        time.sleep(seconds)
    _pass_on(pid, signal.SIGKILL)


def _pass_on(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
