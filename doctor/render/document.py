"""A diagnosis as the JSON documents of `--json`: keys, codes, slugs and commands are the same in every language."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from doctor.diagnose import Skip
from doctor.facts import Unknown
from doctor.words import catalogue, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Finding, Rule

SCHEMA_VERSION = 1


def as_json(diagnosis: Diagnosis, advice: Advice, *, exit_code: int, language: str = "en") -> str:
    """Return the one JSON document of `--json`."""
    words = catalogue(language)
    document = {
        "schema_version": SCHEMA_VERSION,
        "lang": language,
        "goal": str(diagnosis.goal),
        "exit_code": exit_code,
        "findings": [finding_row(rule, finding, words) for rule, finding in diagnosis.findings],
        "skipped": [
            {"code": verdict.rule.code, "why": translate(verdict.answer.why, words), "looked": verdict.answer.looked}
            for verdict in diagnosis.verdicts
            if isinstance(verdict.answer, Skip)
        ],
        "healthy": [verdict.rule.code for verdict in diagnosis.verdicts if verdict.answer is None],
        "advice": advice_row(advice, words),
        "machine": {
            field.name: fact_row(getattr(diagnosis.machine, field.name), words) for field in fields(diagnosis.machine)
        },
    }
    return dumps(document)


def advice_as_json(advice: Advice, *, language: str = "en") -> str:
    """Return the one JSON document of `doctor stack --json`."""
    return dumps({"schema_version": SCHEMA_VERSION, "lang": language, **advice_row(advice, catalogue(language))})


def advice_row(advice: Advice, words: Mapping[str, str]) -> dict[str, Any]:
    """Return the advice as JSON-like values."""
    ranking = [
        {
            "stack": fit.stack.name,
            "rejections": [translate(text, words) for text in fit.rejections],
            "remarks": [translate(text, words) for text in fit.remarks],
        }
        for fit in advice.ranking
    ]
    stack = advice.choice.name if advice.choice else None
    return {
        "stack": stack,
        "why": translate(advice.why, words),
        "next": advice.next_command,
        "ranking": ranking,
        "recipe": [translate(text, words) for text in advice.recipe],
    }


def finding_row(rule: Rule, finding: Finding, words: Mapping[str, str]) -> dict[str, Any]:
    """Return a finding as JSON-like values."""
    return {
        "code": rule.code,
        "category": rule.category,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "healthy": translate(rule.healthy, words),
        "saw": translate(finding.saw, words),
        "expected": translate(finding.expected, words),
        "fix": [translate(step, words) for step in finding.fix],
        "repair": [list(command) for command in finding.repair],
        "evidence": [translate(text, words) for text in finding.evidence],
        "doc": translate(rule.why, words),
    }


def fact_row(fact: Any, words: Mapping[str, str]) -> dict[str, Any]:
    """Return a fact, or why there is none, as JSON-like values."""
    if isinstance(fact, Unknown):
        return {"unknown": translate(fact.why, words), "looked": fact.looked}
    return asdict(fact)


def dumps(document: Mapping[str, Any]) -> str:
    """Return the document as the text that is printed."""
    return json.dumps(document, indent=1, ensure_ascii=False, default=str)
