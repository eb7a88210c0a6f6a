"""The sentences about a whole diagnosis that every form of it shares: the last word, the skips, the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.diagnose import Skip
from doctor.words import counted, joined, say

if TYPE_CHECKING:
    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis

KINDS = (
    ("problem", "{number} problem", "{number} problems"),
    ("warning", "{number} warning", "{number} warnings"),
    ("note", "{number} note", "{number} notes"),
)


def summary(diagnosis: Diagnosis) -> str:
    """Return the last word: how many findings of each kind, and what could not be judged."""
    parts = [counted(diagnosis.count(kind), one, many) for kind, one, many in KINDS if diagnosis.count(kind)]
    words = joined(", ", parts) or "nothing to complain about"
    waiting = len(diagnosis.could_not_look)
    if not waiting:
        return say("{words}.", words=words)
    checks = counted(waiting, "{number} check could not look", "{number} checks could not look")
    return say("{words}; {checks}.", words=words, checks=checks)


def skipped(diagnosis: Diagnosis, *, only_unseen: bool = False) -> list[tuple[str, str]]:
    """Return the reasons and the codes of the skipped rules: one missing fact is one row.

    `only_unseen` leaves out what does not apply here, and keeps what could not be looked at.
    """
    codes: dict[str, list[str]] = {}
    for verdict in diagnosis.verdicts:
        if isinstance(verdict.answer, Skip) and not (only_unseen and verdict.answer.looked):
            codes.setdefault(verdict.answer.why, []).append(verdict.rule.code)
    return [(why, " ".join(found)) for why, found in codes.items()]


def fact_line(fact: object) -> str:
    """Return a fact in one line; one with a number beyond all measure (a hostile recording) is not worth a crash."""
    try:
        return str(fact)
    except (OverflowError, ValueError):
        return "a number beyond all measure"


def advice_line(advice: Advice) -> str:
    """Return the stack, why it, and what to know if it is taken."""
    if advice.choice is None:
        return advice.why
    words = say("{stack} (torch {torch}), {why}", stack=advice.choice.name, torch=advice.choice.torch, why=advice.why)
    return joined("; ", (words, *advice.ranking[0].remarks))
