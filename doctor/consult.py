"""One consultation, as the menus ask for it: look at a machine, judge it for a goal, advise. It prints nothing.

`consult()` without arguments judges this machine for running; `repro`'s door records what it says.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.advise import Advice, advise
from doctor.diagnose import Diagnosis, diagnose
from doctor.facts import Packages
from doctor.finding import Goal, Rule
from doctor.probes import Question, examine
from doctor.record import Recorder, Subject
from doctor.replay import Replay
from doctor.rules import ALL_RULES
from doctor.shell import Host, LiveHost
from doctor.stacks import Stacks, read_stacks
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

HOME = Path(__file__).resolve().parents[1]


class UsageError(ValueError):
    """Words that make no sense; the message says which and what to type."""


@dataclass(frozen=True, slots=True)
class Consultation:
    """What the doctor says of one machine."""

    diagnosis: Diagnosis
    advice: Advice
    stacks: Stacks

    @property
    def lines(self) -> tuple[str, ...]:
        """Return each finding in one line, problems first."""
        return tuple(f"{rule.code} {found.severity}: {found.saw}" for rule, found in self.diagnosis.findings)

    @property
    def num_problems(self) -> int:
        """Return how many findings stand in the way of the goal."""
        return self.diagnosis.count("problem")

    @property
    def installed_stack(self) -> str:
        """Return the pinned stack whose torch is installed, or what is installed instead."""
        packages = self.diagnosis.machine.packages
        torch = packages.of("torch") if isinstance(packages, Packages) else None
        if torch is None:
            return "none: torch is not installed"
        fitting = [stack.name for stack in self.stacks.known if stack.torch == torch.split("+")[0]]
        return fitting[0] if fitting else f"none: torch {torch} belongs to no pinned stack"


def consult(
    host: Host | None = None,
    *,
    question: Question | None = None,
    goal: Goal | None = None,
    rules: Sequence[Rule] = ALL_RULES,
) -> Consultation:
    """Look at `host` (this machine) and judge it. Raises StackError where `env/` is broken."""
    host = host or LiveHost()
    stacks = read_stacks(HOME / "env")
    goal = goal or Goal()
    machine = examine(
        host, replace(question or question_here(host), build=goal.builds, containers=goal.kind == "docker")
    )
    return Consultation(diagnose(machine, rules, goal=goal, stacks=stacks), advise(machine, stacks, goal), stacks)


def own_environment(host: Host) -> Path:
    """Return the folder of bevready's own environment, made or not."""
    return Path(host.variable("BEVREADY_VENV") or HOME / ".venv")


def question_here(
    host: Host,
    *,
    python: str = "",
    dataroot: str = "",
    deep: bool = False,
    extensions: Sequence[str] = (),
    checkout: str = "",
) -> Question:
    """Return what to look at on this machine.

    The interpreter is the one asked for, else that of bevready's own environment, else that of the active environment,
    else the one that runs the doctor. The data set folder is the one asked for, else data/nuscenes of the checkout
    where there is one. Raises UsageError where `python` is no program, an extension no file, or `checkout` no folder.
    """
    own = own_environment(host)
    target = _named_python(host, python) if python else _python_here(host, own)
    for extension in extensions:
        if not host.access(extension).readable:
            words = "--extension {file}: not a file that can be read; name a shared object (.so)"
            raise UsageError(say(words, file=extension))
    root = host.real_path(checkout) if checkout else ""
    if root is None:
        words = "--checkout {folder}: there is no such folder; name the project's root, as ~/BEVFormer"
        raise UsageError(say(words, folder=checkout))
    usual = str(HOME / "data" / "nuscenes")
    if not dataroot and host.access(usual).exists:
        dataroot = usual
    named = tuple(extensions)
    return Question(
        python=target,
        folder=str(own.parent),
        dataroot=dataroot,
        deep=deep,
        extensions=named,
        checkout=root,
        home=str(HOME),
    )


def _named_python(host: Host, named: str) -> str:
    """Return the interpreter that `--python` names: a program, or the folder of an environment."""
    target = host.which(named) or host.which(str(Path(named) / "bin" / "python"))
    if target is None:
        words = "--python {python}: not an executable file; name an interpreter, as .venv/bin/python"
        raise UsageError(say(words, python=named))
    return target


def _python_here(host: Host, own: Path) -> str:
    """Return the interpreter of bevready's environment, of the active one (venv before conda), or the doctor's own."""
    active = [Path(folder) for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if (folder := host.variable(name))]
    paths = [str(folder / "bin" / "python") for folder in (own, *active)]
    return next((path for path in paths if host.access(path).exists), host.own_python())


def replay_of_this_machine(*, python: str = "", dataroot: str = "") -> Replay:
    """Look at this machine and return what was seen, redacted, so that it compares with recordings."""
    live = LiveHost()
    question = question_here(live, python=python, dataroot=dataroot)
    recorder = Recorder(live)
    examine(recorder, question)
    return Replay(recorder.document(subject_of(question)))


def subject_of(question: Question) -> Subject:
    """Return what a recording keeps of a question, so that it can be asked again."""
    return Subject(
        python=question.python,
        folder=question.folder,
        dataroot=question.dataroot,
        extensions=question.extensions,
        checkout=question.checkout,
        home=question.home,
    )


def consult_recorded(
    replay: Replay, *, goal: Goal | None = None, rules: Sequence[Rule] = ALL_RULES, network: bool = False
) -> Consultation:
    """Judge a recorded machine."""
    subject = replay.subject()
    question = Question(
        python=subject.python,
        folder=subject.folder,
        dataroot=subject.dataroot,
        extensions=subject.extensions,
        checkout=subject.checkout,
        home=subject.home,
        network=network,
    )
    return consult(replay, question=question, goal=goal, rules=rules)


def rules_named(asked: str, *, asked_by: str = "--only") -> tuple[Rule, ...]:
    """Return the rules that are named, all where none is. Raises UsageError for a code that there is not."""
    codes = [code.strip().upper() for code in asked.split(",") if code.strip()]
    known = {rule.code: rule for rule in ALL_RULES}
    for code in codes:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=1)
            hint = say("did you mean {near}? ", near=near[0]) if near else ""
            words = "{flag} {code}: there is no such check; {hint}see: python3 -m doctor --list"
            raise UsageError(say(words, flag=asked_by, code=code, hint=hint))
    return tuple(known[code] for code in codes) if codes else ALL_RULES


def goal_named(word: str) -> Goal:
    """Read `--for`. Raises UsageError for a goal or recipe that there is not."""
    match word.partition(":"):
        case ("run" | "build-ext" | "docker") as kind, "", "":
            return Goal(kind)
        case "recipe", ":", name if name:
            known = sorted(path.stem for path in (HOME / "recipes").glob("*.toml"))
            if name not in known:
                words = "--for {word}: there is no such recipe; expected one of {known}"
                raise UsageError(say(words, word=word, known=", ".join(known)))
            return Goal("recipe", name)
    raise UsageError(say("--for {word}: expected run, build-ext, docker or recipe:NAME", word=word))
