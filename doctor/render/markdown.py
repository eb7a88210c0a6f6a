"""A diagnosis as Markdown: a report (`--markdown`), and a whole issue to paste (`--issue`)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from doctor.render.sentences import advice_line, fact_line, skipped
from doctor.words import catalogue, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Finding, Rule


def markdown(diagnosis: Diagnosis, advice: Advice, *, language: str = "en") -> str:
    """Return a report to paste into an issue: the machine, then the findings."""
    words = catalogue(language)
    lines = [*_machine(diagnosis, words), "", *_findings(diagnosis, words)]
    stack = translate(say("Stack: {stack}", stack=advice_line(advice)), words)
    return "\n".join([*lines, "", stack, ""])


def issue(diagnosis: Diagnosis, advice: Advice, *, language: str = "en") -> str:
    """Return the text of an issue: room to say what happened, then what the doctor says. The caller redacts it."""
    words = catalogue(language)
    asked = (
        ("What happened", "What you typed, what you expected, and the last lines that were printed:"),
        ("What you tried", "Which of the steps below you took, and what changed:"),
    )
    lines: list[str] = []
    for title, question in asked:
        lines += [
            f"## {translate(title, words)}",
            "",
            f"<!-- {translate(question, words)} -->",
            "",
            "```",
            "",
            "```",
            "",
        ]
    summary = translate(say("The doctor, asked for {goal}", goal=str(diagnosis.goal)), words)
    stack = translate(say("Stack: {stack}", stack=advice_line(advice)), words)
    lines += [f"<details open><summary>{summary}</summary>", "", *_findings(diagnosis, words), "", stack, ""]
    return "\n".join([*lines, *_machine(diagnosis, words), "", "</details>", ""])


def _machine(diagnosis: Diagnosis, words: Mapping[str, str]) -> list[str]:
    rows = [
        f"| {field.name} | {_cell(translate(fact_line(getattr(diagnosis.machine, field.name)), words))} |"
        for field in fields(diagnosis.machine)
    ]
    head = [translate(text, words) for text in ("Machine", "fact", "value")]
    return [f"## {head[0]}", "", f"| {head[1]} | {head[2]} |", "| --- | --- |", *rows]


def _findings(diagnosis: Diagnosis, words: Mapping[str, str]) -> list[str]:
    lines = [f"## {translate('Findings', words)}", ""]
    for rule, finding in diagnosis.findings:
        lines.append(f"- **{rule.code}** ({translate(finding.severity, words)}): {_told(rule, finding, words)}")
        lines += [f"  - `{translate(step, words)}`" for step in finding.fix]
    if not diagnosis.findings:
        lines.append(translate("none", words))
    skips = (say("skipped {codes}: {why}", codes=codes, why=why) for why, codes in skipped(diagnosis))
    return [*lines, *(f"- {translate(skip, words)}" for skip in skips)]


def _told(rule: Rule, finding: Finding, words: Mapping[str, str]) -> str:
    expected = finding.expected or rule.healthy
    return translate(say("{saw}; expected {expected}", saw=finding.saw, expected=expected), words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
