"""The driver room in Chinese: every sentence of its rules is in the catalogue, with the same values in it."""

from __future__ import annotations

import ast
import inspect
import json
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.__main__ import main
from doctor.rules import driver, gpus, health, kernel, wsl
from doctor.words import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOMS = (kernel, driver, gpus, health, wsl)
COMMANDS = [
    "sudo",
    "ls",
    "dpkg",
    "grep",
    "unset",
    "export",
    "nvidia-smi",
    "journalctl",
    "ldconfig",
    "modinfo",
    "rm",
    "dnf",
    "apt",
    "wsl",
    "nvcc",
    "echo",
    "dmesg",
    "0",
]


def texts(room: ModuleType) -> Iterator[str]:
    """Yield what the room's rules may say: templates, healthy sentences, reasons, what was seen and expected."""
    for rule in room.RULES:
        yield rule.healthy
        yield rule.why
    for node in ast.walk(ast.parse(inspect.getsource(room))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "say" and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)
            for keyword in node.keywords if node.func.id == "Finding" else ():
                if keyword.arg in {"saw", "expected"} and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)
                if keyword.arg == "fix" and isinstance(keyword.value, ast.Tuple):
                    yield from (str(one.value) for one in keyword.value.elts if isinstance(one, ast.Constant))


def is_command(text: str) -> bool:
    return text.split(" ", 1)[0] in COMMANDS and " # " not in text


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__.rsplit(".", 1)[-1])
def test_every_sentence_has_its_chinese(room: ModuleType) -> None:
    words = catalogue("zh")
    assert [text for text in dict.fromkeys(texts(room)) if text not in words and not is_command(text)] == []


def test_a_translation_keeps_the_values() -> None:
    path = Path(inspect.getfile(driver)).parents[1] / "zh" / "driver.json"
    rows: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    with_values = {english: chinese for english, chinese in rows.items() if fields(english)}
    assert len(with_values) > 40
    assert [english for english, chinese in with_values.items() if fields(english) != fields(chinese)] == []


def test_a_sentence_with_values_is_never_an_f_string() -> None:
    """`say` keeps the template; an f-string of words would stay English for ever. Commands are no sentences."""
    for room in ROOMS:
        for node in ast.walk(ast.parse(inspect.getsource(room))):
            if isinstance(node, ast.keyword) and node.arg in {"saw", "expected"}:
                assert not isinstance(node.value, ast.JoinedStr), ast.dump(node)


def test_the_catalogue_is_chinese() -> None:
    path = Path(inspect.getfile(driver)).parents[1] / "zh" / "driver.json"
    rows: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    plain = [english for english, chinese in rows.items() if not re.search(r"[一-鿿]", chinese)]
    assert set(plain) <= {"WSL 2", "{module}, {kernel}: installed", "{what}: {answers}"}


def test_the_machines_still_speak_english(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Path(__file__).resolve().parents[1] / "fixtures" / "machines" / "rtx5090_proprietary_module"
    assert main(["--replay", str(machine), "--only", "DRV15"]) == 2
    assert "GeForce RTX 5090 has the proprietary kernel module" in capsys.readouterr().out
