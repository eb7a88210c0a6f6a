"""The door to the machine: whatever is missing, forbidden, hanging or broken is a value."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from doctor.facts import Unknown
from doctor.probes import gather
from doctor.shell import MAX_TEXT, LiveHost

if TYPE_CHECKING:
    from pathlib import Path

HOST = LiveHost()


def test_a_program_that_is_not_there() -> None:
    output = HOST.run("no-such-program")
    assert output.code is None
    assert output.problem.startswith("no-such-program cannot be started:")


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    script = f"(sleep 2; echo > '{mark}') & sleep 30"
    began = time.monotonic()
    output = HOST.run("sh", "-c", script, timeout_s=0.3)
    assert output.problem == "sh gave no answer in 0.3 s"
    assert time.monotonic() - began < 2
    time.sleep(2.2)
    assert not mark.exists()


def test_output_is_text_whatever_the_bytes() -> None:
    output = HOST.run(sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff\xfe ok')")
    assert output.out.endswith(" ok")


def test_programs_speak_english() -> None:
    assert HOST.run(sys.executable, "-c", "import os; print(os.environ['LC_ALL'])").out == "C\n"


def test_a_long_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * (MAX_TEXT + 5))
    assert len(HOST.read(str(path)) or "") == MAX_TEXT


def test_what_is_missing_is_none_or_empty(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert (HOST.read(gone), HOST.real_path(gone), HOST.space(gone), HOST.listing(gone)) == (None, None, None, ())
    assert HOST.variable("NO_SUCH_VARIABLE") == ""
    assert HOST.read("bad\0name") is None


def test_permissions(tmp_path: Path) -> None:
    access = HOST.access(str(tmp_path))
    assert (access.exists, access.readable, access.writable) == (True, True, True)


def test_room(tmp_path: Path) -> None:
    total, free = HOST.space(str(tmp_path)) or (0, 0)
    assert 0 < free <= total


def test_how_a_file_system_is_mounted(tmp_path: Path) -> None:
    assert set(HOST.mount_flags(str(tmp_path))) <= {"ro", "noexec"}
    assert "noexec" in HOST.mount_flags("/proc") or HOST.mount_flags("/proc") == ()
    assert HOST.mount_flags(str(tmp_path / "gone")) == ()


def test_a_probe_that_crashes_is_unknown_and_the_others_are_known() -> None:
    def crash() -> tuple[object, ...]:
        raise RuntimeError("boom")

    found = gather(((("driver", "gpus"), crash), (("system",), lambda: ("seen",))), patience_s=5)
    assert found["system"] == "seen"
    assert found["gpus"] == Unknown("the probe crashed: RuntimeError: boom", looked=False)


def test_a_probe_that_hangs_is_left_behind() -> None:
    def hang() -> tuple[object, ...]:
        time.sleep(3)
        return ("too late",)

    began = time.monotonic()
    found = gather(((("driver",), hang), (("system",), lambda: ("seen",))), patience_s=0.2)
    assert found == {"driver": Unknown("no answer within 0.2 s", looked=False), "system": "seen"}
    assert time.monotonic() - began < 2


def test_the_machine_is_named() -> None:
    assert HOST.machine() == os.uname().machine
