"""The words that `python3 -m doctor` understands, and its help. What they do: `__main__.py`."""

from __future__ import annotations

import argparse
import os
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

from doctor.words import LANGUAGES, catalogue, say, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS = ("stack", "explain", "why", "diff")
BAD_INPUT = 2
ABOUT = "Say what is wrong with this machine, why, and what to type. Looks only, unless told to --fix."
EPILOG = """\
words:
  python3 -m doctor                       what is wrong here, and what to type
  python3 -m doctor stack                 the name of the pinned stack that fits, for scripts
  python3 -m doctor explain FILE          the root cause in a log of a build, installation or run; - is stdin
  python3 -m doctor why CODE              one check in full: why it matters, what it needs, what it may say
  python3 -m doctor diff A B              what differs between two recorded machines; `live` is this one

examples:
  make 2>&1 | tee build.log; python3 -m doctor explain build.log   why a build failed
  python3 -m doctor --for build-ext       the same, before compiling the extension
  python3 -m doctor --python ~/other/bin/python   judge another environment's packages
  python3 -m doctor --record machine      write what was seen to machine/, redacted: attach it to an issue
  python3 -m doctor --replay machine      judge a recorded machine
  python3 -m doctor --issue > issue.md    the text of an issue, redacted, with room to say what happened
  python3 -m doctor --fix --dry-run       what --fix would run inside bevready's own environment

exit codes: 0 healthy, 1 warnings under --strict, 2 problems or bad input, 3 could not look;
            of explain: 0 the cause is named, 3 nothing known is in the log, 2 bad input
            of diff: 0 the same, 1 different, 2 bad input
"""
# What to look at and how to judge it, how to say it, what writes something: flag, argument (empty: none), help.
QUESTIONS = (
    ("--for", "GOAL", "run, build-ext, docker or recipe:NAME"),
    ("--python", "PATH", "judge the packages of this interpreter or environment"),
    ("--checkout", "DIR", "also judge what lies in this project's folder"),
    ("--dataroot", "DIR", "look at this data set folder (else data/nuscenes)"),
    ("--deep", "", "import torch and try every GPU (seconds)"),
    ("--network", "", "also ask the package indexes of pip and uv (seconds)"),
    ("--strict", "", "exit 1 where there is a warning"),
    ("--only", "CODE,...", "only these checks"),
    ("--alone", "", "explain: look at the log only, not at this machine"),
    ("--replay", "DIR", "judge a recorded machine instead of this one"),
)
FORMS = (
    ("--json", "", "one JSON document on stdout and nothing else there"),
    ("--markdown", "", "a report: the machine and the findings"),
    ("--issue", "", "the text of an issue to paste, redacted"),
    ("--all", "", "also name every check that found nothing or does not apply"),
    ("--list", "", "list every check and stop"),
)
ACTS = (
    ("--record", "DIR", "write what was seen to this folder, redacted"),
    ("--no-redact", "", "leave names, tokens and addresses in what is written"),
    ("--fix", "", "mend bevready's own environment; print the rest"),
    ("--dry-run", "", "with --fix: print what would be run, run nothing"),
)


class _Named(argparse.Action):
    """A value that may not be empty: `--replay "$MACHINE"` without a MACHINE asks for nothing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 — argparse's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002 — as above
    ) -> None:
        """Store it, or say that it is empty."""
        if not values:
            raise argparse.ArgumentError(self, "expected one argument")
        setattr(namespace, self.dest, values)


class _Parser(argparse.ArgumentParser):
    """argparse with our wording of a mistake."""

    language = "en"

    def error(self, message: str) -> NoReturn:
        """Say the mistake and where help is; exit with 2."""
        words = say("{message}; see: python3 -m doctor --help", message=message)
        self.exit(BAD_INPUT, f"doctor: {translate(words, catalogue(self.language))}\n")


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the command line, its help in the language that `words` or BEVREADY_LANG asks for."""
    language = language_of(words)
    told = catalogue(language)
    made = _Parser(
        prog="python3 -m doctor",
        description=translate(ABOUT, told),
        epilog=translate(EPILOG, told),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.language = language
    word_help = translate("stack, explain, why or diff; see below", told)
    made.add_argument("what", nargs="?", choices=COMMANDS, metavar="WORD", help=word_help)
    made.add_argument("names", nargs="*", metavar="NAME", help=translate("what the word is about", told))
    _add(made, QUESTIONS, told)
    made.set_defaults(goal="run")
    extension_help = translate("also look into this compiled extension (.so); may be given several times", told)
    made.add_argument("--extension", default=[], action="append", metavar="FILE", help=extension_help)
    _add(made, FORMS, told)
    made.add_argument(
        "--lang", default=language, choices=LANGUAGES, help=translate("en or zh (also: BEVREADY_LANG=zh)", told)
    )
    tables_help = translate("show what is known of versions that go together", told)
    made.add_argument("--tables", nargs="?", const="", metavar="NAME", help=tables_help)
    _add(made, ACTS, told)
    return made


def language_of(words: Sequence[str]) -> str:
    """Return the language that the words ask for, else BEVREADY_LANG, else English; LANG is not asked."""
    asked = [os.environ.get("BEVREADY_LANG", "")]
    asked += [after for word, after in pairwise(words) if word == "--lang"]
    asked += [word.removeprefix("--lang=") for word in words if word.startswith("--lang=")]
    return next((word for word in reversed(asked) if word in LANGUAGES), "en")


def _add(made: argparse.ArgumentParser, rows: Sequence[tuple[str, str, str]], told: Mapping[str, str]) -> None:
    for flag, argument, words in rows:
        if argument:
            name = "goal" if flag == "--for" else flag.removeprefix("--")
            made.add_argument(flag, action=_Named, dest=name, default="", metavar=argument, help=translate(words, told))
        else:
            made.add_argument(flag, action="store_true", help=translate(words, told))
