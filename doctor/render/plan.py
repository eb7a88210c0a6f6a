"""What `--fix` would run, and what it leaves to the reader, as lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.render.document import SCHEMA_VERSION, dumps
from doctor.words import catalogue, say, translate

if TYPE_CHECKING:
    from doctor.fix import Plan
    from doctor.render.terminal import Line


def plan(made: Plan, *, language: str = "en") -> list[Line]:
    """Return the plan as lines."""
    words = catalogue(language)
    lines: list[Line] = []
    if made.steps:
        head = say("--fix runs, inside {environment} only:", environment=made.environment)
        lines.append(("plain", translate(head, words)))
        lines += [("good", f"  {step.code}  {step}") for step in made.steps]
    else:
        head = say("there is nothing to mend inside {environment}", environment=made.environment)
        lines.append(("plain", translate(head, words)))
    if made.left:
        lines.append(("plain", translate("left to you:", words)))
        lines += [("plain", f"  {code}  {translate(text, words)}") for code, texts in made.left for text in texts]
    return lines


def plan_as_json(made: Plan, *, language: str = "en") -> str:
    """Return the plan as one JSON document."""
    words = catalogue(language)
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "lang": language,
            "environment": made.environment,
            "run": [{"code": step.code, "words": list(step.words)} for step in made.steps],
            "left": [{"code": code, "fix": [translate(text, words) for text in texts]} for code, texts in made.left],
        }
    )
