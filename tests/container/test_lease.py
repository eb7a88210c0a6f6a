"""The first process of a container ends its work when whoever started it is gone, politely before by force."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LEASE = Path(__file__).resolve().parents[2] / "repro" / "containers" / "lease.py"
POLITE = """
import signal, sys, time
def stop(number, frame):
    print("stopped by", signal.Signals(number).name, flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
SHORT_PATIENCE = (
    f"import sys; sys.path.insert(0, {str(LEASE.parent)!r}); import lease; lease._watch.__defaults__ = ((0.2, 0.1),); "
    "sys.exit(lease.main(sys.argv[1:]))"
)


def start(script: str, *before: str) -> subprocess.Popen[str]:
    words = [sys.executable, *(before or (str(LEASE),)), sys.executable, "-c", script]
    pipe = subprocess.PIPE
    child = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_when_the_starter_is_gone_the_work_is_asked_to_stop() -> None:
    out, err = (child := start(POLITE)).communicate(timeout=30)  # communicate closes its standard input
    assert (child.returncode, out) == (7, "stopped by SIGINT\n")
    assert "who started this container is gone; stopping" in err


def test_work_that_does_not_listen_is_ended() -> None:
    child = start(STUBBORN, "-c", SHORT_PATIENCE)
    began = time.monotonic()
    child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGKILL
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_work(number: signal.Signals) -> None:
    child = start(POLITE)
    child.send_signal(number)
    assert child.wait(timeout=30) == 7
    assert child.stdout is not None
    assert child.stdout.read() == f"stopped by {number.name}\n"
    child.communicate()


@pytest.mark.parametrize("code", [0, 2, 130])
def test_the_exit_code_is_that_of_the_work(code: int) -> None:
    child = start(f"print('ready', flush=True); raise SystemExit({code})")
    assert child.wait(timeout=30) == code
    child.communicate()


def test_a_program_that_is_not_there_is_named() -> None:
    done = subprocess.run(
        [sys.executable, str(LEASE), "/no/such/program"], input="", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (127, "/no/such/program: No such file or directory\n")
