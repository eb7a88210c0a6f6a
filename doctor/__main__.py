"""The doctor's menu: words in, one look, one diagnosis, print. `python3 -m doctor --help` explains it."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from doctor import render
from doctor.consult import Consultation, UsageError, consult, goal_named, question_here, rules_named
from doctor.probes import Question
from doctor.record import Recorder, RecordingError, Subject, load
from doctor.shell import LiveHost
from doctor.stacks import StackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Goal, Rule

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


def main(words: Sequence[str] | None = None) -> int:
    """Run the doctor on the command-line words; return the exit code."""
    options = _parser().parse_args(words)
    try:
        return _list(options) if options.list else _judge(options)
    except (UsageError, RecordingError, StackError) as why:
        print(f"doctor: {why}", file=sys.stderr)  # noqa: T201 — this is the menu
        return PROBLEMS
    except BrokenPipeError:  # `doctor | head` closed the pipe: nobody is left to read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEMS
    except OSError as why:
        print(f"doctor: {why.filename}: {why.strerror}; name a folder that can be written", file=sys.stderr)  # noqa: T201
        return PROBLEMS


def _judge(options: argparse.Namespace) -> int:
    rules, goal = rules_named(options.only), goal_named(options.goal)
    told = _recorded(options, goal, rules) if options.replay else _seen(options, goal, rules)
    if options.what == "stack":
        return _print_stack(told.advice, as_json=options.json)
    code = exit_code(told.diagnosis, strict=options.strict)
    if options.json:
        _print(render.as_json(told.diagnosis, told.advice, exit_code=code))
    elif options.markdown:
        _print(render.markdown(told.diagnosis, told.advice))
    else:
        _print_lines(render.terminal(told.diagnosis, told.advice))
    return code


def _recorded(options: argparse.Namespace, goal: Goal, rules: Sequence[Rule]) -> Consultation:
    """Judge a recorded machine."""
    replay = load(Path(options.replay))
    subject = replay.subject()
    question = Question(
        python=subject.python,
        folder=subject.folder,
        dataroot=subject.dataroot,
        extensions=subject.extensions,
        checkout=subject.checkout,
    )
    return consult(replay, question=question, goal=goal, rules=rules)


def _seen(options: argparse.Namespace, goal: Goal, rules: Sequence[Rule]) -> Consultation:
    """Judge this machine; write down what was seen where `--record` asks for it."""
    live = LiveHost()
    question = question_here(
        live,
        python=options.python,
        dataroot=options.dataroot,
        deep=options.deep,
        extensions=options.extension,
        checkout=options.checkout,
    )
    if not options.record:
        return consult(live, question=question, goal=goal, rules=rules)
    recorder = Recorder(live)
    told = consult(recorder, question=replace(question, deep=False), goal=goal, rules=rules)
    path = recorder.save(
        Path(options.record),
        Subject(question.python, question.folder, question.dataroot, question.extensions, question.checkout),
    )
    words = "names, tokens, UUIDs and addresses are redacted; look before you send it"
    print(f"doctor: recorded in {path}; {words}", file=sys.stderr)  # noqa: T201 — this is the menu
    return told


def exit_code(diagnosis: Diagnosis, *, strict: bool) -> int:
    """Return 2 for a problem, 3 where something could not be looked at, 1 for a warning under `strict`, else 0."""
    if diagnosis.count("problem"):
        return PROBLEMS
    if diagnosis.could_not_look:
        return COULD_NOT_LOOK
    return WARNINGS if strict and diagnosis.count("warning") else HEALTHY


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
    _print(render.rule_list(rules_named(options.only)))
    return HEALTHY


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
    parser.add_argument(
        "--python", default="", metavar="PATH", help="judge the packages of this interpreter or environment"
    )
    parser.add_argument(
        "--extension", default=[], action="append", metavar="FILE", help="also look into this compiled extension (.so)"
    )
    parser.add_argument("--checkout", default="", metavar="DIR", help="also judge what lies in this project's folder")
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
