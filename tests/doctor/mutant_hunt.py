"""Who notices a mutant of the rules: the recorded machines first, then the plain tests that run the edited function.

`python -m tests.doctor.mutant_hunt [--only rules/driver]` prints one JSON document. It runs in a process of its own,
because it edits the doctor that it has imported.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

import doctor.__main__ as menu
from doctor.advise import advise
from doctor.consult import Consultation, consult
from doctor.diagnose import diagnose
from doctor.rules import ALL_RULES
from tests.doctor.mutation import Mutant, forget_all, mutants_of

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable

    from doctor.finding import Goal
    from doctor.machine import Machine
    from doctor.stacks import Stacks

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests" / "fixtures" / "machines"
JUDGES = ("doctor/rules/*.py", "doctor/compat/*.py", "doctor/advise.py")
PLAIN_TESTS = ("test_rules*.py", "test_advise.py", "test_compat*.py")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded machine, examined once, and what it says of itself: what `expected.json` states, no more."""

    name: str
    machine: Machine
    goal: Goal
    stacks: Stacks
    said: object

    def as_expected(self) -> bool:
        """Return whether findings, severities, stack and exit code are the expected ones; a crash is not."""
        try:
            diagnosis = diagnose(self.machine, ALL_RULES, goal=self.goal, stacks=self.stacks)
            choice = advise(self.machine, self.stacks).choice
        except Exception:  # noqa: BLE001 — whatever a mutant raises, it would end test_machines.py too
            return False
        found = {rule.code: finding.severity for rule, finding in diagnosis.findings}
        return (found, choice.name if choice else None, menu.exit_code(diagnosis, strict=False)) == self.said


def recorded(folder: Path) -> Recorded:
    """Examine a recording, as the menu does, and read what is expected of it."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    consultations: list[Consultation] = []

    def overhear(*words: Any, **options: Any) -> Consultation:
        consultations.append(consult(*words, **options))
        return consultations[-1]

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setattr(menu, "consult", overhear)
        menu.main(["--replay", str(folder), "--json", "--for", expected["goal"]])
    (told,) = consultations
    said = (expected["findings"], expected["stack"], expected["exit_code"])
    return Recorded(folder.name, told.diagnosis.machine, told.diagnosis.goal, told.stacks, said)


def calls_of(work: Callable[[], object]) -> set[types.CodeType]:
    """Return the code of every function that `work` calls."""
    called: set[types.CodeType] = set()

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return called


class Hunt:
    """A pytest plugin: instead of running the collected tests once, it runs those that call a mutant, per mutant."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.survivors: list[Mutant] = []
        self.caught_by_machines = 0
        self._failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Hunt. What calls a function is learnt from one run of everything on the sane code."""
        machines = [recorded(folder) for folder in sorted(RECORDED.iterdir())]
        machines_of = _by_code(machines, lambda machine: self._sane(machine.as_expected(), machine.name))
        tests_of = _by_code(session.items, lambda item: self._sane(not self._fails(item), item.name))
        for mutant in self.mutants:
            machines_here = [machine for code in mutant.met_by for machine in machines_of[code]]
            tests_here = [test for code in mutant.met_by for test in tests_of[code]]
            with mutant.alive():
                if not all(machine.as_expected() for machine in machines_here):
                    self.caught_by_machines += 1
                elif not any(self._fails(test) for test in tests_here):
                    self.survivors.append(mutant)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember whether the test at hand failed."""
        self._failed |= report.failed

    def _fails(self, item: pytest.Item) -> bool:
        self._failed = any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
        return self._failed

    @staticmethod
    def _sane(holds: bool, name: str) -> None:  # noqa: FBT001 — the one fact that counts
        if not holds:
            raise RuntimeError(f"{name} fails before any mutation: make the tests pass first")


def _by_code(watchers: Iterable[Any], run: Callable[[Any], None]) -> dict[types.CodeType, list[Any]]:
    """Run every watcher once; return which ones call which code."""
    found: dict[types.CodeType, list[Any]] = defaultdict(list)
    for watcher in watchers:
        forget_all()  # a cached answer calls nothing
        for code in calls_of(functools.partial(run, watcher)):
            found[code].append(watcher)
    return found


def hunt(mutants: list[Mutant]) -> Hunt:
    """Let every mutant live for a moment; return who survived."""
    plugin = Hunt(mutants)
    files = [str(path) for pattern in PLAIN_TESTS for path in sorted(Path(__file__).parent.glob(pattern))]
    with redirect_stdout(io.StringIO()) as words:
        code = pytest.main([*files, "-q", "--noconftest"], plugins=[plugin])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code}: {words.getvalue()[-2000:]}")
    return plugin


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
    document = {"mutants": len(mutants), "caught_by_machines": found.caught_by_machines, "survivors": rows}
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
