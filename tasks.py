"""The menu: words in, one call, print. `invoke --help TASK` says what a task does; no task decides anything.

Here stand the doctor's tasks, `lint`, `test` and, at the end, the list of all; the other pages lie in `repro/menu/`.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.containers import docker_build_task, docker_doctor_task, docker_pin_task, docker_run_task
from repro.menu.pictures import draw_task, predict_task
from repro.menu.proofs import compare_upstream_task, parity_task
from repro.menu.records import archive_task, check_task, diff_task
from repro.menu.runs import infos_task, recipes_task, repro_task, synth_task, weights_task
from repro.menu.words import passed_to

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent
SOURCES = "docs doctor repro tests tasks.py"


def _doctor(typed: Sequence[str]) -> int:
    from doctor.__main__ import main

    return main(typed)


def _build(typed: Sequence[str]) -> int:
    from doctor.build.menu import main

    return main(typed)


def _environment(typed: Sequence[str]) -> int:
    from doctor.locks.menu import main

    return main(typed)


@task(
    name="doctor",
    help={
        "for": "what you are about to do: run, build-ext, docker or recipe:NAME (severity depends on it)",
        "python": "judge the packages of this interpreter instead of bevready's own",
        "dataroot": "also look at this data set folder",
        "json": "print one JSON document and nothing else",
        "strict": "warnings count: exit 1 if there is one",
        "only": "only these codes, separated by commas",
        "deep": "import torch and try every GPU (seconds instead of one)",
        "network": "also ask the package indexes of pip and uv (seconds)",
        "extension": "also look into this compiled extension (.so)",
        "checkout": "also judge what lies in this project's folder",
        "all": "also name every check that found nothing or does not apply",
        "list": "list every check and stop",
        "lang": "en or zh (also: BEVREADY_LANG=zh)",
        "markdown": "a report: the machine and the findings",
        "issue": "the text of an issue to paste, redacted",
        "tables": "show what is known of versions that go together; or one table of it",
        "record": "write what was seen to this folder, redacted",
        "no-redact": "leave names, tokens and addresses in what is written",
        "replay": "judge a recorded machine instead of this one",
        "fix": "mend bevready's own environment; print the rest",
        "dry-run": "with --fix: print what would be run, run nothing",
    },
    optional=["tables"],
)
@passed_to(_doctor)
def doctor_task(
    _: Context,
    for_: str = "run",
    python: str = "",
    dataroot: str = "",
    json: bool = False,
    strict: bool = False,
    only: str = "",
    deep: bool = False,
    network: bool = False,
    extension: str = "",
    checkout: str = "",
    all_: bool = False,
    list_: bool = False,
    lang: str = "",
    markdown: bool = False,
    issue: bool = False,
    tables: str | None = None,
    record: str = "",
    no_redact: bool = False,
    replay: str = "",
    fix: bool = False,
    dry_run: bool = False,
) -> None:
    """Say what is wrong with this machine, what to type, and which stack fits. More words: python3 -m doctor --help."""


@task(
    name="explain",
    help={
        "file": "the log of a build, installation, run or container; - is standard input",
        "lang": "en or zh (also: BEVREADY_LANG=zh)",
        "alone": "look at the log only, not at this machine",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(_doctor, "explain")
def explain_task(_: Context, file: str, lang: str = "", alone: bool = False, json: bool = False) -> None:
    """Name the root cause in a log, and what this machine knows of it."""


@task(
    name="build-ext",
    help={
        "arch": "the GPUs to build for: 8.6,9.0 or all (of the stack); default: those of this machine",
        "force": "build anew, whatever is there and whatever the doctor says",
        "info": "tell what is inside the current build, or in this file, and stop",
        "python": "build for the torch of this interpreter",
        "json": "print one JSON document and nothing else on stdout",
    },
    optional=["info"],
)
@passed_to(_build)
def build_ext_task(
    _: Context, arch: str = "", force: bool = False, info: str | None = None, python: str = "", json: bool = False
) -> None:
    """Build the operators for this torch in seconds, with g++ and torch's own NVRTC, no CUDA toolkit; prove them."""


@task(
    name="env",
    help={
        "stack": "a folder of env/, or auto: the one the doctor chooses",
        "prefix": "where the environment lies (default: .venv, else .venv-STACK)",
        "python": "make it with this interpreter",
        "lock": "write the lock anew from requirements.in (needs uv)",
        "verify": "judge versions and the hash of every installed file, make nothing",
        "diff": "say in words how what is installed differs, make nothing",
        "json": "print one JSON document and nothing else on stdout",
    },
)
@passed_to(_environment)
def env_task(
    _: Context,
    stack: str = "auto",
    prefix: str = "",
    python: str = "",
    lock: bool = False,
    verify: bool = False,
    diff: bool = False,
    json: bool = False,
) -> None:
    """Make a pinned environment, judge one by its lock, or write the lock."""


@task(name="lint")
def lint_task(context: Context) -> None:
    """Check style and types: ruff (all rules), its formatter, and strict mypy."""
    with context.cd(str(ROOT)):
        for command in (f"ruff check {SOURCES}", f"ruff format --check {SOURCES}", f"mypy {SOURCES}"):
            context.run(f"{sys.executable} -m {command}", echo=True)


@task(
    name="test",
    pre=[lint_task],
    help={
        "fast": "leave out tests over ten seconds",
        "k": "only tests whose name matches",
        "jobs": "how many test files at once (default: one for each core, at most 4; with -k, one)",
    },
)
def test_task(context: Context, fast: bool = False, k: str = "", jobs: int = 0) -> None:
    """Run lint and types, build the operators for every GPU of the stack, run every test; what CI runs."""
    at_once = jobs or (1 if k else min(4, os.cpu_count() or 1))
    words = ["pytest", "--durations=12", *(["-m", "not slow"] if fast else []), *(["-k", k] if k else [])]
    if at_once > 1:  # a file stays whole: what its fixtures made is made once
        words += ["-n", str(at_once), "--dist", "loadfile", "--no-loadscope-reorder"]
    with context.cd(str(ROOT)):
        context.run(f"{sys.executable} -m doctor.build --arch all", echo=True)
        context.run(f"{sys.executable} -m {shlex.join(words)}", echo=True, pty=sys.stdout.isatty())


namespace = Collection(
    doctor_task,
    explain_task,
    build_ext_task,
    env_task,
    repro_task,
    docker_build_task,
    docker_run_task,
    docker_doctor_task,
    docker_pin_task,
    recipes_task,
    synth_task,
    weights_task,
    infos_task,
    check_task,
    draw_task,
    predict_task,
    diff_task,
    archive_task,
    parity_task,
    compare_upstream_task,
    lint_task,
    test_task,
)
