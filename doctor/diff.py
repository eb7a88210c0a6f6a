"""What differs between two machines, and what of it matters: the facts behind a finding that only one of them has.

Pure: two diagnoses in, one difference out. What changes from minute to minute counts only where a finding rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from doctor.diagnose import Skip
from doctor.facts import Unknown
from doctor.finding import Finding
from doctor.machine import FIELD_OF_FACT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.diagnose import Diagnosis, Verdict
    from doctor.machine import Machine

PASSING = frozenset({"memory.available", "disk.free"})
PAIRS = 2


@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact that differs, by its path in the machine, and the checks that fail on one side and depend on it."""

    path: str
    before: str
    after: str
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """A check that answers differently: ok, problem, warning, note or skip, each with its reason."""

    code: str
    before: str
    after: str
    before_why: str
    after_why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs: facts behind a finding of one side, then checks, then the other facts."""

    causes: tuple[FactDifference, ...]
    rules: tuple[RuleDifference, ...]
    others: tuple[FactDifference, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both are the same machine as far as the doctor can tell."""
        return not (self.causes or self.rules or self.others)


def compare(before: Diagnosis, after: Diagnosis) -> Difference:
    """Compare two diagnoses made with the same rules for the same goal."""
    rules, suspects = [], dict[str, list[str]]()
    for one, other in zip(before.verdicts, after.verdicts, strict=True):
        if state(one) == state(other):
            continue
        rules.append(RuleDifference(one.rule.code, state(one), state(other), _why(one), _why(other)))
        if isinstance(one.answer, Finding) != isinstance(other.answer, Finding):
            for _, fact in one.rule.needs:
                suspects.setdefault(FIELD_OF_FACT.get(fact, ""), []).append(one.rule.code)
    causes, others = [], []
    for path, left, right in _differing(before.machine, after.machine):
        behind = tuple(suspects.get(path.partition(".")[0], ()))
        if behind:
            causes.append(FactDifference(path, left, right, behind))
        elif path not in PASSING:
            others.append(FactDifference(path, left, right))
    causes.sort(key=lambda fact: -len(fact.behind))
    return Difference(tuple(causes), tuple(rules), tuple(others))


def state(verdict: Verdict) -> str:
    """Return ok, problem, warning, note or skip."""
    match verdict.answer:
        case Finding(severity=severity):
            return severity
        case Skip():
            return "skip"
    return "ok"


def _why(verdict: Verdict) -> str:
    match verdict.answer:
        case Finding(saw=saw):
            return saw
        case Skip(why=why):
            return why
    return verdict.rule.healthy


def _differing(before: Machine, after: Machine) -> Iterator[tuple[str, str, str]]:
    for field in fields(before):
        left, right = getattr(before, field.name), getattr(after, field.name)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            if type(left) is not type(right):
                yield field.name, str(left), str(right)
            continue
        leaves, others = dict(_leaves(left, field.name)), dict(_leaves(right, field.name))
        for path in dict.fromkeys((*leaves, *others)):
            if leaves.get(path) != others.get(path):
                yield path, leaves.get(path, ""), others.get(path, "")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the paths and texts of everything in a fact; pairs of a name and a value go by the name."""
    if is_dataclass(value) and not isinstance(value, (type, Unknown)):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple) and all(isinstance(inner, int) for inner in value):
        yield path, ".".join(map(str, value))
    elif isinstance(value, tuple):
        named = all(isinstance(pair, tuple) and len(pair) == PAIRS and isinstance(pair[0], str) for pair in value)
        for number, inner in enumerate(value):
            name, content = inner if named else (str(number), inner)
            yield from _leaves(content, f"{path}.{name}")
    else:
        yield path, "" if value is None else str(value)
