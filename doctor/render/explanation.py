"""A log explained, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doctor.logs.signature import SUMMARY
from doctor.logs.signatures import ALL_SIGNATURES
from doctor.render.columns import pad
from doctor.render.document import SCHEMA_VERSION, dumps
from doctor.words import Verbatim, catalogue, counted, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from doctor.logs.explain import Explanation
    from doctor.logs.match import Hit
    from doctor.render.terminal import Line

MOST_OTHERS = 5
WIDTH = 6


def explanation(told: Explanation, here: Sequence[str], *, language: str = "en") -> list[Line]:
    """Return the lines for a terminal: the cause, what this machine adds, and what else was noticed."""
    words = catalogue(language)
    lines: list[Line] = [("plain", translate(_head(told), words))]
    if told.cause is None:
        lines += [("doubtful", translate("nothing in it that names a cause", words))]
        lines += [("quiet", translate(_searched(), words))]
    shown = told.hits[:1] if told.cause else told.hits[:3]
    for hit in shown:
        lines += _hit(hit, words, sure=hit is told.cause)
    lines += [("plain", _row("here", text, words)) for text in here]
    for hit in _others(told):
        lines.append(("quiet", _row("also", _also(hit), words)))
    if told.cause is None:
        advice = (
            "keep the whole output, from the command to its last line: 2>&1 | tee build.log, then explain build.log"
        )
        lines.append(("plain", _row("do", advice, words)))
    return lines


def explanation_as_json(told: Explanation, here: Sequence[str], *, exit_code: int, language: str = "en") -> str:
    """Return the one JSON document of `explain --json`; the first finding is the root cause where `known` is true."""
    words = catalogue(language)
    hits = told.hits if told.cause is None else (told.cause, *_others(told))
    document = {
        "schema_version": SCHEMA_VERSION,
        "lang": language,
        "exit_code": exit_code,
        "known": told.cause is not None,
        "category": told.category,
        "lines": told.num_lines,
        "findings": [_hit_row(hit, words) for hit in hits],
        "here": [translate(text, words) for text in here],
    }
    return dumps(document)


def _head(told: Explanation) -> str:
    lines = counted(told.num_lines, "{number} line", "{number} lines")
    return say("doctor · log of {lines}", lines=lines)


def _searched() -> str:
    return say("searched for {number} known messages; no guess is made", number=len(ALL_SIGNATURES))


def _hit(hit: Hit, words: Mapping[str, str], *, sure: bool) -> list[Line]:
    label = "CAUSE" if hit.signature.confidence == "sure" else "likely"
    label = label if sure else "hint"
    rows = [("line", f"{hit.line_number}: {hit.line}"), *(("do", step) for step in hit.fix)]
    head = f"  {pad(translate(label, words), WIDTH)}  {translate(hit.saw, words)}  [{hit.signature.category}]"
    lines: list[Line] = [("bad" if sure else "doubtful", head)]
    return lines + [("plain", _row(name, text, words)) for name, text in rows]


def _others(told: Explanation) -> tuple[Hit, ...]:
    """Return what else was noticed and may matter: no summaries, no guesses, nothing twice."""
    others = [hit for hit in told.hits[1:] if hit.signature.rank > SUMMARY and hit.signature.confidence != "guess"]
    return tuple(others[:MOST_OTHERS]) if told.cause else ()


def _also(hit: Hit) -> str:
    words = "line {number}: {saw} [{category}]"
    return say(words, number=hit.line_number, saw=hit.saw, category=Verbatim(hit.signature.category))


def _row(label: str, text: str, words: Mapping[str, str]) -> str:
    return f"          {pad(translate(label, words), WIDTH)}{translate(text, words)}"


def _hit_row(hit: Hit, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "code": hit.signature.name,
        "category": hit.signature.category,
        "severity": "problem",
        "confidence": hit.signature.confidence,
        "saw": translate(hit.saw, words),
        "expected": "",
        "fix": [translate(step, words) for step in hit.fix],
        "evidence": [f"line {hit.line_number}: {hit.line}"],
        "line": hit.line_number,
        "doc": "",
    }
