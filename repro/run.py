"""The main job as typed: words to a job, the doctor's look, the pipeline, and what is printed at the end.

Mistakes of the user become one message and exit code 2 here, and nowhere below.
"""

from __future__ import annotations

import errno
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from doctor import render
from doctor.consult import consult
from doctor.finding import Goal
from doctor.probes import Question
from repro.data import DataError
from repro.evaluate.formatting import EvaluationError
from repro.machine import machine_facts
from repro.models.matching import DivergedError
from repro.ops import IMPLEMENTATION
from repro.pipeline import Job, plan, reproduce
from repro.recipe import RecipeError, available, load_recipe
from repro.rundir import RunDir, RunDirError
from repro.train.state import TrainError
from repro.train.stop import Interrupted
from repro.weights import CheckpointError

if TYPE_CHECKING:
    import argparse

    from doctor.consult import Consultation
    from repro.artifacts import Verdict
    from repro.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
DONE, OUTSIDE_TOLERANCE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
USER_ERRORS = (RecipeError, DataError, CheckpointError, DivergedError, EvaluationError, RunDirError, TrainError)
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


class WordsError(ValueError):
    """Words on the command line that do not go together."""


def run(words: argparse.Namespace) -> int:
    """Run the job and return the exit code."""
    try:
        return _run(words)
    except (*USER_ERRORS, WordsError) as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        return _refuse(
            f"{error.filename or 'writing'}: {error.strerror}; free some space or choose --run DIR elsewhere"
        )
    except (Interrupted, KeyboardInterrupt) as why:
        sys.stderr.write(f"{str(why) or 'interrupted'}; the same command goes on from there\n")
        return INTERRUPTED


def _run(words: argparse.Namespace) -> int:
    recipe = _recipe(words)
    _check(words)
    with RunDir(words.run or _default_run(words, recipe)) as folder:
        seen = _consult(recipe)
        if seen.num_problems and not words.force:
            return _refuse("the doctor found problems (above); mend them, or go on all the same with --force")
        job = _job(words, recipe, seen)
        if words.plan:
            for stage in plan(job, folder):
                sys.stdout.write(f"{stage.stage:<9} {'run ' if stage.runs else 'skip'}  {stage.why}\n")
            return DONE
        verdict = reproduce(job, folder, say=_say)
        return _conclude(words, job, folder, verdict)


def _recipe(words: argparse.Namespace) -> Recipe:
    recipe = load_recipe(words.recipe)
    if words.quirks == "head":
        return recipe
    model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.released()})
    return recipe.model_copy(update={"model": model})


def _check(words: argparse.Namespace) -> None:
    if words.eval_only and words.checkpoint is None:
        raise WordsError("--eval-only judges given weights: add --checkpoint FILE")
    if words.checkpoint is not None and not words.checkpoint.is_file():
        raise CheckpointError(f"{words.checkpoint}: no such file; name a checkpoint with --checkpoint FILE")
    if words.device == "cuda" and not torch.cuda.is_available():
        raise WordsError("--device cuda: PyTorch sees no GPU here; `invoke doctor` says why, or use --device cpu")


def _default_run(words: argparse.Namespace, recipe: Recipe) -> Path:
    parts = [recipe.name, words.data, *(["smoke"] if words.smoke else []), *(["eval"] if words.eval_only else [])]
    return Path("runs") / "-".join(parts)


def _consult(recipe: Recipe) -> Consultation:
    """Let the doctor look at this machine, and say what it found.

    The data folder is left out of the question: the data stage looks at it more closely.
    """
    goal = Goal("recipe", recipe.name) if recipe.name in available() else Goal("run")
    seen = consult(question=Question(python=sys.executable, folder=str(ROOT)), goal=goal)
    if seen.num_problems:
        lines = [text for _, text in render.terminal(seen.diagnosis, seen.advice)]
    else:
        head = f"doctor     stack {seen.installed_stack}, {len(seen.diagnosis.verdicts)} checks, no problem"
        lines = [head, *(f"           {line}" for line in seen.lines)]
    sys.stderr.write("\n".join(lines) + "\n")
    return seen


def _job(words: argparse.Namespace, recipe: Recipe, seen: Consultation) -> Job:
    folder = "synth" if words.data == "synth" else "nuscenes"
    device = "cuda" if torch.cuda.is_available() else "cpu"
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
            device=device if words.device == "auto" else words.device,
            precision=recipe.train.precision,
            op=IMPLEMENTATION,
            stack=seen.installed_stack,
            findings=seen.lines,
        ),
        command=_command(words),
        last_stage=words.stage,
    )


def _command(words: argparse.Namespace) -> str:
    """Return the command that does the same again."""
    options: list[str] = []
    for name, value in vars(words).items():
        if value is True:
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
        sys.stdout.write(f"report: {folder.path / 'report.md'}\n")
    return OUTSIDE_TOLERANCE if verdict.outcome == "degraded" else DONE


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return BAD_INPUT
