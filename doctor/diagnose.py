"""From a machine and rules to verdicts. It looks at each rule's signature: a rule whose fact is unknown is skipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.facts import Unknown
from doctor.finding import Finding, Goal, Rule
from doctor.stacks import Stacks
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.machine import Machine


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a rule was not asked; `looked` is False where the doctor could not look."""

    why: str
    looked: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule and its answer: a finding, a skip, or None (healthy)."""

    rule: Rule
    answer: Finding | Skip | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every verdict about one machine, for one goal."""

    machine: Machine
    goal: Goal
    verdicts: tuple[Verdict, ...]

    @property
    def findings(self) -> tuple[tuple[Rule, Finding], ...]:
        """Return the findings, problems first, else in the order of the rules."""
        order = ("problem", "warning", "note")
        found = [(verdict.rule, verdict.answer) for verdict in self.verdicts if isinstance(verdict.answer, Finding)]
        return tuple(sorted(found, key=lambda pair: order.index(pair[1].severity)))

    def count(self, severity: str) -> int:
        """Return how many findings have this severity."""
        return sum(finding.severity == severity for _, finding in self.findings)

    @property
    def could_not_look(self) -> tuple[Verdict, ...]:
        """Return the rules that wait for a fact that could not be looked at."""
        return tuple(v for v in self.verdicts if isinstance(v.answer, Skip) and not v.answer.looked)


def diagnose(machine: Machine, rules: Sequence[Rule], *, goal: Goal, stacks: Stacks) -> Diagnosis:
    """Ask every rule. One that crashes is a skip with its name, never the end of the diagnosis."""
    known: dict[type, object] = {**machine.known(), Goal: goal, Stacks: stacks}
    return Diagnosis(machine, goal, tuple(_ask(rule, machine, known) for rule in rules))


def _ask(rule: Rule, machine: Machine, known: dict[type, object]) -> Verdict:
    facts: dict[str, object] = {}
    for name, fact in rule.needs:
        value = known.get(fact) or machine.why_unknown(fact)
        if isinstance(value, Unknown) and name not in rule.admits_unknown:
            return Verdict(rule, Skip(value.why, value.looked))
        facts[name] = value
    try:
        return Verdict(rule, rule(**facts))
    except Exception as why:  # noqa: BLE001 — one broken rule must not silence the others
        words = say("the rule crashed: {kind}: {why}", kind=type(why).__name__, why=str(why))
        return Verdict(rule, Skip(words, looked=False))
