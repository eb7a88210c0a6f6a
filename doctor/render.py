"""A diagnosis in words: for a terminal, as JSON, as Markdown. It decides nothing and looks at nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Literal

from doctor.diagnose import Skip
from doctor.facts import Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Finding, Rule

SCHEMA_VERSION = 1
Tone = Literal["plain", "good", "bad", "doubtful", "quiet"]
Line = tuple[Tone, str]
WORD: dict[str, tuple[str, Tone]] = {
    "problem": ("FAIL", "bad"),
    "warning": ("warn", "doubtful"),
    "note": ("note", "quiet"),
}


def terminal(diagnosis: Diagnosis, advice: Advice) -> list[Line]:
    """Return the lines for a terminal, each with its tone."""
    stack = f"stack {advice.choice.name}" if advice.choice else "no stack fits"
    lines: list[Line] = [("plain", f"doctor · {stack} · for {diagnosis.goal} · {len(diagnosis.verdicts)} checks")]
    facts = (getattr(diagnosis.machine, field.name) for field in fields(diagnosis.machine))
    lines += [("quiet", f"  seen  {fact}") for fact in facts if not isinstance(fact, Unknown)]
    healthy = [verdict.rule for verdict in diagnosis.verdicts if verdict.answer is None]
    lines += [("good", f"  ok    {rule.code}  {rule.healthy}") for rule in healthy]
    for rule, finding in diagnosis.findings:
        lines += _finding(rule, finding)
    lines += [("quiet", f"  skip  {codes}  {why}") for why, codes in _skipped(diagnosis).items()]
    lines += [
        ("plain", summary(diagnosis)),
        ("plain", f"stack: {_choice(advice)}"),
        *(("plain", f"recipe: {words}") for words in advice.recipe),
        ("plain", f"next:  {advice.next_command}"),
    ]
    return lines


def summary(diagnosis: Diagnosis) -> str:
    """Return the last word: how many findings of each kind, and what could not be judged."""
    parts = [_counted(diagnosis.count(kind), kind) for kind in ("problem", "warning", "note") if diagnosis.count(kind)]
    words = ", ".join(parts) or "nothing to complain about"
    waiting = len(diagnosis.could_not_look)
    return words + (f"; {_counted(waiting, 'check')} could not look" if waiting else "") + "."


def as_json(diagnosis: Diagnosis, advice: Advice, *, exit_code: int) -> str:
    """Return the one JSON document of `--json`."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "goal": str(diagnosis.goal),
        "exit_code": exit_code,
        "findings": [_finding_row(rule, finding) for rule, finding in diagnosis.findings],
        "skipped": [
            {"code": verdict.rule.code, "why": verdict.answer.why, "looked": verdict.answer.looked}
            for verdict in diagnosis.verdicts
            if isinstance(verdict.answer, Skip)
        ],
        "healthy": [verdict.rule.code for verdict in diagnosis.verdicts if verdict.answer is None],
        "advice": advice_row(advice),
        "machine": _machine_row(diagnosis),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, default=str)


def markdown(diagnosis: Diagnosis, advice: Advice) -> str:
    """Return a report to paste into an issue."""
    rows = [
        f"| {field.name} | {_cell(getattr(diagnosis.machine, field.name))} |" for field in fields(diagnosis.machine)
    ]
    lines = ["## Machine", "", "| fact | value |", "| --- | --- |", *rows, "", "## Findings", ""]
    for rule, finding in diagnosis.findings:
        lines.append(
            f"- **{rule.code}** ({finding.severity}): {finding.saw}; expected {finding.expected or rule.healthy}"
        )
        lines += [f"  - `{step}`" for step in finding.fix]
    if not diagnosis.findings:
        lines.append("none")
    lines += [f"- skipped {codes}: {why}" for why, codes in _skipped(diagnosis).items()]
    return "\n".join([*lines, "", f"Stack: {_choice(advice)}", ""])


def rule_list(rules: Sequence[Rule]) -> str:
    """Return every rule's code, category and healthy condition, one a line."""
    return "\n".join(f"{rule.code}  {rule.healthy}  [{rule.category}]" for rule in rules)


def advice_as_json(advice: Advice) -> str:
    """Return the one JSON document of `doctor stack --json`."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **advice_row(advice)}, indent=1, ensure_ascii=False)


def advice_row(advice: Advice) -> dict[str, Any]:
    """Return the advice as JSON-like values."""
    ranking = [
        {"stack": fit.stack.name, "rejections": list(fit.rejections), "remarks": list(fit.remarks)}
        for fit in advice.ranking
    ]
    stack = advice.choice.name if advice.choice else None
    return {
        "stack": stack,
        "why": advice.why,
        "next": advice.next_command,
        "ranking": ranking,
        "recipe": [*advice.recipe],
    }


def _finding(rule: Rule, finding: Finding) -> list[Line]:
    word, tone = WORD[finding.severity]
    lines: list[Line] = [(tone, f"  {word}  {rule.code}  {rule.healthy}"), ("plain", f"        saw    {finding.saw}")]
    if finding.expected:
        lines.append(("plain", f"        want   {finding.expected}"))
    return lines + [("plain", f"        do     {step}") for step in finding.fix]


def _finding_row(rule: Rule, finding: Finding) -> dict[str, Any]:
    return {
        "code": rule.code,
        "category": rule.category,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "healthy": rule.healthy,
        "saw": finding.saw,
        "expected": finding.expected,
        "fix": list(finding.fix),
        "evidence": list(finding.evidence),
        "doc": rule.why,
    }


def _skipped(diagnosis: Diagnosis) -> dict[str, str]:
    """Return the codes of the skipped rules by reason: one missing fact is one line."""
    codes: dict[str, list[str]] = {}
    for verdict in diagnosis.verdicts:
        if isinstance(verdict.answer, Skip):
            codes.setdefault(verdict.answer.why, []).append(verdict.rule.code)
    return {why: " ".join(found) for why, found in codes.items()}


def _machine_row(diagnosis: Diagnosis) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in fields(diagnosis.machine):
        value = getattr(diagnosis.machine, field.name)
        row[field.name] = (
            {"unknown": value.why, "looked": value.looked} if isinstance(value, Unknown) else asdict(value)
        )
    return row


def _choice(advice: Advice) -> str:
    if advice.choice is None:
        return advice.why
    remarks = advice.ranking[0].remarks
    words = f"{advice.choice.name} (torch {advice.choice.torch}), {advice.why}"
    return words + (f"; {'; '.join(remarks)}" if remarks else "")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
