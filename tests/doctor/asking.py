"""How a test asks one rule by its code, on a machine of which nothing is known but the facts given."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from doctor.diagnose import Skip, diagnose
from doctor.facts import Unknown
from doctor.finding import Finding, Goal
from doctor.machine import FIELD_OF_FACT, Machine
from doctor.rules import ALL_RULES
from doctor.stacks import Stacks, read_stacks

STACKS = read_stacks(Path(__file__).resolve().parents[2] / "env")
HEALTHY = Finding(saw="nothing amiss", fix=(), severity="note", confidence="guess")
RUN = Goal("run")


def judged(code: str, *facts: object, goal: Goal = RUN, stacks: Stacks = STACKS) -> Finding:
    """Return what the rule `code` says where only these facts are known; a needed one that may be empty is empty."""
    known: dict[str, object] = dict.fromkeys(FIELD_OF_FACT.values(), Unknown("not said in this test"))
    rule = next(rule for rule in ALL_RULES if rule.code == code)
    for name, fact in rule.needs:
        if fact in FIELD_OF_FACT and name not in rule.admits_unknown:
            with suppress(TypeError):
                known[FIELD_OF_FACT[fact]] = fact()
    known |= {FIELD_OF_FACT[type(fact)]: fact for fact in facts}
    answer = diagnose(Machine(**known), (rule,), goal=goal, stacks=stacks).verdicts[0].answer  # type: ignore[arg-type]
    assert not isinstance(answer, Skip), answer
    return answer or HEALTHY
