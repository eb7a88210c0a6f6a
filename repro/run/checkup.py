"""The doctor's look at this machine before a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import render
from doctor.consult import consult
from doctor.finding import Goal
from doctor.probes import Question
from doctor.record import Recorder, Subject
from doctor.shell import LiveHost
from repro.recipe import available
from repro.record.schema import DoctorFinding, DoctorLook

if TYPE_CHECKING:
    from doctor.consult import Consultation
    from repro.recipe import AnyRecipe

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Checkup:
    """What the doctor said, and the machine as it saw it, redacted."""

    seen: Consultation
    recording: dict[str, Any]

    @property
    def look(self) -> DoctorLook:
        """Return what a record holds of it."""
        found = self.seen.diagnosis.findings
        rows = tuple(DoctorFinding(code=rule.code, severity=f.severity, saw=f.saw) for rule, f in found)
        return DoctorLook(checks=len(self.seen.diagnosis.verdicts), findings=rows)


def look(recipe: AnyRecipe, *, aloud: bool = True) -> Checkup:
    """Let the doctor look at this machine, and say what it found (silently: the launching process said it).

    The data folder is left out of the question: the data stage looks at it more closely.
    """
    goal = Goal("recipe", recipe.name) if recipe.name in available() else Goal("run")
    host = Recorder(LiveHost())
    seen = consult(host, question=Question(python=sys.executable, folder=str(ROOT)), goal=goal)
    checkup = Checkup(seen, host.document(Subject(sys.executable, str(ROOT))))
    if not aloud:
        return checkup
    if seen.num_problems:
        lines = [text for _, text in render.terminal(seen.diagnosis, seen.advice)]
    else:
        head = f"doctor     stack {seen.installed_stack}, {len(seen.diagnosis.verdicts)} checks, no problem"
        lines = [head, *(f"           {line}" for line in seen.lines)]
    sys.stderr.write("\n".join(lines) + "\n")
    return checkup
