"""Everything that the rooms of Python, packages and extensions can say has a Chinese sentence with the same values."""

from __future__ import annotations

import ast
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.rules import environment, extension, extension_files, packages, stack, torch, torch_files
from doctor.words import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.finding import Rule

DOCTOR = Path(__file__).resolve().parents[2] / "doctor"
ROOMS = (torch, torch_files, stack, packages, environment, extension, extension_files)
OTHERS = ("advise.py", "compat/symbols.py", "probes/python.py", "probes/environment.py", "probes/extension.py")
FILES = [*(Path(str(room.__file__)) for room in ROOMS), *(DOCTOR / name for name in OTHERS)]
COMMANDS = ("pip ", "conda ", "sudo ", "export ", "echo ", "rm ", "unset ", "nvidia-smi")
OWN_WORDS = json.loads((DOCTOR / "zh" / "python.json").read_text(encoding="utf-8"))


def constants(node: ast.expr) -> Iterator[str]:
    """Yield the plain texts that an expression may give."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*constants(body), *constants(orelse))
        case ast.Tuple(elts=parts):
            for part in parts:
                yield from constants(part)
        case ast.Starred(value=value):
            yield from constants(value)


def sentences(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="say" | "Unknown"), args=[first, *_]):
                yield from constants(first)
            case ast.Call(func=ast.Name(id="Finding"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg in {"saw", "expected", "fix"}:
                        yield from constants(keyword.value)


def is_a_command(text: str) -> bool:
    return text.startswith(COMMANDS) and "#" not in text


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_sentence_has_a_translation(file: Path) -> None:
    known = catalogue("zh")
    assert [text for text in sentences(file) if text not in known and not is_a_command(text)] == []


@pytest.mark.parametrize("rule", [rule for room in ROOMS for rule in room.RULES], ids=lambda rule: rule.code)
def test_every_rule_explains_itself_in_both_languages(rule: Rule) -> None:
    known = catalogue("zh")
    assert known[rule.healthy]
    assert known[rule.why]


@pytest.mark.parametrize("template", OWN_WORDS)
def test_a_translation_keeps_the_values(template: str) -> None:
    assert names_in(OWN_WORDS[template]) == names_in(template)
