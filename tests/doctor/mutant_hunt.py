"""Who notices a mutant of the rules: the recorded machines first, then the plain tests that run the edited function.

`python -m tests.doctor.mutant_hunt [--only rules/driver]` prints one JSON document. It runs in a process of its own,
because it edits the doctor that it has imported.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections import defaultdict
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from _pytest.runner import runtestprotocol

import doctor.__main__ as menu
from doctor.advise import advise
from doctor.consult import Consultation
from doctor.diagnose import Diagnosis, diagnose
from doctor.rules import ALL_RULES
from tests.doctor.mutation import Mutant, forget_all, mutants_of

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable

    from doctor.finding import Rule

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests" / "fixtures" / "machines"
JUDGES = ("doctor/rules/*.py", "doctor/compat/*.py", "doctor/advise.py")
PLAIN = re.compile(
    r"^from (doctor\.(rules\.\w+|rules|compat\.\w+|compat|advise)|tests\.doctor\.asking) import (?!ALL_RULES)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded machine, examined and judged once, and what `expected.json` says of it."""

    name: str
    told: Consultation
    findings: dict[str, str]
    stack: str | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One rule asked again about a recorded machine, or the advice where there is no rule."""

    recorded: Recorded
    rule: Rule | None

    def fails(self) -> bool:
        """Return whether finding, severity, exit code or stack are no longer the expected ones; so is a crash."""
        told, machine = self.recorded.told.diagnosis, self.recorded.told.diagnosis.machine
        stacks = self.recorded.told.stacks
        if self.rule is None:
            with suppress(Exception):  # a crash of the advice would end test_machines.py
                choice = advise(machine, stacks).choice
                return self.recorded.stack != (choice.name if choice else None)
            return True
        (verdict,) = diagnose(machine, (self.rule,), goal=told.goal, stacks=stacks).verdicts
        verdicts = tuple(verdict if old.rule is self.rule else old for old in told.verdicts)
        diagnosis = Diagnosis(machine, told.goal, verdicts)
        found = {rule.code: finding.severity for rule, finding in diagnosis.findings}
        return (found, menu.exit_code(diagnosis, strict=False)) != (self.recorded.findings, self.recorded.exit_code)

    def __str__(self) -> str:
        return f"{self.rule.code if self.rule else 'the stack'} of {self.recorded.name}"


@dataclass(frozen=True, slots=True)
class PlainTest:
    """A collected test, run on its own as often as it takes."""

    item: pytest.Item

    def fails(self) -> bool:
        """Run it; return whether it fails."""
        return any(report.failed for report in runtestprotocol(self.item, log=False, nextitem=None))

    def __str__(self) -> str:
        return self.item.nodeid


Watcher: TypeAlias = Rejudged | PlainTest


def recorded(folder: Path) -> Recorded:
    """Examine a recording, as the menu does, and read what is expected of it."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    consultations: list[Consultation] = []

    def overhear(*words: Any) -> Consultation:
        consultations.append(Consultation(*words))
        return consultations[-1]

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setattr("doctor.consult.Consultation", overhear)
        menu.main(["--replay", str(folder), "--json", "--for", expected["goal"]])
    (told,) = consultations
    return Recorded(folder.name, told, expected["findings"], expected["stack"], expected["exit_code"])


def calls_of(watcher: Watcher) -> tuple[set[types.CodeType], bool]:
    """Return the code of every function that a watcher calls, and whether it fails."""
    called: set[types.CodeType] = set()

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        return called, watcher.fails()
    finally:
        sys.setprofile(None)


class Hunt:
    """A pytest plugin: instead of running the collected tests once, it runs those that call a mutant, per mutant."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.survivors: list[Mutant] = []
        self.caught_by_machines = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Hunt. Who calls a function is learnt from asking everybody once on the sane code."""
        machines = [recorded(folder) for folder in sorted(RECORDED.iterdir())]
        rejudged = by_code(Rejudged(machine, rule) for machine in machines for rule in (None, *ALL_RULES))
        tests = by_code(PlainTest(item) for item in session.items)
        for mutant in self.mutants:
            with mutant.alive():
                if any(watcher.fails() for code in mutant.met_by for watcher in rejudged[code]):
                    self.caught_by_machines += 1
                elif not any(watcher.fails() for code in mutant.met_by for watcher in tests[code]):
                    self.survivors.append(mutant)
        return True


def by_code(watchers: Iterable[Watcher]) -> dict[types.CodeType, list[Watcher]]:
    """Return which watchers call which code. One that fails before there is a mutant can notice none: leave it out."""
    found: dict[types.CodeType, list[Watcher]] = defaultdict(list)
    for watcher in watchers:
        forget_all()  # a cached answer calls nothing
        called, fails = calls_of(watcher)
        if fails:
            sys.stderr.write(f"{watcher} fails before there is a mutant\n")
        for code in () if fails else called:
            found[code].append(watcher)
    return found


def hunt(mutants: list[Mutant]) -> Hunt:
    """Let every mutant live for a moment; return who survived."""
    plugin = Hunt(mutants)
    files = [str(path) for path in plain_tests()]
    with redirect_stdout(io.StringIO()) as words:
        code = pytest.main([*files, "-q", "--noconftest"], plugins=[plugin])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code}: {words.getvalue()[-2000:]}")
    return plugin


def plain_tests() -> list[Path]:
    """Return the test files that call rules, tables or the advice by name; those that take whole machines do not."""
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    return [path for path in files if PLAIN.search(path.read_text(encoding="utf-8"))]


def all_mutants(only: str = "") -> list[Mutant]:
    """Return the mutants of every judge, the lists at the end of the files left out."""
    files = [path for pattern in JUDGES for path in sorted(ROOT.glob(pattern)) if path.name != "__init__.py"]
    return [mutant for path in files if only in str(path) for mutant in mutants_of(path, ROOT)]


def main() -> int:
    """Hunt; print who survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only mutants of files with this in their path")
    mutants = all_mutants(parser.parse_args().only)
    found = hunt(mutants)
    rows = [{"key": mutant.key, "line": mutant.line} for mutant in found.survivors]
    document = {
        "mutants": len(mutants),
        "caught_by_machines": found.caught_by_machines,
        "keys": sorted({mutant.key for mutant in mutants}),
        "survivors": rows,
    }
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
