"""What the tests of pages share: the pages, and the parts of a Markdown text that a test asks for."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
GUIDES = {"containers.md", "single_frame.md"}  # how to do something, without an idea to draw
IDEAS = sorted(path for path in DOCS.glob("*.md") if path.name not in {"README.md", "decisions.md", *GUIDES})


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """Return the text without fenced blocks, whose content only looks like links and tables."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text: str) -> list[tuple[str, str]]:
    return re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", prose(text))


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table, row by row, the heading first, the rule below it left out."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", prose(text), flags=re.MULTILINE)
    rows = [[re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for row in (table[0], *table[2:])] for table in rows]


def words_once(text: str) -> str:
    """Return the text with every run of blanks and line ends as one space."""
    return " ".join(text.split())
