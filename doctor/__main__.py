"""The doctor's menu: words in, one look, one diagnosis, print. `python3 -m doctor --help` explains it."""

from __future__ import annotations

import argparse
import difflib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from doctor import render
from doctor.advise import advise
from doctor.diagnose import diagnose
from doctor.finding import Goal
from doctor.probes import Question, examine
from doctor.record import Recorder, RecordingError, Subject, load
from doctor.rules import ALL_RULES
from doctor.shell import LiveHost
from doctor.stacks import StackError, read_stacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Rule
    from doctor.machine import Machine
    from doctor.shell import Host

HOME = Path(__file__).resolve().parents[1]
HEALTHY, WARNINGS, PROBLEMS, COULD_NOT_LOOK = 0, 1, 2, 3
STYLES = {"good": "green", "bad": "bold red", "doubtful": "yellow", "quiet": "dim", "plain": ""}
EPILOG = """\
examples:
  python3 -m doctor                       what is wrong here, and what to type
  python3 -m doctor --for build-ext       the same, before compiling the extension
  python3 -m doctor stack                 the name of the pinned stack that fits, for scripts
  python3 -m doctor --python ~/other/bin/python   judge another environment's packages
  python3 -m doctor --record machine      write what was seen to machine/, redacted: attach it to an issue
  python3 -m doctor --replay machine      judge a recorded machine

exit codes: 0 healthy, 1 warnings under --strict, 2 problems or bad input, 3 could not look
"""


class UsageError(ValueError):
    """Words that make no sense together; the message says which and what to type."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the doctor on the command-line words; return the exit code."""
    options = _parser().parse_args(words)
    try:
        return _list(options) if options.list else _judge(options)
    except (UsageError, RecordingError, StackError) as why:
        print(f"doctor: {why}", file=sys.stderr)  # noqa: T201 — this is the menu
        return PROBLEMS
    except OSError as why:
        print(f"doctor: {why.filename}: {why.strerror}; name a folder that can be written", file=sys.stderr)  # noqa: T201
        return PROBLEMS


def _judge(options: argparse.Namespace) -> int:
    rules, goal, stacks = _rules(options.only), _goal(options.goal), read_stacks(HOME / "env")
    machine = _look(options)
    advice = advise(machine, stacks)
    if options.what == "stack":
        return _print_stack(advice, as_json=options.json)
    diagnosis = diagnose(machine, rules, goal=goal, stacks=stacks)
    code = exit_code(diagnosis, strict=options.strict)
    if options.json:
        _print(render.as_json(diagnosis, advice, exit_code=code))
    elif options.markdown:
        _print(render.markdown(diagnosis, advice))
    else:
        _print_lines(render.terminal(diagnosis, advice))
    return code


def exit_code(diagnosis: Diagnosis, *, strict: bool) -> int:
    """Return 2 for a problem, 3 where something could not be looked at, 1 for a warning under `strict`, else 0."""
    if diagnosis.count("problem"):
        return PROBLEMS
    if diagnosis.could_not_look:
        return COULD_NOT_LOOK
    return WARNINGS if strict and diagnosis.count("warning") else HEALTHY


def _look(options: argparse.Namespace) -> Machine:
    """Look at this machine, or at a recorded one; record it where that was asked for."""
    if options.replay:
        replay = load(Path(options.replay))
        subject = replay.subject()
        return examine(replay, Question(python=subject.python, folder=subject.folder, dataroot=subject.dataroot))
    live: Host = LiveHost()
    question = Question(
        python=_target(live, options.python),
        folder=live.variable("BEVREADY_VENV") or str(HOME),
        dataroot=options.dataroot,
        deep=options.deep,
    )
    if not options.record:
        return examine(live, question)
    recorder = Recorder(live)
    machine = examine(recorder, replace(question, deep=False))
    path = recorder.save(Path(options.record), Subject(question.python, question.folder, question.dataroot))
    words = "names, tokens, UUIDs and addresses are redacted; look before you send it"
    print(f"doctor: recorded in {path}; {words}", file=sys.stderr)  # noqa: T201 — this is the menu
    return machine


def _print_stack(advice: Advice, *, as_json: bool) -> int:
    """Print the name of the stack that fits and nothing else on stdout; reasons go to stderr, or into the JSON."""
    if as_json:
        _print(render.advice_as_json(advice))
        return HEALTHY if advice.choice else PROBLEMS
    if advice.choice is None:
        remedy = f"Or work on the CPU: BEVREADY_STACK={advice.ranking[0].stack.name} ./bevready …"
        print(f"doctor: {advice.why}. See what to do: ./bevready doctor. {remedy}", file=sys.stderr)  # noqa: T201
        return PROBLEMS
    _print(advice.choice.name)
    return HEALTHY


def _list(options: argparse.Namespace) -> int:
    _print(render.rule_list(_rules(options.only)))
    return HEALTHY


def _rules(only: str) -> tuple[Rule, ...]:
    """Return the rules named in `--only`, all where it names none. Raises UsageError for a code that there is not."""
    codes = [code.strip().upper() for code in only.split(",") if code.strip()]
    known = {rule.code: rule for rule in ALL_RULES}
    for code in codes:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"--only {code}: there is no such check; {hint}see: python3 -m doctor --list")
    return tuple(known[code] for code in codes) if codes else ALL_RULES


def _goal(text: str) -> Goal:
    """Read `--for`. Raises UsageError for a goal or recipe that there is not."""
    match text.partition(":"):
        case ("run" | "build-ext" | "docker") as kind, "", "":
            return Goal(kind)
        case "recipe", ":", name if name:
            known = sorted(path.stem for path in (HOME / "recipes").glob("*.toml"))
            if name not in known:
                raise UsageError(f"--for {text}: there is no such recipe; expected one of {', '.join(known)}")
            return Goal("recipe", name)
    raise UsageError(f"--for {text}: expected run, build-ext, docker or recipe:NAME")


def _target(host: Host, asked: str) -> str:
    """Return the interpreter under examination: the one asked for, bevready's own environment, or this one."""
    if asked:
        path = host.which(asked)
        if path is None:
            raise UsageError(f"--python {asked}: not an executable file; name an interpreter, as .venv/bin/python")
        return path
    own = Path(host.variable("BEVREADY_VENV") or HOME / ".venv") / "bin" / "python"
    return str(own) if own.exists() else host.own_python()


def _print(text: str) -> None:
    """Print, replacing what the terminal's encoding cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")


def _print_lines(lines: list[render.Line]) -> None:
    """Print in colour where rich is importable and somebody looks, plainly elsewhere."""
    try:
        from rich.console import Console  # noqa: PLC0415 — optional, and only for a terminal
        from rich.text import Text  # noqa: PLC0415
    except ImportError:
        _print("\n".join(text for _, text in lines))
        return
    if not sys.stdout.isatty():
        _print("\n".join(text for _, text in lines))
        return
    console = Console(highlight=False, soft_wrap=True)
    for tone, text in lines:
        console.print(Text(text, style=STYLES[tone]))


class _Parser(argparse.ArgumentParser):
    """argparse with our wording of a mistake."""

    def error(self, message: str) -> NoReturn:
        """Say the mistake and where help is; exit with 2."""
        self.exit(PROBLEMS, f"doctor: {message}; see: python3 -m doctor --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python3 -m doctor",
        description="Say what is wrong with this machine, why, and what to type. Looks only; changes nothing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", nargs="?", choices=("stack",), help="print only the name of the stack that fits")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else there")
    parser.add_argument("--markdown", action="store_true", help="a report to paste into an issue")
    parser.add_argument(
        "--for", dest="goal", default="run", metavar="GOAL", help="run, build-ext, docker or recipe:NAME"
    )
    parser.add_argument("--python", default="", metavar="PATH", help="judge the packages of this interpreter")
    parser.add_argument("--dataroot", default="", metavar="DIR", help="also look at this nuScenes folder")
    parser.add_argument("--deep", action="store_true", help="import torch and try every GPU (seconds)")
    parser.add_argument("--strict", action="store_true", help="exit 1 where there is a warning")
    parser.add_argument("--only", default="", metavar="CODE,...", help="only these checks")
    parser.add_argument("--list", action="store_true", help="list every check and stop")
    parser.add_argument("--record", default="", metavar="DIR", help="write what was seen to this folder, redacted")
    parser.add_argument("--replay", default="", metavar="DIR", help="judge a recorded machine instead of this one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
