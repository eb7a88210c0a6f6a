"""What `--fix` may run: repairs of bevready's own environment, and nothing else. Everything else is only printed.

A repair is `("pip", "install" | "uninstall", …)` with words of a closed form, or `("recreate",)`. It runs without a
shell, with the environment's own interpreter, deaf to whatever in pip's configuration could lead it elsewhere.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.facts import Packages, Torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from doctor.diagnose import Diagnosis
    from doctor.finding import Finding, Rule

STAMP, PARTIAL = ".bevready", ".bevready-partial"  # what the bootstrap leaves in an environment that it made
OPTIONS = frozenset({"--force-reinstall", "--no-deps", "--no-cache-dir", "--upgrade"})
REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:(?:[<>=!~]=|[<>])[0-9][0-9A-Za-z.+*]*(?:,(?=[<>=!~])|$))*", re.ASCII
)
# What pip's configuration may say about where packages come from; where they go is not for it to say.
INDEX_KEYS = frozenset(
    {
        "index-url",
        "extra-index-url",
        "trusted-host",
        "find-links",
        "no-index",
        "cert",
        "client-cert",
        "proxy",
        "timeout",
    }
)
SECTIONS = ("global", "install", ":env:")  # the later one wins
SETTING = re.compile(r"(?m)^(global|install|:env:)\.([a-z-]+)='([^'\n]*)'$")


@dataclass(frozen=True, slots=True)
class Step:
    """A command that mends something, and the check that asks for it."""

    code: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Return the command as one would type it."""
        return shlex.join(self.words)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be run inside the environment, in this order, and what is left to the reader."""

    environment: str
    steps: tuple[Step, ...]
    left: tuple[tuple[str, tuple[str, ...]], ...]


def plan(diagnosis: Diagnosis, environment: Path, home: Path) -> Plan:
    """Sort the findings into what may be run in `environment` and what is left to the reader. Runs nothing."""
    packages = diagnosis.machine.packages
    own = isinstance(packages, Packages) and is_own(packages.python, environment)
    steps: list[Step] = []
    left: list[tuple[str, tuple[str, ...]]] = []
    for rule, finding in diagnosis.findings:
        repair = repair_of(rule, finding) if own else ()
        commands = [_command(words, environment, home) for words in repair]
        if commands and all(commands):
            steps += [Step(rule.code, words) for command in commands for words in command]
        else:
            left.append((rule.code, finding.fix))
    return Plan(str(environment), _without_repetition(steps, home), tuple(left))


def repair_of(rule: Rule, finding: Finding) -> tuple[tuple[str, ...], ...]:
    """Return what the finding says may be run, else its best advice where that is a pip command and nothing more.

    Two lines about pip may be two steps or two choices: that is for a reader to say.
    """
    if finding.repair:
        return finding.repair
    about_packages = any(fact in {Packages, Torch} for _, fact in rule.needs)
    if not about_packages or sum("pip" in step for step in finding.fix) != 1 or "#" in finding.fix[0]:
        return ()
    try:
        words = tuple(shlex.split(finding.fix[0]))
    except ValueError:
        return ()
    return (words,) if words[:1] == ("pip",) and _pip_words(words) else ()


def is_own(python: str, environment: Path) -> bool:
    """Return whether an interpreter is that of this virtual environment."""
    return Path(python).parent == environment / "bin" and (environment / "pyvenv.cfg").is_file()


def pip_settings(listed: str) -> Mapping[str, str]:
    """Read `pip config list`: the variables that keep the mirrors of a configuration and forget the rest of it."""
    said = sorted(SETTING.findall(listed), key=lambda row: SECTIONS.index(row[0]))
    found = {key: value for _, key, value in said if key in INDEX_KEYS}
    return {f"PIP_{key.upper().replace('-', '_')}": value for key, value in found.items()}


def _command(words: tuple[str, ...], environment: Path, home: Path) -> tuple[tuple[str, ...], ...]:
    """Return the command lines of a repair, none where it is not one that may be run."""
    python = str(environment / "bin" / "python")
    match words:
        case ("recreate",) if (environment / STAMP).is_file():
            stamp, partial = str(environment / STAMP), str(environment / PARTIAL)
            return ("mv", "--", stamp, partial), (str(home / "bevready"), "--list")
        case ("pip", *_) if told := _pip_words(words):
            return ((python, "-I", "-m", "pip", "--require-virtualenv", *told),)
    return ()


def _pip_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words behind pip, none where one of them is not known to stay inside."""
    match words:
        case ("pip", "install", *rest) if rest and all(one in OPTIONS or REQUIREMENT.fullmatch(one) for one in rest):
            return words[1:]
        case ("pip", "uninstall", *rest) if _names(rest):
            return ("uninstall", "--yes", *_names(rest))
    return ()


def _names(words: list[str]) -> list[str]:
    """Return the distributions to remove; none where a word is neither a name nor a yes."""
    names = [word for word in words if word not in {"-y", "--yes"}]
    return names if all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name, re.ASCII) for name in names) else []


def _without_repetition(steps: list[Step], home: Path) -> tuple[Step, ...]:
    """Return each command once; an environment that is made again needs no other repair."""
    again = [step for step in steps if step.words[0] in {"mv", str(home / "bevready")}]
    return tuple({step.words: step for step in reversed(again or steps)}.values())[::-1]
