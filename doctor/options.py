"""The words that `python3 -m doctor` understands. What they do: `__main__.py`."""

from __future__ import annotations

import argparse
import os
from typing import NoReturn

from doctor.words import LANGUAGES

COMMANDS = ("stack", "explain", "why", "diff")
BAD_INPUT = 2
EPILOG = """\
words:
  python3 -m doctor                       what is wrong here, and what to type
  python3 -m doctor stack                 the name of the pinned stack that fits, for scripts
  python3 -m doctor explain FILE          the root cause in a log of a build, installation or run; - is stdin
  python3 -m doctor why CODE              one check in full: why it matters, what it needs, what it may say
  python3 -m doctor diff A B              what differs between two recorded machines; `live` is this one

examples:
  make 2>&1 | tee build.log; python3 -m doctor explain build.log   why a build failed, also in Chinese: --lang zh
  python3 -m doctor --for build-ext       the same, before compiling the extension
  python3 -m doctor --python ~/other/bin/python   judge another environment's packages
  python3 -m doctor --record machine      write what was seen to machine/, redacted: attach it to an issue
  python3 -m doctor --replay machine      judge a recorded machine
  python3 -m doctor --issue > issue.md    the text of an issue, redacted, with room to say what happened

exit codes: 0 healthy, 1 warnings under --strict, 2 problems or bad input, 3 could not look;
            of explain: 0 the cause is named, 3 nothing known is in the log, 2 bad input
            of diff: 0 the same, 1 different, 2 bad input
"""


class _Parser(argparse.ArgumentParser):
    """argparse with our wording of a mistake."""

    def error(self, message: str) -> NoReturn:
        """Say the mistake and where help is; exit with 2."""
        self.exit(BAD_INPUT, f"doctor: {message}; see: python3 -m doctor --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = _Parser(
        prog="python3 -m doctor",
        description="Say what is wrong with this machine, why, and what to type. Looks only, unless told to --fix.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "what", nargs="?", choices=COMMANDS, metavar="WORD", help="stack, explain, why or diff; see below"
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="what the word is about")
    _add_questions(made)
    _add_forms(made)
    _add_acts(made)
    return made


def _add_questions(made: argparse.ArgumentParser) -> None:
    """Add what to look at and how to judge it."""
    made.add_argument("--for", dest="goal", default="run", metavar="GOAL", help="run, build-ext, docker or recipe:NAME")
    made.add_argument(
        "--python", default="", metavar="PATH", help="judge the packages of this interpreter or environment"
    )
    made.add_argument(
        "--extension", default=[], action="append", metavar="FILE", help="also look into this compiled extension (.so)"
    )
    made.add_argument("--dataroot", default="", metavar="DIR", help="look at this data set folder (else data/nuscenes)")
    made.add_argument("--deep", action="store_true", help="import torch and try every GPU (seconds)")
    made.add_argument("--strict", action="store_true", help="exit 1 where there is a warning")
    made.add_argument("--only", default="", metavar="CODE,...", help="only these checks")
    made.add_argument("--alone", action="store_true", help="explain: look at the log only, not at this machine")
    made.add_argument("--replay", default="", metavar="DIR", help="judge a recorded machine instead of this one")


def _add_forms(made: argparse.ArgumentParser) -> None:
    """Add how to say it."""
    told = os.environ.get("BEVREADY_LANG", "")
    language = told if told in LANGUAGES else "en"
    made.add_argument("--lang", default=language, choices=LANGUAGES, help="en or zh (also: BEVREADY_LANG=zh)")
    made.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else there")
    made.add_argument("--markdown", action="store_true", help="a report: the machine and the findings")
    made.add_argument("--issue", action="store_true", help="the text of an issue to paste, redacted")
    made.add_argument(
        "--tables", nargs="?", const="", metavar="NAME", help="show what is known of versions that go together"
    )
    made.add_argument("--list", action="store_true", help="list every check and stop")


def _add_acts(made: argparse.ArgumentParser) -> None:
    """Add what writes something."""
    made.add_argument("--record", default="", metavar="DIR", help="write what was seen to this folder, redacted")
    made.add_argument("--fix", action="store_true", help="mend bevready's own environment; print the rest")
    made.add_argument("--dry-run", action="store_true", help="with --fix: print what would be run, run nothing")
    made.add_argument("--no-redact", action="store_true", help="leave names, tokens and addresses in what is written")
