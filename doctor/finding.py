"""What a rule is and what it says: `Rule`, `Finding`, and the goal that severity depends on. No rule lives here."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from doctor.facts import Unknown
from doctor.machine import FIELD_OF_FACT
from doctor.stacks import Stacks

Severity = Literal["problem", "warning", "note"]
GoalKind = Literal["run", "build-ext", "docker", "recipe"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the user is about to do; `recipe` names one where kind is recipe."""

    kind: GoalKind = "run"
    recipe: str = ""

    @property
    def builds(self) -> bool:
        """Whether an extension is about to be compiled."""
        return self.kind == "build-ext"

    def __str__(self) -> str:
        """Return the word after `--for`."""
        return f"recipe:{self.recipe}" if self.kind == "recipe" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: what was seen, what was expected, what to type.

    `fix` holds commands or sentences, the best first. `evidence` holds the raw facts behind `saw`. `repair` holds what
    `--fix` may run inside bevready's own environment: ("pip", …) or ("recreate",); see fix.py.
    """

    saw: str
    fix: tuple[str, ...]
    expected: str = ""
    severity: Severity = "problem"
    confidence: Literal["sure", "likely", "guess"] = "sure"
    evidence: tuple[str, ...] = ()
    repair: tuple[tuple[str, ...], ...] = ()


Check = Callable[..., "Finding | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pure function from facts to a finding, its stable code, and the healthy condition in one sentence.

    `needs` are the types of facts it takes, by parameter; `admits_unknown` those parameters that may be `Unknown`.
    """

    code: str
    healthy: str
    category: str
    check: Check
    needs: tuple[tuple[str, type], ...]
    admits_unknown: frozenset[str]

    def __call__(self, **facts: object) -> Finding | None:
        """Judge the facts, given by parameter name."""
        return self.check(**facts)

    @property
    def why(self) -> str:
        """Why it matters: the rule's own docstring."""
        return inspect.getdoc(self.check) or ""


def rule(code: str, healthy: str, *, category: str) -> Callable[[Check], Rule]:
    """Turn a function into the rule `code`. Its parameters' types say which facts it needs."""

    def wrap(check: Check) -> Rule:
        hints = typing.get_type_hints(check)
        hints.pop("return", None)
        needs = {name: _fact_of(check, name, hint) for name, hint in hints.items()}
        unknown_welcome = frozenset(name for name, hint in hints.items() if Unknown in typing.get_args(hint))
        return Rule(code, healthy, category, check, tuple(needs.items()), unknown_welcome)

    return wrap


def _fact_of(check: Check, name: str, hint: object) -> type:
    """Return the one fact type in an annotation such as `Toolkit` or `Toolkit | Unknown`."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    named = [option for option in options if option is not Unknown]
    if len(named) != 1 or not isinstance(named[0], type) or named[0] not in {*FIELD_OF_FACT, Goal, Stacks}:
        raise TypeError(f"{check.__qualname__}: parameter {name!r} must be one fact type of facts.py, got {hint}")
    return named[0]
