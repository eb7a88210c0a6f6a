"""The menu: words in, one call, print. `invoke --help TASK` says what a task does; no task decides anything."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.containers.tasks import DOCKER_TASKS
from repro.flags import leave as _leave
from repro.flags import words as _words
from repro.picture_tasks import draw_task, predict_task
from repro.record_tasks import archive_task, check_task, diff_task
from repro.upstream_tasks import compare_upstream_task

ROOT = Path(__file__).resolve().parent
SOURCES = "docs doctor repro tests tasks.py"


@task(
    name="doctor",
    positional=[],
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
    from doctor.__main__ import main

    _leave(
        main(
            _words(
                {"--for": for_, "--python": python, "--dataroot": dataroot, "--only": only, "--lang": lang},
                {"--record": record, "--replay": replay, "--tables": tables or ""},
                {"--extension": extension, "--checkout": checkout, "--network": network, "--all": all_},
                {"--json": json, "--strict": strict, "--deep": deep, "--list": list_, "--markdown": markdown},
                {"--issue": issue, "--no-redact": no_redact, "--fix": fix, "--dry-run": dry_run},
            )
        )
    )


@task(
    name="explain",
    help={
        "file": "the log of a build, installation, run or container; - is standard input",
        "lang": "en or zh (also: BEVREADY_LANG=zh)",
        "alone": "look at the log only, not at this machine",
        "json": "print one JSON document and nothing else",
    },
)
def explain_task(_: Context, file: str, lang: str = "", alone: bool = False, json: bool = False) -> None:
    """Name the root cause in a log, and what this machine knows of it."""
    from doctor.__main__ import main

    _leave(main(["explain", file, *_words({"--lang": lang, "--alone": alone, "--json": json})]))


@task(
    name="build-ext",
    positional=[],
    help={
        "arch": "the GPUs to build for: 8.6,9.0 or all (of the stack); default: those of this machine",
        "force": "build anew, whatever is there and whatever the doctor says",
        "info": "tell what is inside the current build, or in this file, and stop",
        "python": "build for the torch of this interpreter",
        "json": "print one JSON document and nothing else on stdout",
    },
    optional=["info"],
)
def build_ext_task(
    _: Context, arch: str = "", force: bool = False, info: str | None = None, python: str = "", json: bool = False
) -> None:
    """Build the operators for this torch in seconds, with g++ and torch's own NVRTC, no CUDA toolkit; prove them."""
    from doctor.build.menu import main

    _leave(main(_words({"--info": info or "", "--arch": arch, "--force": force, "--python": python, "--json": json})))


@task(
    name="env",
    positional=[],
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
    from doctor.locks.menu import main

    words: dict[str, str | bool] = {"--stack": stack, "--prefix": prefix, "--python": python}
    _leave(main(_words(words, {"--lock": lock, "--verify": verify, "--diff": diff, "--json": json})))


@task(
    name="repro",
    positional=[],
    help={
        "recipe": "a name out of `invoke recipes`, or a .toml file",
        "data": "nuscenes (the full set), nuscenes-mini, coco, or synth (made on the spot, no licence needed)",
        "dataroot": "the folder that holds samples/ and v1.0-*/, or annotations/, *2017/ (default: data/nuscenes, …)",
        "run": "the run folder; the same folder resumes (default: runs/RECIPE-DATA[-smoke])",
        "stage": "stop after this stage: data, train, evaluate, compare, record or report",
        "smoke": "shorten every stage; the report says what was shortened",
        "plan": "say which stages would run and why, and stop",
        "gate": "climb the ladder released, golden, short, full up to this gate; one that fails ends it",
        "iterations": "of --gate short (default: 1000)",
        "log": "the authors' training log, for the loss band of --gate short",
        "golden": "outputs of the authors' code, for --gate golden",
        "checkpoint": "start from these weights (with --eval-only: judge them)",
        "eval-only": "do not train; needs --checkpoint",
        "without-can-bus": "go on with zeros for the car's motion where can_bus/ is missing",
        "infos": "read frames from upstream's nuscenes_infos_temporal_*.pkl in this folder instead of the tables",
        "quirks": "head (the recipe's) or released (what the published checkpoints were trained with)",
        "device": "auto, cpu or cuda",
        "gpus": "as this many processes, one a GPU, through torchrun (srun in a SLURM job with --nodes)",
        "processes": "the same on the CPU, for trying: with --device cpu",
        "nodes": "on this many machines, with that many processes each",
        "container": "the same in the container of this stack; the run folder lies here and is yours",
        "force": "go on although the doctor found problems",
        "json": "print the verdict as one JSON document and nothing else",
    },
)
def repro_task(
    _: Context,
    recipe: str = "",
    data: str = "",
    dataroot: str = "",
    run: str = "",
    stage: str = "",
    smoke: bool = False,
    plan: bool = False,
    gate: str = "",
    iterations: int = 0,
    log: str = "",
    golden: str = "",
    checkpoint: str = "",
    eval_only: bool = False,
    without_can_bus: bool = False,
    infos: str = "",
    quirks: str = "head",
    device: str = "auto",
    gpus: int = 0,
    processes: int = 0,
    nodes: int = 1,
    container: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Reproduce a number: doctor, data, train, evaluate, compare, record, report. Ctrl-C leaves a run that resumes."""
    from repro.__main__ import main

    _leave(
        main(
            [
                "run",
                *_words(
                    {"--recipe": recipe, "--data": data, "--dataroot": dataroot, "--run": run, "--stage": stage},
                    {"--checkpoint": checkpoint, "--quirks": quirks, "--device": device},
                    {"--smoke": smoke, "--plan": plan, "--eval-only": eval_only, "--force": force, "--json": json},
                    {"--without-can-bus": without_can_bus, "--infos": infos, "--container": container},
                    {"--gate": gate, "--log": log, "--golden": golden, "--iterations": str(iterations or "")},
                    {"--gpus": str(gpus or ""), "--processes": str(processes or "")},
                    {"--nodes": str(nodes) if nodes != 1 else ""},
                ),
            ]
        )
    )


@task(
    name="recipes",
    positional=[],
    help={"show": "print this recipe as read, defaults included", "json": "as JSON"},
)
def recipes_task(_: Context, show: str = "", json: bool = False) -> None:
    """List the recipes with their published numbers, or show one."""
    from repro.__main__ import main

    _leave(main(["recipes", *([show] if show else []), *_words({"--json": json})]))


@task(
    name="synth",
    positional=["directory"],
    help={"directory": "where", "scenes": "2 to 10", "frames": "key frames a scene", "seed": "another street"},
)
def synth_task(_: Context, directory: str, scenes: int = 2, frames: int = 6, seed: int = 0) -> None:
    """Write a synthetic data set in the nuScenes format; `repro --data synth --dataroot DIR` reads it."""
    from repro.__main__ import main

    _leave(main(["synth", directory, "--scenes", str(scenes), "--frames", str(frames), "--seed", str(seed)]))


@task(
    name="weights",
    positional=[],
    help={
        "recipe": "a name out of `invoke recipes`",
        "fetch": "fetch what is missing; the same command resumes",
        "to": "where the files lie (default: data/weights)",
        "mirror": "the address of a folder to ask first",
        "check": "say how this checkpoint fits the recipe, key by key",
        "export": "write --checkpoint to this file under upstream's names",
        "checkpoint": "what --export reads",
        "json": "print one JSON document and nothing else",
    },
)
def weights_task(
    _: Context,
    recipe: str = "bevformer_tiny",
    fetch: bool = False,
    to: str = "",
    mirror: str = "",
    check: str = "",
    export: str = "",
    checkpoint: str = "",
    json: bool = False,
) -> None:
    """List, fetch, check or export the weights of a recipe."""
    from repro.__main__ import main

    files: dict[str, str | bool] = {"--to": to, "--mirror": mirror, "--check": check, "--export": export}
    options: dict[str, str | bool] = {"--checkpoint": checkpoint, "--fetch": fetch, "--json": json}
    _leave(main(["weights", "--recipe", recipe, *_words(files, options)]))


@task(
    name="infos",
    positional=[],
    help={
        "export": "write the two info files of --dataroot into this folder",
        "import": "read and judge this info file; runs read the tables, never info files",
        "convert": "with --import: write FILE.mmdet3d-0.17.pkl beside it",
        "data": "nuscenes, nuscenes-mini or synth",
        "dataroot": "the folder that holds samples/ and v1.0-*/",
        "json": "print one JSON document and nothing else",
    },
)
def infos_task(
    _: Context,
    export: str = "",
    import_: str = "",
    convert: bool = False,
    data: str = "nuscenes",
    dataroot: str = "data/nuscenes",
    json: bool = False,
) -> None:
    """Write or read upstream's nuscenes_infos_temporal_*.pkl."""
    from repro.__main__ import main

    files: dict[str, str | bool] = {"--export": export, "--import": import_, "--data": data, "--dataroot": dataroot}
    _leave(main(["infos", *_words(files, {"--convert": convert, "--json": json})]))


@task(name="parity", positional=["directory"], help={"directory": "a golden set", "json": "one JSON document"})
def parity_task(_: Context, directory: str, json: bool = False) -> None:
    """Compare our maths with outputs of the authors' code."""
    from repro.__main__ import main

    _leave(main(["parity", directory, *_words({"--json": json})]))


@task(name="lint")
def lint_task(context: Context) -> None:
    """Check style and types: ruff (all rules), its formatter, and strict mypy."""
    with context.cd(str(ROOT)):
        for command in (f"ruff check {SOURCES}", f"ruff format --check {SOURCES}", f"mypy {SOURCES}"):
            context.run(f"{sys.executable} -m {command}", echo=True)


@task(
    name="test",
    pre=[lint_task],
    positional=[],
    help={"fast": "leave out tests over ten seconds", "k": "only tests whose name matches"},
)
def test_task(context: Context, fast: bool = False, k: str = "") -> None:
    """Run lint and types, build the operators for every GPU of the stack, run every test; what CI runs."""
    with context.cd(str(ROOT)):
        context.run(f"{sys.executable} -m doctor.build --arch all", echo=True)
    words = ["pytest", *(["-m", "'not slow'"] if fast else []), *(["-k", f"'{k}'"] if k else [])]
    with context.cd(str(ROOT)):
        context.run(f"{sys.executable} -m {' '.join(words)}", echo=True, pty=sys.stdout.isatty())


namespace = Collection(
    doctor_task,
    explain_task,
    build_ext_task,
    env_task,
    repro_task,
    *DOCKER_TASKS,
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
