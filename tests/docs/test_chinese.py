"""README.zh.md says what README.md says: the same headings, commands, tables, names and figures, section by section."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.docs.pages import ROOT, blocks, links, prose, tables, text_of

ENGLISH, CHINESE = text_of(ROOT / "README.md"), text_of(ROOT / "README.zh.md")
HAN = re.compile(r"[\u4e00-\u9fff]")


def levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), flags=re.MULTILINE)]


def sections(text: str) -> list[str]:
    """Return what stands under each heading, prose and tables, without the fenced blocks."""
    return re.split(r"^#+ .*$", prose(text), flags=re.MULTILINE)[1:]


def commands(text: str) -> list[list[str]]:
    return [[line.split("   #")[0].rstrip() for line in block.splitlines()] for block in blocks(text, "sh")]


def spans(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`\n]+)`", text))


def figures(text: str) -> Counter[str]:
    """Return the numbers that stand in prose, names between backticks and links left out."""
    plain = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", " ", text)
    return Counter(re.findall(r"\d+(?:[.,]\d+)*(?:e-\d+)?", plain))


def test_each_leads_to_the_other_at_its_top() -> None:
    assert "README.zh.md" in [target for _, target in links(ENGLISH.partition("##")[0])]
    assert "README.md" in [target for _, target in links(CHINESE.partition("##")[0])]


def test_both_have_the_same_headings() -> None:
    assert levels(ENGLISH) == levels(CHINESE)
    assert len(levels(ENGLISH)) >= 7


def test_both_have_the_same_commands() -> None:
    assert commands(ENGLISH) == commands(CHINESE)
    assert sum(map(len, commands(ENGLISH))) >= 4


def test_both_have_the_same_tables() -> None:
    def shapes(text: str) -> list[list[int]]:
        return [[len(row) for row in table] for table in tables(text)]

    assert shapes(ENGLISH) == shapes(CHINESE)


@pytest.mark.parametrize("number", range(len(tables(ENGLISH))))
def test_rows_name_the_same_things_and_figures(number: int) -> None:
    for row, translated in zip(tables(ENGLISH)[number][1:], tables(CHINESE)[number][1:], strict=True):
        ours, theirs = " | ".join(row), " | ".join(translated)
        if HAN.search(ours):
            assert ours == theirs, "a row for readers of Chinese stands in both as it is"
        assert spans(ours) == spans(theirs), f"{ours}\n{theirs}"
        assert figures(ours) == figures(theirs), f"{ours}\n{theirs}"


@pytest.mark.parametrize("number", range(len(levels(ENGLISH))))
def test_sections_name_the_same_things_and_figures(number: int) -> None:
    ours, theirs = sections(ENGLISH)[number], sections(CHINESE)[number]
    assert spans(ours) == spans(theirs)
    assert figures(ours) == figures(theirs)
    assert [target for _, target in links(ours)][number == 0 :] == [target for _, target in links(theirs)][
        number == 0 :
    ]


def test_every_row_is_translated_but_the_map_of_files() -> None:
    for table in tables(CHINESE)[:-1]:
        for row in table[1:]:
            assert HAN.search("".join(row)), f"not Chinese: {row}"


def test_a_figure_that_differs_is_noticed() -> None:
    assert figures("15.2× and 30,000 boxes, 2e-16, `a1`") == Counter(["15.2", "30,000", "2e-16"])
    assert figures("15.2×") != figures("15.3×")
