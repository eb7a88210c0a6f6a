"""The main job as typed: words to a job, the doctor's look, the pipeline, and what is printed at the end.

Mistakes of the user become one message and exit code 2 here, and nowhere below.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from doctor import render
from doctor.consult import consult
from doctor.finding import Goal
from doctor.probes import Question
from doctor.record import Recorder, Subject
from doctor.shell import LiveHost
from repro.architectures import architecture_of
from repro.curve import LogError
from repro.data import DataError
from repro.evaluate.formatting import EvaluationError
from repro.ladder import SHORT, Climb, climb
from repro.launch import TALK, LaunchError, Place, launch_command, leave_outcome, place_of, run_launched
from repro.machine import machine_facts
from repro.models.matching import DivergedError
from repro.ops import IMPLEMENTATION
from repro.pipeline import Job, plan, reproduce
from repro.recipe import Recipe, RecipeError, available, load_any_recipe
from repro.record.schema import DoctorFinding, DoctorLook, RecordError
from repro.record.telemetry import metered
from repro.rundir import RunDir, RunDirError
from repro.stop import Interrupted
from repro.train.state import TrainError
from repro.weights import CheckpointError
from repro.world import from_first, is_agreed, open_world

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lightning_fabric import Fabric

    from doctor.consult import Consultation
    from repro.artifacts import Verdict
    from repro.recipe import AnyRecipe

ROOT = Path(__file__).resolve().parents[1]
DONE, OUTSIDE_TOLERANCE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
USER_ERRORS = (
    RecipeError,
    DataError,
    CheckpointError,
    DivergedError,
    EvaluationError,
    LogError,
    RecordError,
    RunDirError,
    TrainError,
)
DOCTOR_REFUSES = "the doctor found problems (above); mend them, or go on all the same with --force"
LOST_PEER = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe|timed? ?out", re.IGNORECASE)
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


class WordsError(ValueError):
    """Words on the command line that do not go together."""


def run(words: argparse.Namespace) -> int:
    """Run the job, as one process or several, and return the exit code."""
    place = place_of(os.environ)
    if place.world == 1:
        return _answered(lambda: _launch(words) if _many(words) else _run(words, place))
    try:
        return leave_outcome(_answered(lambda: _run(words, place), aloud=lambda why: _speaks(place, why)))
    except _Alone as end:  # the others do not know: only a code that is not 0 has the launcher end them too
        leave_outcome(end.code)
        return end.code
    except RuntimeError as error:
        if not LOST_PEER.search(str(error)):
            raise
        last = str(error).strip().splitlines()[-1][:200]
        sys.stderr.write(f"process {place.rank} of {place.world} lost the others: {last}\n")
        return BAD_INPUT


class _Alone(Exception):  # noqa: N818 — an end, like SystemExit
    """One process of several ends with a mistake that only it has seen."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _speaks(place: Place, why: BaseException) -> bool:
    """Tell whether this process puts `why` into words: the first one what all know, each what it alone has seen."""
    return place.rank == 0 or not (is_agreed(why) or isinstance(why, (Interrupted, KeyboardInterrupt)))


def _answered(work: Callable[[], int], *, aloud: Callable[[BaseException], bool] | None = None) -> int:
    """Return the exit code of `work`, with one message for each mistake of the user.

    `aloud` says, in one of several processes, whether it is this one that speaks. Raises _Alone there for a mistake
    that the others have not seen.
    """
    try:
        return work()
    except (*USER_ERRORS, WordsError, LaunchError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            raise
        if aloud is None or aloud(error):
            _refuse(_in_words(error))
        if aloud is not None and not is_agreed(error):
            raise _Alone(BAD_INPUT) from error
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt) as why:
        if aloud is None or aloud(why):
            sys.stderr.write(f"{str(why) or 'interrupted'}; the same command goes on from there\n")
        return INTERRUPTED


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'writing'}: {error.strerror}; free some space or choose --run DIR elsewhere"
    return str(error)


def _many(words: argparse.Namespace) -> bool:
    return _asked(words) > 1 and not words.plan


def _asked(words: argparse.Namespace) -> int:
    return int(words.gpus or words.processes or 1) * int(words.nodes)


def _launch(words: argparse.Namespace) -> int:
    """Have a launcher run these words as several processes."""
    recipe = _recipe(words)
    _check(words)
    processes = words.gpus or words.processes or 1
    command = launch_command(words.typed, processes=processes, nodes=words.nodes, env=os.environ)
    if _consult(recipe).seen.num_problems and not words.force:
        raise WordsError(DOCTOR_REFUSES)
    sys.stderr.write(f"launching  {shlex.join(command)}\n")
    return run_launched(command, processes=processes)


def _run(words: argparse.Namespace, place: Place) -> int:
    recipe = _recipe(words)
    _check(words)
    checkup = _consult(recipe, aloud=TALK not in os.environ) if place.rank == 0 else None
    if checkup is not None and checkup.seen.num_problems and not words.force:
        raise WordsError(DOCTOR_REFUSES)
    settings = recipe.train
    fabric = open_world(
        place, device=_device(words), nodes=words.nodes, precision=settings.precision, loss_scale=settings.loss_scale
    )
    with _folder(words.run or _default_run(words, recipe), fabric) as folder:
        job = from_first(
            fabric, lambda: _job(words, recipe, cast("_Checkup", checkup), processes=max(place.world, _asked(words)))
        )
        if words.gate:
            return _climb(words, job, folder.path, fabric)
        if words.plan:
            for stage in plan(job, folder) if place.rank == 0 else ():
                sys.stdout.write(f"{stage.stage:<9} {'run ' if stage.runs else 'skip'}  {stage.why}\n")
            return DONE
        verdict = reproduce(job, folder, fabric, say=_say if place.rank == 0 else lambda _stage: None)
        return from_first(fabric, lambda: _conclude(words, job, folder, verdict))


def _climb(words: argparse.Namespace, job: Job, folder: Path, fabric: Fabric) -> int:
    """Climb the ladder of gates and print what each said; one that failed is exit code 1."""
    say = _say if fabric.is_global_zero else lambda _stage: None
    asked = Climb(
        job=job,
        folder=folder,
        fabric=fabric,
        top=words.gate,
        open_folder=lambda path: _folder(path, fabric),
        say=say,
        iterations=words.iterations or SHORT,
        log=words.log,
        golden=words.golden,
    )
    said = climb(asked)
    if fabric.is_global_zero:
        document = {"schema_version": 1, "recipe": job.recipe.name, "gates": [asdict(verdict) for verdict in said]}
        lines = [f"gate {verdict.gate:<9} {verdict.outcome}: {'; '.join(verdict.reasons)}" for verdict in said]
        sys.stdout.write((json.dumps(document, indent=1) if words.json else "\n".join(lines)) + "\n")
    return OUTSIDE_TOLERANCE if said[-1].outcome == "failed" else DONE


def _folder(path: Path, fabric: Fabric) -> RunDir:
    """Return the run folder, owned by the first process and looked into by the others."""
    owned: list[RunDir] = []
    from_first(fabric, lambda: owned.append(RunDir(path, meter=metered)))
    return owned[0] if owned else RunDir(path, guest=True)


def _recipe(words: argparse.Namespace) -> AnyRecipe:
    recipe = load_any_recipe(words.recipe)
    _check_data(words, recipe)
    if words.quirks == "head":
        return recipe
    if not isinstance(recipe, Recipe):
        raise WordsError(
            f"--quirks {words.quirks}: quirks are BEVFormer's, and {recipe.name} is another model's recipe"
        )
    model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.released()})
    return recipe.model_copy(update={"model": model})


def _check_data(words: argparse.Namespace, recipe: AnyRecipe) -> None:
    """Fill in --data with the usual word of the recipe's architecture, or see that the word given is one of its own."""
    known = architecture_of(recipe).data
    words.data = words.data or known[0]
    if words.data not in known:
        raise WordsError(f"--data {words.data}: {recipe.name} reads {recipe.data.dataset}; choose {' or '.join(known)}")
    if words.without_can_bus and not isinstance(recipe, Recipe):
        raise WordsError(f"--without-can-bus: {recipe.name} reads single images, no CAN bus; leave the word out")
    if words.infos is not None and not isinstance(recipe, Recipe):
        raise WordsError(
            f"--infos {words.infos}: info files are nuScenes', and {recipe.name} reads {recipe.data.dataset}"
        )


def _check(words: argparse.Namespace) -> None:
    if words.eval_only and words.checkpoint is None:
        raise WordsError("--eval-only judges given weights: add --checkpoint FILE")
    if words.checkpoint is not None and not words.checkpoint.is_file():
        raise CheckpointError(f"{words.checkpoint}: no such file; name a checkpoint with --checkpoint FILE")
    if words.device == "cuda" and not torch.cuda.is_available():
        raise WordsError("--device cuda: PyTorch sees no GPU here; `invoke doctor` says why, or use --device cpu")
    _check_processes(words)
    _check_gate(words)


def _check_gate(words: argparse.Namespace) -> None:
    if words.gate and (words.plan or words.eval_only or words.stage != "report"):
        raise WordsError(f"--gate {words.gate} runs whole stages of its own: leave --plan, --eval-only and --stage out")
    given = [f"--{name}" for name in ("log", "golden", "iterations") if getattr(words, name) is not None]
    if given and not words.gate:
        raise WordsError(f"{given[0]} belongs to the ladder: add --gate short, or full")
    if words.iterations is not None and words.iterations < 1:
        raise WordsError(f"--iterations {words.iterations}: at least 1")


def _check_processes(words: argparse.Namespace) -> None:
    if words.gpus and words.processes:
        raise WordsError("--gpus and --processes both count processes: --gpus N on GPUs, --processes N on the CPU")
    for name in ("gpus", "processes", "nodes"):
        number = getattr(words, name)
        if number is not None and number < 1:
            raise WordsError(f"--{name} {number}: at least 1")
    if words.gpus and _device(words) == "cpu":
        raise WordsError(
            f"--gpus {words.gpus}: PyTorch sees no GPU here, or --device cpu rules it out; `invoke doctor` says why; "
            f"on the CPU type --device cpu --processes {words.gpus}"
        )
    if words.gpus and words.gpus > torch.cuda.device_count():
        raise WordsError(f"--gpus {words.gpus}: PyTorch sees {torch.cuda.device_count()} here")
    if words.processes and _device(words) != "cpu":
        raise WordsError(f"--processes {words.processes} is for --device cpu; on GPUs type --gpus N")


def _device(words: argparse.Namespace) -> str:
    if words.device != "auto":
        return str(words.device)
    return "cuda" if torch.cuda.is_available() else "cpu"


def _default_run(words: argparse.Namespace, recipe: AnyRecipe) -> Path:
    parts = [recipe.name, words.data, *(["smoke"] if words.smoke else []), *(["eval"] if words.eval_only else [])]
    return Path("runs") / "-".join(parts)


@dataclass(frozen=True, slots=True)
class _Checkup:
    """What the doctor said, and the machine as it saw it, redacted."""

    seen: Consultation
    recording: dict[str, Any]

    @property
    def look(self) -> DoctorLook:
        """Return what a record holds of it."""
        found = self.seen.diagnosis.findings
        rows = tuple(DoctorFinding(code=rule.code, severity=f.severity, saw=f.saw) for rule, f in found)
        return DoctorLook(checks=len(self.seen.diagnosis.verdicts), findings=rows)


def _consult(recipe: AnyRecipe, *, aloud: bool = True) -> _Checkup:
    """Let the doctor look at this machine, and say what it found (silently: the launching process said it).

    The data folder is left out of the question: the data stage looks at it more closely.
    """
    goal = Goal("recipe", recipe.name) if recipe.name in available() else Goal("run")
    host = Recorder(LiveHost())
    seen = consult(host, question=Question(python=sys.executable, folder=str(ROOT)), goal=goal)
    checkup = _Checkup(seen, host.document(Subject(sys.executable, str(ROOT))))
    if not aloud:
        return checkup
    if seen.num_problems:
        lines = [text for _, text in render.terminal(seen.diagnosis, seen.advice)]
    else:
        head = f"doctor     stack {seen.installed_stack}, {len(seen.diagnosis.verdicts)} checks, no problem"
        lines = [head, *(f"           {line}" for line in seen.lines)]
    sys.stderr.write("\n".join(lines) + "\n")
    return checkup


def _job(words: argparse.Namespace, recipe: AnyRecipe, checkup: _Checkup, *, processes: int) -> Job:
    folder = recipe.data.dataset if words.data != "synth" else "synth" if isinstance(recipe, Recipe) else "synth-coco"
    return Job(
        recipe=recipe,
        data=words.data,
        dataroot=words.dataroot or Path("data") / folder,
        cache=Path("data") / "index",
        smoke=words.smoke,
        checkpoint=words.checkpoint,
        eval_only=words.eval_only,
        without_can_bus=words.without_can_bus,
        machine=machine_facts(
            device=_device(words),
            precision=recipe.train.precision,
            op=IMPLEMENTATION,
            stack=checkup.seen.installed_stack,
            findings=checkup.seen.lines,
        ),
        command=_command(words),
        last_stage=words.stage,
        processes=processes,
        infos=words.infos,
        doctor=checkup.look,
        recording=checkup.recording,
    )


def _command(words: argparse.Namespace) -> str:
    """Return the command that does the same again."""
    options: list[str] = []
    for name, value in vars(words).items():
        if isinstance(value, int) and not isinstance(value, bool) and (name, value) != ("nodes", 1):
            options += [f"--{name}", str(value)]
        elif value is True:
            options.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, (str, Path)) and (name, value) not in {("quirks", "head"), ("device", "auto")}:
            options += [f"--{name.replace('_', '-')}", str(value)]
    return "./bevready repro " + shlex.join(word for word in options if word not in {"--stage", "report"})


def _say(stage: str) -> None:
    sys.stderr.write(f"{stage}\n")


def _conclude(words: argparse.Namespace, job: Job, folder: RunDir, verdict: Verdict | None) -> int:
    """Print the verdict; a metric outside its tolerance is exit code 1."""
    if verdict is None:
        sys.stderr.write(f"stopped after {job.last_stage}, as asked\n")
        return DONE
    if words.json:
        document = {"schema_version": 1, "recipe": job.recipe.name, "run": str(folder.path), **asdict(verdict)}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        for row in verdict.comparisons:
            sys.stdout.write(f"{row.metric} {row.measured:.4f} (published {row.published:.3f})\n")
        sys.stdout.write(f"{verdict.outcome}: {'; '.join(verdict.reasons)}\n")
        for diagnosis in verdict.diagnoses:
            sys.stdout.write(f"{diagnosis.name}: {diagnosis.saw}; {diagnosis.cause}; {diagnosis.check}\n")
        sys.stdout.write(f"report: {folder.path / 'report.md'}\n")
        sys.stdout.write(f"page: {folder.path / 'report.html'}\n")
    return OUTSIDE_TOLERANCE if verdict.outcome == "degraded" else DONE


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return BAD_INPUT
