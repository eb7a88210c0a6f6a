"""The explainer: any bytes are a log, in any encoding, of any length; lines keep their numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doctor.__main__ import main
from doctor.logs.condense import FEW, LONGEST, MOST, condense
from doctor.logs.explain import explain
from doctor.logs.read import MAX_LOG, decode, normalise, read_log
from doctor.logs.signatures import ALL_SIGNATURES

ROOT = Path(__file__).resolve().parents[3]
MACHINES = ROOT / "tests" / "fixtures" / "machines"
CAUSE = "nvcc fatal   : Unsupported gpu architecture 'compute_89'"


def name_of_cause(log: bytes) -> str | None:
    cause = explain(log).cause
    return cause.signature.name if cause else None


class TestReading:
    @pytest.mark.parametrize(
        "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
    )
    def test_a_log_in_any_encoding_is_read(self, encoding: str) -> None:
        assert name_of_cause(f"make\n{CAUSE}\n".encode(encoding)) == "nvcc-unknown-architecture"

    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
    def test_a_compiler_that_speaks_chinese_is_understood(self, encoding: str) -> None:
        log = "在包含自 a.cpp:1 的文件中:\na.cpp:2:10: 致命错误：THC/THC.h：没有那个文件或目录\n编译中断。\n"
        assert name_of_cause(log.encode(encoding)) == "thc-headers"

    @pytest.mark.parametrize("words", ["schwerwiegender Fehler", "erreur fatale", "error fatal", "fatal error"])
    def test_a_compiler_in_other_languages_is_understood(self, words: str) -> None:
        assert name_of_cause(f"a.cpp:2:10: {words}: cusparse.h: …".encode()) == "toolkit-header-missing"

    def test_colours_and_links_of_a_terminal_are_no_hindrance(self) -> None:
        log = "\x1b[01m\x1b[Knvcc fatal\x1b[m   : \x1b[31mUnsupported gpu \x1b[0marchitecture 'compute_89'\x1b]0;t\x07"
        assert name_of_cause(log.encode()) == "nvcc-unknown-architecture"

    def test_typographic_quotes_are_quotes(self) -> None:
        assert name_of_cause("ModuleNotFoundError: No module named ‘mmcv._ext’".encode()) == "mmcv-without-ops"

    def test_a_progress_bar_before_the_message_is_no_hindrance(self) -> None:
        bar = "".join(f"\rDownloading {percent}%" for percent in range(100))
        assert name_of_cause(f"{bar}\r{CAUSE}".encode()) == "nvcc-unknown-architecture"

    def test_one_broken_byte_does_not_turn_a_log_into_chinese(self) -> None:
        assert "café" in decode("café \n".encode() + b"\xff\n" + b"tail\n")

    def test_what_is_shown_of_a_line_cannot_control_a_terminal(self) -> None:
        cause = explain(f"\x1b[2J\x07{CAUSE}\x08\x9b31m".encode()).cause
        assert cause is not None
        assert cause.line.isprintable()

    def test_of_a_file_too_long_the_front_and_the_back_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "long.log"
        with path.open("wb") as file:
            file.write(b"front\n")
            file.seek(MAX_LOG + 1000)
            file.write(b"\nback\n")
        data = read_log(str(path))
        assert (data[:6], data[-6:], len(data) <= MAX_LOG + 1) == (b"front\n", b"\nback\n", True)


class TestCondensing:
    def test_lines_that_differ_in_numbers_are_kept_a_few_times_from_both_ends(self) -> None:
        log = condense("\n".join(f"Epoch [{epoch}] loss: {epoch}.5" for epoch in range(1000)))
        kept = log.text.split("\n")
        assert len(kept) == 2 * FEW
        assert (kept[0], kept[-1]) == ("Epoch [0] loss: 0.5", "Epoch [999] loss: 999.5")

    def test_lines_keep_their_numbers(self) -> None:
        log = condense("\n".join(["noise 1", *(f"noise {number}" for number in range(5000)), "the end"]))
        assert log.number_at(log.text.index("the end")) == 5002

    @given(st.lists(st.text(alphabet="ab1 \n", max_size=30), max_size=60))
    def test_every_kept_line_is_the_line_of_its_number(self, parts: list[str]) -> None:
        text = "\n".join(parts)
        log = condense(text)
        lines = text.split("\n")
        kept = zip(log.starts, log.numbers, log.text.split("\n"), strict=True)
        assert all(lines[number - 1] == line and log.number_at(start) == number for start, number, line in kept)

    def test_a_line_without_end_is_cut_and_no_message_with_it(self) -> None:
        for shift in range(0, LONGEST, 97):
            log = "x" * (LONGEST - 60 + shift) + " " + CAUSE + " " + "y" * LONGEST
            assert name_of_cause(log.encode()) == "nvcc-unknown-architecture"

    def test_a_log_in_a_json_string_is_read_line_by_line(self) -> None:
        log = json.dumps({"log": "\n".join(["step"] * 2000 + [CAUSE] + ["step"] * 2000)})
        assert name_of_cause(log.encode()) == "nvcc-unknown-architecture"

    def test_the_end_of_a_log_too_varied_to_condense_is_kept(self) -> None:
        words = [
            "".join(sorted(f"{number:b}".replace("0", "a").replace("1", "b"))) + hex(number) for number in range(9)
        ]
        filler = "\n".join(
            f"{chr(97 + number % 26)}{hex(number * 7919)}{words[number % 9]}" * 40 for number in range(60_000)
        )
        assert len(filler) > 2 * MOST
        assert condense(f"{filler}\n{CAUSE}").text.endswith(CAUSE)


class TestNothingKnown:
    @pytest.mark.parametrize(
        "log", [b"", b"\n", b"hello\n", b"\x00\xff" * 1000, b"make: Nothing to be done for 'all'.\n"]
    )
    def test_a_log_with_nothing_known_in_it_names_no_cause(self, log: bytes) -> None:
        told = explain(log)
        assert (told.cause, told.category) == (None, "other")

    def test_a_traceback_without_its_end_is_said_to_be_cut(self) -> None:
        told = explain(b'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    main()\n')
        assert told.cause is None
        assert [hit.signature.name for hit in told.hits] == ["traceback-cut"]


@settings(max_examples=150)
@given(st.binary(max_size=2000))
@example(b"\xff\xfe\x00")
def test_any_bytes_are_a_log(log: bytes) -> None:
    explain(log)


@settings(max_examples=300)
@given(st.sampled_from(ALL_SIGNATURES), st.data())
def test_a_damaged_sample_never_ends_in_an_exception(signature: object, data: st.DataObject) -> None:
    sample = bytearray(getattr(signature, "sample").encode())  # noqa: B009 — hypothesis types it as object
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, max(0, len(sample) - 1)))
        sample[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=6))
    for hit in explain(bytes(sample)).hits:
        assert hit.saw
        assert all(hit.fix)


@given(st.text(max_size=3000))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert "\r" not in once
    assert normalise(once).replace("\x1b", "") == once.replace("\x1b", "") or "\x1b" in once


class TestMenu:
    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "doctor", "explain", *words]
        return subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False, timeout=60)

    def test_a_cause_is_named_with_its_line_and_exit_code_zero(self, tmp_path: Path) -> None:
        (tmp_path / "a.log").write_text(f"[1/2] c++ a.o\n{CAUSE}\nninja: build stopped: subcommand failed.\n")
        told = self.run(str(tmp_path / "a.log"), "--alone")
        assert (told.returncode, told.stderr) == (0, "")
        assert "CAUSE" in told.stdout
        assert "2: nvcc fatal : Unsupported gpu architecture" in told.stdout
        assert "ninja: build stopped" not in told.stdout

    def test_standard_input_and_json(self) -> None:
        told = self.run("-", "--json", "--alone", given=CAUSE)
        document = json.loads(told.stdout)
        assert (document["known"], document["category"], document["exit_code"]) == (True, "gpu-arch-unsupported", 0)
        first = document["findings"][0]
        assert (first["category"], first["confidence"], first["line"]) == ("gpu-arch-unsupported", "sure", 1)
        assert {"code", "severity", "saw", "expected", "fix", "evidence", "doc"} <= set(first)

    def test_nothing_known_is_exit_code_three_and_said(self) -> None:
        told = self.run("-", "--alone", given="all is well\n")
        assert told.returncode == 3
        assert "nothing in it that names a cause" in told.stdout

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ((), "name one log file"),
            (("a.log", "b.log"), "name one log file"),
            (("no/such.log",), "no/such.log: No such file or directory"),
            ((".",), "Is a directory"),
            (("-", "--replay", "no/machine"), "no/machine"),
        ],
    )
    def test_a_mistake_is_one_sentence_and_exit_code_two(self, words: tuple[str, ...], sentence: str) -> None:
        told = self.run(*words, given=CAUSE)
        assert (told.returncode, told.stdout) == (2, "")
        assert sentence in told.stderr
        assert told.stderr.count("\n") == 1


class TestWithAMachine:
    def here(self, log: str, machine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
        path = tmp_path / "a.log"
        path.write_text(log)
        assert main(["explain", str(path), "--json", "--replay", str(MACHINES / machine)]) == 0
        lines: list[str] = json.loads(capsys.readouterr().out)["here"]
        return lines

    def test_the_installed_torch_tells_what_an_undefined_symbol_means(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = "ImportError: /e/torchvision/_C.so: undefined symbol: _ZN3c104cuda9SetDeviceEi"
        lines = self.here(log, "rtx3090_driver535_torch_cu124", tmp_path, capsys)
        assert "torch 2.5.1+cu124 is installed" in lines[0]
        assert any("torchvision==" in line for line in lines)

    def test_the_stack_that_fits_is_named_for_a_torch_without_this_gpu(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = "RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation."
        lines = self.here(log, "rtx5090_torch_cu124", tmp_path, capsys)
        assert any("the doctor sees it here too: TOR03" in line for line in lines)
        assert any("the pinned stack that fits: cu1" in line for line in lines)

    def test_without_a_cause_no_machine_is_looked_at(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.log"
        path.write_text("hello\n")
        assert main(["explain", str(path), "--json", "--replay", str(MACHINES / "rtx4090_healthy")]) == 3
        assert json.loads(capsys.readouterr().out)["here"] == []


def test_closed_standard_input_is_an_empty_log() -> None:
    command = f"exec '{sys.executable}' -m doctor explain - --alone <&-"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (3, "")


def test_old_cmake_and_pip_say_it_in_their_own_words() -> None:
    assert (
        name_of_cause(b"Could NOT find CUDA (missing: CUDA_TOOLKIT_ROOT_DIR CUDA_NVCC_EXECUTABLE)")
        == "cmake-finds-no-cuda"
    )
    assert (
        name_of_cause(b"Could not fetch URL x: There was a problem confirming the ssl certificate: x") == "certificate"
    )
    assert name_of_cause(b"Could NOT find CUDA (missing: CUDA_CUDART_LIBRARY)") is None


def test_gcc_11_under_an_old_nvcc_needs_no_word_of_nvcc() -> None:
    said = b"/usr/include/c++/11/bits/std_function.h:435:145: error: parameter packs not expanded with '...':"
    assert name_of_cause(said) == "nvcc-stumbles-over-gcc-headers"
