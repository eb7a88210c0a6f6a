"""The door to the machine: whatever is missing, forbidden, hanging or broken is a value."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from doctor.facts import Unknown
from doctor.probes import gather
from doctor.replay import Replay
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


def test_the_end_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "module.ko"
    path.write_bytes(b"\x7fELF\xff" * 1000 + b"the end\n")
    assert HOST.tail(str(path), 8) == "the end\n"
    assert len(HOST.tail(str(path), 10**6) or "") == 5008
    assert HOST.tail(str(tmp_path / "gone"), 8) is None
    assert HOST.tail("bad\0name", 8) is None
    assert HOST.tail(str(tmp_path), 8) is None


def test_a_variable_may_be_set_and_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert (HOST.is_set("CUDA_VISIBLE_DEVICES"), HOST.variable("CUDA_VISIBLE_DEVICES")) == (True, "")
    assert not HOST.is_set("CUDA_DEVICE_ORDER")


def test_what_is_missing_is_none_or_empty(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert (HOST.read(gone), HOST.real_path(gone), HOST.space(gone), HOST.listing(gone)) == (None, None, None, ())
    assert HOST.variable("NO_SUCH_VARIABLE") == ""
    assert HOST.read("bad\0name") is None


def test_a_pattern_is_found_once_each_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("b2 a1 b2 c3", encoding="utf-8")
    assert LiveHost().find_in(str(tmp_path / "t.json"), "[a-z][0-9]") == ("b2", "a1", "c3")


def test_pieces_reach_from_the_first_byte_to_the_last(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"<first>" + b" " * 50_000 + b"<middle>" + b" " * 50_000 + b"<last>")
    assert LiveHost().find_in(str(tmp_path / "t"), "<[a-z]+>", 3) == ("<first>", "<middle>", "<last>")
    assert LiveHost().find_in(str(tmp_path / "t"), "<[a-z]+>", 2) == ("<first>", "<last>")
    assert LiveHost().find_in(str(tmp_path / "t"), "<[a-z]+>", 1) == ("<first>",)


@pytest.mark.parametrize("pieces", [0, 5])
def test_a_small_file_is_found_in_too_and_a_missing_one_is_not(tmp_path: Path, pieces: int) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfe a1")
    assert LiveHost().find_in(str(tmp_path / "t"), "[a-z][0-9]", pieces) == ("a1",)
    assert LiveHost().find_in(str(tmp_path / "none"), "[a-z][0-9]", pieces) == ()
    assert LiveHost().find_in(str(tmp_path), "[a-z][0-9]", pieces) == ()


def test_a_recording_answers_only_with_what_fits_the_pattern() -> None:
    replay = Replay({"found": {"/t": ["a1", "../../etc/passwd", 3, "b2", None], "/u": "a1"}})
    assert replay.find_in("/t", "[a-z][0-9]") == ("a1", "b2")
    assert replay.find_in("/t", "[a-z][0-9]", 1) == ("a1",)
    assert replay.find_in("/u", "[a-z][0-9]") == replay.find_in("/v", "x") == ()


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
