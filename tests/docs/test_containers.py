"""The page about stacks and containers says what the stacks and the containers are."""

from __future__ import annotations

import json

import pytest

from doctor.rules.container import SHM_OF_DOCKER
from repro.containers.running import SHM
from tests.docs.pages import DOCS, ROOT, tables, text_of

PAGE = text_of(DOCS / "containers.md")
STACKS = {path.parent.name: json.loads(text_of(path)) for path in sorted((ROOT / "env").glob("*/stack.json"))}


def test_every_stack_has_its_row() -> None:
    assert [row[0].strip("`") for row in tables(PAGE)[0][1:]] == [*sorted(STACKS, reverse=True)[1:], "upstream"]


@pytest.mark.parametrize("name", STACKS)
def test_a_row_says_what_the_stack_is(name: str) -> None:
    told = STACKS[name]
    row = next(row for row in tables(PAGE)[0] if row[0] == f"`{name}`")
    python = "–".join(dict.fromkeys((told["python_min"], told["python_max"])))
    archs = "–" if name == "upstream" else "–".join((told["archs"]["x86_64"][0], told["archs"]["x86_64"][-1]))
    assert row[1:6] == [python, told["torch"], told["cuda"], told["min_driver"], archs]


def test_shared_memory_is_as_much_as_the_page_says() -> None:
    row = next(row for row in tables(PAGE)[1] if row[0] == "shared memory")
    assert row[1].startswith(f"{SHM.removesuffix('g')} GiB")
    assert row[1].endswith(f"engines give {SHM_OF_DOCKER >> 20} MB")
