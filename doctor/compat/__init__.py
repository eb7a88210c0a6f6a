"""What is known of versions that go together: rows with source and date. No judgement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """What a table says, when it was written, and where its rows come from; each row names how sure it is."""

    title: str
    as_of: str
    sources: tuple[str, ...]
