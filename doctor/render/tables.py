"""The compatibility tables as text and as JSON (`--tables`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.render.columns import pad, width
from doctor.render.document import SCHEMA_VERSION, dumps
from doctor.tables import table_row
from doctor.words import catalogue, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from doctor.tables import Table


def tables(read: Sequence[Table], *, language: str = "en") -> str:
    """Return the tables as text, one below the other."""
    return "\n\n".join(_table(one, catalogue(language)) for one in read)


def tables_as_json(read: Sequence[Table], *, language: str = "en") -> str:
    """Return the tables as one JSON document; titles and sources are in `language`, columns in English."""
    words = catalogue(language)
    rows = [table_row(one) for one in read]
    for row in rows:
        row["title"] = translate(row["title"], words)
        row["sources"] = [translate(text, words) for text in row["sources"]]
    return dumps({"schema_version": SCHEMA_VERSION, "lang": language, "tables": rows})


def _table(read: Table, words: Mapping[str, str]) -> str:
    head = say("{name}: {title} (as of {date})", name=read.name, title=read.about.title, date=read.about.as_of)
    columns = tuple(translate(column, words) for column in read.columns)
    widths = [max(map(width, cells)) for cells in zip(columns, *read.rows, strict=True)]
    lines = [translate(head, words)]
    lines += [translate(say("  source: {source}", source=source), words) for source in read.about.sources]
    for row in (columns, *read.rows):
        lines.append("  " + "  ".join(map(pad, row, widths)).rstrip())
    return "\n".join(lines)
