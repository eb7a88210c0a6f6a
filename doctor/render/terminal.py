"""A diagnosis as lines for a terminal, each with its tone. Colours are the menu's business."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Literal

from doctor.diagnose import Skip
from doctor.facts import Unknown
from doctor.render.columns import pad
from doctor.render.sentences import advice_line, fact_line, skipped, summary
from doctor.words import catalogue, counted, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Finding, Rule

Tone = Literal["plain", "good", "bad", "doubtful", "quiet"]
Line = tuple[Tone, str]
WORD: dict[str, tuple[str, Tone]] = {
    "problem": ("FAIL", "bad"),
    "warning": ("warn", "doubtful"),
    "note": ("note", "quiet"),
}


def terminal(diagnosis: Diagnosis, advice: Advice, *, language: str = "en", whole: bool = True) -> list[Line]:
    """Return the lines for a terminal, each with its tone; `whole` names what is healthy or does not apply."""
    words = catalogue(language)
    lines: list[Line] = [("plain", translate(_head(diagnosis, advice), words))]
    facts = (getattr(diagnosis.machine, field.name) for field in fields(diagnosis.machine))
    seen = _label("seen", words)
    told = (translate(fact_line(fact), words) for fact in facts if not isinstance(fact, Unknown))
    lines += [("quiet", f"  {seen}{text}") for text in told if text]
    lines += _healthy(diagnosis, words) if whole else _counts(diagnosis, words)
    for rule, finding in diagnosis.findings:
        lines += _finding(rule, finding, words)
    for why, codes in skipped(diagnosis, only_unseen=not whole):
        lines.append(("quiet", f"  {_label('skip', words)}{codes}  {translate(why, words)}"))
    lines += [
        ("plain", translate(summary(diagnosis), words)),
        ("plain", translate(say("stack: {stack}", stack=advice_line(advice)), words)),
        *(("plain", translate(say("recipe: {words}", words=text), words)) for text in advice.recipe),
        ("plain", translate(say("next:  {command}", command=advice.next_command), words)),
    ]
    return lines


def _healthy(diagnosis: Diagnosis, words: Mapping[str, str]) -> list[Line]:
    """Return a line for each check that found nothing."""
    healthy = [verdict.rule for verdict in diagnosis.verdicts if verdict.answer is None]
    return [("good", f"  {_label('ok', words)}{rule.code}  {translate(rule.healthy, words)}") for rule in healthy]


def _counts(diagnosis: Diagnosis, words: Mapping[str, str]) -> list[Line]:
    """Return how many checks found nothing and how many do not apply, in one line."""
    ok = sum(verdict.answer is None for verdict in diagnosis.verdicts)
    apart = sum(isinstance(verdict.answer, Skip) and verdict.answer.looked for verdict in diagnosis.verdicts)
    text = say("{healthy} checks found nothing, {apart} do not apply here (--all lists them)", healthy=ok, apart=apart)
    return [("good", f"  {_label('ok', words)}{translate(text, words)}")]


def _head(diagnosis: Diagnosis, advice: Advice) -> str:
    stack = say("stack {stack}", stack=advice.choice.name) if advice.choice else "no stack fits"
    checks = counted(len(diagnosis.verdicts), "{number} check", "{number} checks")
    return say("doctor · {stack} · for {goal} · {checks}", stack=stack, goal=str(diagnosis.goal), checks=checks)


def _finding(rule: Rule, finding: Finding, words: Mapping[str, str]) -> list[Line]:
    word, tone = WORD[finding.severity]
    rows = [("saw", finding.saw), *([("want", finding.expected)] if finding.expected else [])]
    rows += [("do", step) for step in finding.fix]
    told: list[Line] = [("plain", f"        {_label(label, words, 7)}{translate(text, words)}") for label, text in rows]
    return [(tone, f"  {_label(word, words)}{rule.code}  {translate(rule.healthy, words)}"), *told]


def _label(label: str, words: Mapping[str, str], width: int = 6) -> str:
    """Return the label, filled up to its column; a Chinese character takes two."""
    return pad(translate(label, words), width)
