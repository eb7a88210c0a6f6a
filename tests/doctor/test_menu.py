"""The words that people type: what they print, where, and the exit code."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from doctor.__main__ import main
from doctor.rules import ALL_RULES

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ROOT / "tests" / "fixtures" / "machines"
HEALTHY = str(MACHINES / "rtx4090_healthy")
MINIMAL = str(MACHINES / "debian_minimal")
TOO_OLD = str(MACHINES / "a100_driver470_too_old")


def test_the_json_is_one_document_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", MINIMAL, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    asked = [*document["healthy"], *(row["code"] for row in document["skipped"] + document["findings"])]
    assert sorted(asked) == sorted(rule.code for rule in ALL_RULES)
    keys = {"code", "category", "severity", "confidence", "saw", "expected", "fix", "evidence", "doc"}
    assert all(keys <= set(finding) for finding in document["findings"])
    assert document["machine"]["torch"] == {"unknown": "torch is not installed for /usr/bin/python3", "looked": True}


def test_a_healthy_machine_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", HEALTHY, "--strict"]) == 0
    assert "nothing to complain about." in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code"), [(["--strict"], 1), ([], 0)])
def test_warnings_count_only_under_strict(words: list[str], code: int) -> None:
    assert main(["--replay", MINIMAL, "--only", "STK08,CXX01", *words]) == code


def test_only_is_deaf_to_case_and_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", HEALTHY, "--json", "--only", " drv01, TOR03 "]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] == ["DRV01", "TOR03"]


def test_the_markdown_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", MINIMAL, "--markdown"]) == 2
    text = capsys.readouterr().out
    assert "- **STK05** (problem): Python 3.11.2 at /usr/bin/python3 lacks" in text
    assert "\x1b" not in text


def test_no_colour_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--replay", MINIMAL])
    assert "\x1b" not in capsys.readouterr().out


def test_the_list_names_every_check_by_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    rooms = [block.splitlines() for block in capsys.readouterr().out.strip().split("\n\n")]
    assert sum(len(lines) - 1 for lines in rooms) == len(ALL_RULES)
    assert rooms[0][0] == "DRV  driver"
    assert rooms[0][1] == "  DRV01  the NVIDIA kernel module is loaded where there is an NVIDIA GPU  [driver]"
    assert all(line.startswith(f"  {lines[0][:3]}") for lines in rooms for line in lines[1:])


def test_the_list_as_json_is_one_row_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json", "--only", "DAT01,STK10"]) == 0
    rows = json.loads(capsys.readouterr().out)["rules"]
    assert [(row["code"], row["needs"], row["depends_on_goal"]) for row in rows] == [
        ("DAT01", ["data_set"], False),
        ("STK10", ["packages"], True),
    ]


def test_the_stack_is_one_word_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "--replay", HEALTHY]) == 0
    assert capsys.readouterr().out == "cu130\n"


def test_no_stack_says_why_on_the_other_channel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "--replay", TOO_OLD]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "it needs driver 525.60.13, here is 470.256.02" in printed.err
    assert "BEVREADY_STACK=cu130 ./bevready" in printed.err


def test_the_stack_as_json_gives_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stack", "--json", "--replay", TOO_OLD]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["stack"] is None
    assert [row["stack"] for row in document["ranking"]] == ["cu130", "cu128", "cu126"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "DRV1"], "--only DRV1: there is no such check; did you mean DRV"),
        (["--only", "ZZZZZ"], "--only ZZZZZ: there is no such check; see: python3 -m doctor --list"),
        (["--for", "fun"], "--for fun: expected run, build-ext, docker or recipe:NAME"),
        (["--for", "recipe:"], "--for recipe:: expected run"),
        (["--for", "recipe:bevformer_huge"], "--for recipe:bevformer_huge: there is no such recipe; expected one of"),
        (["--replay", "/no/such/folder"], "/no/such/folder: No such file or directory; make a recording with"),
        (["--python", "/no/such/python"], "--python /no/such/python: not an executable file"),
        (["--record", "/proc/nowhere"], "name a folder that can be written"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_two(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("words", [["--jsn"], ["stacks"], ["--for"]])
def test_an_unknown_word_points_to_the_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "see: python3 -m doctor --help" in capsys.readouterr().err


def test_a_recipe_is_a_goal(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--replay", HEALTHY, "--for", "recipe:bevformer_tiny", "--json"])
    assert json.loads(capsys.readouterr().out)["goal"] == "recipe:bevformer_tiny"


def test_recording_and_replaying_through_the_menu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = main(["--record", str(tmp_path / "m"), "--json"])
    printed = capsys.readouterr()
    assert "redacted" in printed.err
    assert main(["--replay", str(tmp_path / "m"), "--json"]) == recorded
    replayed = json.loads(capsys.readouterr().out)
    assert replayed["findings"] == json.loads(printed.out)["findings"]


def test_another_interpreter_is_judged_by_its_own_packages(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--python", sys.executable, "--json"])
    assert json.loads(capsys.readouterr().out)["machine"]["packages"]["python"] == sys.executable


@pytest.mark.slow
def test_deep_imports_torch(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--python", sys.executable, "--deep", "--json"])
    torch = json.loads(capsys.readouterr().out)["machine"]["torch"]
    assert torch["imported"] is True
    assert "sm_80" in torch["archs"]


class TestNobodyListens:
    def shell(self, words: str) -> subprocess.CompletedProcess[str]:
        command = f"{shlex.quote(sys.executable)} -m doctor --replay {shlex.quote(HEALTHY)} {words}"
        return subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    def test_a_closed_standard_output_ends_in_no_traceback(self) -> None:
        told = self.shell(">&-")
        assert (told.returncode, told.stderr) == (0, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
    def test_a_full_disk_behind_standard_output_is_said(self) -> None:
        told = self.shell("> /dev/full")
        assert (told.returncode, told.stderr.count("\n")) == (2, 1)
        assert "standard output: No space left on device" in told.stderr

    def test_a_pipe_that_is_closed_early_ends_in_no_traceback(self) -> None:
        assert self.shell("--all | head -1").stderr == ""


def test_what_a_stranger_recorded_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((Path(HEALTHY) / "machine.json").read_text(encoding="utf-8"))
    document["subject"]["python"] = "/usr/bin/\x1b]0;owned\x07\x9b2Jpython3"
    (tmp_path / "machine.json").write_text(json.dumps(document), encoding="utf-8")
    main(["--replay", str(tmp_path), "--all"])
    told = capsys.readouterr().out
    assert "owned" in told
    assert [sign for sign in told if not sign.isprintable() and sign not in "\n\t"] == []
