"""The README keeps its promises: its commands exist, and its map names every file with that file's own first sentence.

`python tests/test_readme.py` writes the map anew, in the Chinese README too.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
HEADINGS = {README: ("file", "what lives there"), ROOT / "README.zh.md": ("文件", "内容")}
START = "<!-- map: written by `python tests/test_readme.py`, checked by the test of the same name -->\n"
END = "<!-- end of map -->"
ROOMS = ("bevready", "tasks.py", "env", "recipes", "doctor", "repro", "docs")


def first_sentence(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    else:
        comments = (line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("# "))
        text = " ".join(comments)
    sentence = re.split(r"(?<=\.)\s(?=[A-Z`])", " ".join(text.split()), maxsplit=1)[0]
    return sentence.rstrip(".").replace("|", r"\|")


def tracked(room: str) -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", room], capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines()]


def house_map(readme: Path) -> str:
    files = [path for room in ROOMS for path in tracked(room)]
    told = [path for path in files if path.suffix in {".py", ".toml", ".in", ".cpp", ".cu"} or path.name == "bevready"]
    rows = [f"| `{path.relative_to(ROOT)}` | {first_sentence(path)} |" for path in told]
    return "\n".join(["| {} | {} |".format(*HEADINGS[readme]), "| --- | --- |", *rows]) + "\n"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line.split("   #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("./bevready")]


@pytest.mark.parametrize("readme", HEADINGS, ids=lambda path: path.name)
def test_the_map_names_every_file_with_its_own_first_sentence(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    written = text.partition(START)[2].partition(END)[0]
    assert written == house_map(readme), "run `python tests/test_readme.py` and look at what it changed"


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_is_a_task_with_these_flags(command: str) -> None:
    task, *words = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--help", task], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for flag in (word for word in words if word.startswith("--")):
        assert re.search(rf"{flag}\b", done.stdout), f"{command}: {task} has no {flag}"


def test_the_two_commands_stand_in_the_readme() -> None:
    assert commands()[:2] == ["./bevready repro --recipe bevformer_tiny --data synth --smoke", "./bevready test"]


if __name__ == "__main__":
    for readme in HEADINGS:
        before, _, rest = readme.read_text(encoding="utf-8").partition(START)
        readme.write_text(before + START + house_map(readme) + END + rest.partition(END)[2], encoding="utf-8")
