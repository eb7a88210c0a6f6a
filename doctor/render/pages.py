"""Pages about the rules themselves: the list of all (`--list`), one rule in full (`why CODE`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doctor.finding import Goal
from doctor.machine import FIELD_OF_FACT
from doctor.render.document import SCHEMA_VERSION, dumps
from doctor.stacks import Stacks
from doctor.wording import VALUE, Wording, WordingError, wording
from doctor.words import catalogue, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.finding import Rule

ROOMS = {
    "DRV": "driver",
    "CON": "container",
    "STK": "pinned stacks",
    "TOR": "PyTorch",
    "CXX": "host compiler",
    "CUD": "CUDA toolkit",
    "EXT": "compiled extensions",
    "PKG": "Python packages",
    "NET": "package index and network",
    "SYS": "system",
    "DAT": "data sets",
}


def rule_list(rules: Sequence[Rule], *, language: str = "en") -> str:
    """Return every rule's code, healthy condition and category, one a line, grouped by room."""
    words = catalogue(language)
    rooms: dict[str, list[Rule]] = {}
    for rule in rules:
        rooms.setdefault(rule.code[:3], []).append(rule)
    blocks = []
    for room, members in rooms.items():
        rows = [f"  {rule.code}  {translate(rule.healthy, words)}  [{rule.category}]" for rule in members]
        blocks.append("\n".join([f"{room}  {translate(ROOMS.get(room, room), words)}", *rows]))
    return "\n\n".join(blocks)


def rule_row(rule: Rule, *, language: str = "en") -> dict[str, Any]:
    """Return everything about one rule as JSON-like values; texts with `{names}` are templates."""
    words, told = catalogue(language), _wording(rule)
    needed = [(name, fact) for name, fact in rule.needs if fact not in {Goal, Stacks}]
    return {
        "code": rule.code,
        "healthy": translate(rule.healthy, words),
        "doc": translate(rule.why, words),
        "category": rule.category,
        "needs": [FIELD_OF_FACT[fact] for name, fact in needed if name not in rule.admits_unknown],
        "uses": [FIELD_OF_FACT[fact] for name, fact in needed if name in rule.admits_unknown],
        "depends_on_goal": any(fact is Goal for _, fact in rule.needs),
        "severities": list(told.severities),
        "severity_by_goal": list(told.by_goal),
        "saw": [translate(text, words) for text in told.saw],
        "expected": [translate(text, words) for text in told.expected],
        "fix": [translate(text, words) for text in told.fix],
    }


def rules_as_json(rules: Sequence[Rule], *, language: str = "en") -> str:
    """Return everything about some rules as one JSON document."""
    rows = [rule_row(rule, language=language) for rule in rules]
    return dumps({"schema_version": SCHEMA_VERSION, "lang": language, "rules": rows})


def rule_page(rule: Rule, *, language: str = "en") -> str:
    """Return one rule in full, as text."""
    row, words = rule_row(rule, language=language), catalogue(language)
    severities = " / ".join(translate(text, words) for text in row["severities"])
    goal = translate("it depends on the goal (--for)", words) if row["depends_on_goal"] else ""
    parts = (
        ("healthy", [row["healthy"]]),
        ("why it matters", [row["doc"]]),
        ("category", [row["category"]]),
        ("facts it needs", row["needs"]),
        ("facts it uses where known", row["uses"]),
        ("severity", [severities, *([goal] if goal else []), *row["severity_by_goal"]]),
        ("what it may see", row["saw"]),
        ("what it expects", row["expected"]),
        ("what to do", row["fix"]),
    )
    blocks = [(title, texts) for title, texts in parts if set(texts) - {"", VALUE}]
    lines = [row["code"]]
    for title, texts in blocks:
        lines += ["", translate(title, words), *(f"  {text}" for text in texts if text not in {"", VALUE})]
    return "\n".join(lines)


def _wording(rule: Rule) -> Wording:
    """Return what the rule can say; nothing where its source is not at hand or puts texts together at run time."""
    try:
        return wording(rule)
    except (OSError, WordingError):
        return Wording()
