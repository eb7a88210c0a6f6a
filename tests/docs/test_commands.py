"""Every command of the READMEs and of docs/ is one that can be typed: it parses, and the short ones are run."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

import tasks
from doctor.options import parser as doctor_parser
from tests.docs.pages import DOCS, GUIDES, ROOT, blocks, tables, text_of

READMES = [path for path in (ROOT / "README.md", ROOT / "README.zh.md") if path.exists()]
TEXTS = [*READMES, *sorted(DOCS.glob("*.md"))]
PARSER = Parser(contexts=tasks.namespace.to_contexts())
ANSWERS = {  # of commands that take seconds: a part of what they print, and their exit code
    "./bevready recipes": ("bevformer_tiny", 0),
    "./bevready recipes --show bevformer_tiny": ('name = "bevformer_tiny"', 0),
    "./bevready recipes --show deformable_detr_twostage": ("two_stage = true", 0),
    "./bevready synth nowhere --scenes 99": ("99", 2),
}


def typed(text: str) -> list[str]:
    """Return the commands of a text: lines of its sh blocks, and what stands between backticks elsewhere."""
    lines = [line.split("   #")[0].strip() for block in blocks(text, "sh") for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    return [words for words in (*lines, *spans) if words.startswith(("./bevready ", "python -m "))]


def without_brackets(words: str) -> str:
    """Return a command with its optional parts, which stand in brackets, as if they were typed."""
    return re.sub(r"[\[\]]", "", words)


def parse(command: str) -> None:
    """Raise ParseError, or leave with SystemExit, for a command of ours that nobody can type."""
    first, *words = shlex.split(without_brackets(command))
    if first == "python":
        spec = importlib.util.find_spec(words[1])
        assert spec is not None, f"there is no module {words[1]}"
        assert spec.origin is not None
        main = Path(spec.origin).with_name("__main__.py") if spec.submodule_search_locations else Path(spec.origin)
        assert '__name__ == "__main__"' in text_of(main), f"{words[1]} does nothing when it is run"
    elif words[0] == "doctor":
        doctor_parser(words[1:]).parse_args(words[1:])
    else:
        parsed = PARSER.parse_argv(words)
        assert not parsed.unparsed, f"nobody reads {parsed.unparsed}"


def every_command() -> list[tuple[str, str]]:
    found = [(path, command) for path in TEXTS for command in dict.fromkeys(typed(text_of(path)))]
    return [(path.relative_to(ROOT).as_posix(), command) for path, command in found]


def flags_of_rows() -> list[tuple[str, str]]:
    """Return (task, flags) of every table row that begins with a command and names more flags behind it."""
    rows = [row for path in READMES for table in tables(text_of(path)) for row in table if "`./bevready " in row[0]]
    return [
        (re.findall(r"`\./bevready ([\w-]+)", row[0])[0], flags)
        for row in rows
        for flags in re.findall(r"`(--[^`]+)`", " ".join(row))
    ]


def rows_with_figures() -> list[tuple[str, str]]:
    """Return (README, row) of the tables whose rows are measured: neither of commands nor of files."""
    found = []
    for path in READMES:
        for heading, *rows in tables(text_of(path)):
            told = 2 if len(heading) == 4 else 1  # the column of results
            measured = [row for row in rows if re.search(r"\d", row[told]) and not row[0].startswith("`./bevready ")]
            found += [(path.name, " | ".join(row)) for row in measured if not (ROOT / row[0].strip("`")).exists()]
    return found


@pytest.mark.parametrize(("text", "command"), every_command())
def test_every_command_parses(text: str, command: str) -> None:
    del text  # it names the test
    parse(command)


@pytest.mark.parametrize(("task", "flags"), flags_of_rows())
def test_flags_named_beside_a_command_are_flags_of_it(task: str, flags: str) -> None:
    words = flags.replace(" or `all`", "")
    try:
        parse(f"./bevready {task} {words}")
    except ParseError:
        parse(f"./bevready repro {words}")  # what one task makes, the main one takes


@pytest.mark.parametrize(("readme", "row"), rows_with_figures())
def test_every_figure_names_what_made_it(readme: str, row: str) -> None:
    sources = [span for span in re.findall(r"`([^`]+)`", row) if span in typed(f"`{span}`") or (ROOT / span).exists()]
    assert sources, f"{readme}: no command, test or result file stands beside this figure: {row}"


def test_a_command_that_nobody_reads_is_noticed() -> None:
    with pytest.raises(ParseError, match="No idea what 'bevformer_tiny' is"):
        parse("./bevready recipes bevformer_tiny")
    with pytest.raises(ParseError, match="--nope"):
        parse("./bevready repro --nope")
    with pytest.raises(SystemExit):
        parse("./bevready doctor --nope")
    with pytest.raises(AssertionError, match="no module"):
        parse("python -m repro.nope")


def test_tasks_that_take_a_plain_word_take_it() -> None:
    for command in ("docker-run 'recipes --json'", "check runs/x", "diff runs/x runs/y", "archive runs/x x.zip"):
        parse(f"./bevready {command}")


@pytest.mark.parametrize("command", ANSWERS)
def test_short_commands_answer(command: str) -> None:
    _, *words = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    answer, code = ANSWERS[command]
    assert answer in done.stdout + done.stderr
    assert done.returncode == code, done.stderr


def test_the_commands_of_the_pages_are_among_those_that_are_run() -> None:
    told = [path for path in DOCS.glob("*.md") if path.name not in GUIDES]  # those need weights: parsed above
    lines = [line for path in told for block in blocks(text_of(path), "sh") for line in block.splitlines()]
    pages = {line for line in lines if line}
    assert pages - {"python -m docs.drawings"} <= set(ANSWERS), "test_drawings.py runs the one that is left out"


def test_the_doctor_has_as_many_checks_as_the_readme_says() -> None:
    listing = [sys.executable, "-m", "doctor", "--list"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    codes = re.findall(r"^\s*([A-Z]{3}\d\d)\b", done.stdout, flags=re.MULTILINE)
    assert len(codes) == len(set(codes))
    for path in READMES:
        assert re.search(rf"\| `\./bevready doctor` \| {len(codes)} ", text_of(path)), (
            f"{path.name}: {len(codes)} checks"
        )


def test_as_many_machines_are_recorded_as_the_readme_says() -> None:
    recorded = len(list((ROOT / "tests" / "fixtures" / "machines").glob("*/expected.json")))
    assert f"judged on {recorded} recorded machines" in text_of(ROOT / "README.md")
