"""The doctor among programs that hang: it answers in time, says once what it could not ask, leaves nobody behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doctor.facts import Unknown
from doctor.probes import gather
from doctor.replay import Replay
from doctor.shell import WATCH, LiveHost, Output, Watch

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 4.0  # with a program that says nothing
OTHERS = (
    *("docker", "podman", "nvidia-ctk", "nvidia-container-cli", "systemctl", "dkms", "modinfo", "mokutil", "ldconfig"),
    *("lspci", "ip", "git", "make", "cmake", "ninja", "gcc", "g++", "clang++", "conda", "uv", "pip", "dpkg", "rpm"),
)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN); "
)
# deaf to SIGTERM, and its child, as deaf, holds the pipe
HANGS = f"""#!{sys.executable} -S
import os, pathlib
os.fork()
pathlib.Path({{pids!r}}, str(os.getpid())).touch()
{DEAF}
time.sleep(60)
"""


@dataclass(frozen=True)
class Seen:
    """What the doctor said, how long it took, and which of the hanging programs still run."""

    document: Any
    code: int
    seconds: float
    alive: list[str]

    @property
    def could_not_look(self) -> set[str]:
        return {row["why"] for row in self.document["skipped"] if not row["looked"]}


def hanging(folder: Path, *names: str) -> None:
    """Write programs that hang; each notes its process."""
    (folder / "pids").mkdir(parents=True)
    for name in names:
        (folder / name).write_text(HANGS.format(pids=str(folder / "pids")), encoding="utf-8")
        (folder / name).chmod(0o755)


def seen(folder: Path, *words: str) -> Seen:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "doctor", "--json", *words],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CXX": "", "CUDA_HOME": "", "CUDA_PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    seconds = time.monotonic() - began
    assert done.stderr == ""
    time.sleep(0.1)
    pids = [path.name for path in (folder / "pids").iterdir()]
    assert pids, "the program was not asked at all"
    return Seen(json.loads(done.stdout), done.returncode, seconds, [pid for pid in pids if runs(pid)])


def runs(pid: str) -> bool:
    """Return whether the process is there and no zombie."""
    try:
        status = Path("/proc", pid, "stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(scope="module")
def usual() -> tuple[Any, float]:
    """Return what the doctor says of this machine as it is, and in how many seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "doctor", "--json"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    return json.loads(done.stdout), time.monotonic() - began


@pytest.fixture(scope="module")
def before(usual: tuple[Any, float]) -> Any:
    """Return what the doctor says of this machine as it is."""
    return usual[0]


@pytest.fixture(scope="module")
def longest_s(usual: tuple[Any, float]) -> float:
    """Return how long a look among silent programs may take: waiting once, and what looking takes on this machine."""
    return PATIENCE_S + 1.0 + 3 * usual[1]


def test_a_program_that_hangs_is_one_thing_that_could_not_be_looked_at(
    tmp_path: Path, before: Any, longest_s: float
) -> None:
    if "unknown" not in before["machine"]["gpus"]:
        pytest.skip("NVML answers on this machine: nobody needs nvidia-smi")
    hanging(tmp_path, "nvidia-smi")
    found = seen(tmp_path)
    assert found.could_not_look == {"nvidia-smi gave no answer in 4 s"}
    assert found.code == (2 if any(row["severity"] == "problem" for row in found.document["findings"]) else 3)
    assert found.document["machine"]["memory"]["total"] == before["machine"]["memory"]["total"]
    assert found.alive == []
    assert found.seconds <= longest_s


def test_an_environment_whose_python_hangs(tmp_path: Path, longest_s: float) -> None:
    hanging(tmp_path, "python")
    found = seen(tmp_path, "--python", str(tmp_path / "python"))
    assert len(found.could_not_look) == 1
    assert "python gave no answer in 4 s" in found.could_not_look.pop()
    assert found.alive == []
    assert found.seconds <= longest_s


def test_all_of_them_at_once_are_one_thing_each_and_take_no_longer(
    tmp_path: Path, before: Any, longest_s: float
) -> None:
    hanging(tmp_path, "nvidia-smi", "nvcc", "c++", "python3.12", "python3.11", "python3.10", "python3", *OTHERS)
    found = seen(tmp_path)
    smi = {"nvidia-smi gave no answer in 4 s"} if "unknown" in before["machine"]["gpus"] else set()
    assert found.could_not_look >= smi | {
        f"{tmp_path}/nvcc --version: nvcc gave no answer in 4 s",
        f"{tmp_path}/c++ --version: c++ gave no answer in 4 s",
    }
    assert [name for name in OTHERS if sum(f"{name} gave no answer" in why for why in found.could_not_look) > 1] == []
    assert found.alive == []
    assert found.seconds <= longest_s


def asked(*facts: object, silences: tuple[str, ...]) -> tuple[object, ...]:
    """Return what becomes of a probe's facts when some of its programs were silent."""

    def probe() -> tuple[object, ...]:
        for words in silences:
            Output.silent(words)
        return facts

    return tuple(gather(((("driver", "gpus"), probe),), patience_s=5).values())


def test_what_is_missing_after_a_silence_could_not_be_looked_at() -> None:
    missing = Unknown("no driver library")
    assert asked("seen", missing, silences=("it hung",)) == ("seen", Unknown("it hung", looked=False))
    assert asked("seen", missing, silences=()) == ("seen", missing)


def test_a_probe_that_says_so_itself_is_left_alone() -> None:
    facts = Unknown("NVML: it hung", looked=False), Unknown("no driver library")
    assert asked(*facts, silences=("it hung",)) == facts


def test_a_program_s_silence_is_remembered_by_a_recording() -> None:
    row = {"code": None, "out": [""], "problem": "nvidia-smi gave no answer in 4 s"}
    replay = Replay({"programs": {"nvidia-smi": "/usr/bin/nvidia-smi"}, "commands": {"nvidia-smi": row}})
    facts = gather(((("driver",), lambda: (Unknown(replay.run("nvidia-smi").out or "nothing"),)),), patience_s=5)
    assert facts["driver"] == Unknown("nvidia-smi gave no answer in 4 s", looked=False)


def test_no_program_is_asked_when_the_probe_s_time_is_over() -> None:
    def late() -> Output:
        WATCH.set(Watch(deadline=time.monotonic() - 1))
        return LiveHost().run("true")

    assert copy_context().run(late) == Output(None, problem="no time was left to ask true")


def test_a_program_that_hung_once_is_not_asked_again(tmp_path: Path) -> None:
    hanging(tmp_path, "slow")
    host = LiveHost()
    first = host.run(str(tmp_path / "slow"), timeout_s=0.5)
    began = time.monotonic()
    assert host.run(str(tmp_path / "slow"), "--again", timeout_s=0.5) == first
    assert time.monotonic() - began < 0.2


def test_a_program_that_ends_but_leaves_a_child_with_its_output_has_answered() -> None:
    output = LiveHost().run("sh", "-c", "echo answer; sleep 30 &", timeout_s=0.5)
    assert (output.code, output.out) == (0, "answer\n")
