"""The difference of two machines as lines and as JSON (`diff A B`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from doctor.render.document import SCHEMA_VERSION, dumps
from doctor.words import catalogue, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doctor.diff import Difference, FactDifference
    from doctor.render.terminal import Line


def difference(found: Difference, names: tuple[str, str], *, language: str = "en") -> list[Line]:
    """Return the lines: what is behind a finding of one side, the checks that differ, the rest."""
    words = catalogue(language)
    head = say("A is {before}, B is {after}", before=names[0], after=names[1])
    lines: list[Line] = [("plain", translate(head, words))]
    if found.is_empty:
        return [*lines, ("good", translate("no difference", words))]
    if found.causes:
        lines.append(("bad", translate("facts behind a finding that only one of them has", words)))
        lines += [line for fact in found.causes for line in _fact(fact, words)]
    if found.rules:
        lines.append(("doubtful", translate("checks that answer differently", words)))
    for rule in found.rules:
        states = f"{translate(rule.before, words)} → {translate(rule.after, words)}"
        lines.append(("plain", f"  {rule.code}  {states}"))
        lines.append(("quiet", f"        A  {translate(rule.before_why, words)}"))
        lines.append(("quiet", f"        B  {translate(rule.after_why, words)}"))
    if found.others:
        lines.append(("plain", translate("other facts that differ", words)))
        lines += [line for fact in found.others for line in _fact(fact, words)]
    return lines


def difference_as_json(found: Difference, names: tuple[str, str], *, exit_code: int, language: str = "en") -> str:
    """Return the difference as one JSON document; `before` is A, `after` is B."""
    words = catalogue(language)
    rules = [
        asdict(rule) | {key: translate(getattr(rule, key), words) for key in ("before_why", "after_why")}
        for rule in found.rules
    ]
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "lang": language,
            "exit_code": exit_code,
            "before": names[0],
            "after": names[1],
            "causes": [asdict(fact) for fact in found.causes],
            "rules": rules,
            "others": [asdict(fact) for fact in found.others],
        }
    )


def _fact(fact: FactDifference, words: Mapping[str, str]) -> list[Line]:
    codes = f"  [{' '.join(fact.behind)}]" if fact.behind else ""
    nothing = translate("nothing", words)
    sides = (("A", fact.before), ("B", fact.after))
    told: list[Line] = [("quiet", f"        {side}  {translate(text, words) or nothing}") for side, text in sides]
    return [("plain", f"  {fact.path}{codes}"), *told]
