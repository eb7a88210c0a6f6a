"""The main job as typed: words to a job, the doctor's look, the pipeline, and what is printed at the end."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from repro.job import Job
from repro.ladder import SHORT, Climb, climb
from repro.launch import TALK, Place, launch_command, place_of, run_launched
from repro.machine import machine_facts
from repro.ops import IMPLEMENTATION
from repro.pipeline import plan, reproduce
from repro.recipe import Recipe
from repro.record.telemetry import metered
from repro.run.checkup import Checkup, look
from repro.run.endings import DONE, OUTSIDE_TOLERANCE, answered, answered_by_one
from repro.run.words import WordsError, check, command_of, default_run, device_of, processes_of, recipe_of
from repro.rundir import RunDir
from repro.world import from_first, open_world

if TYPE_CHECKING:
    import argparse

    from lightning_fabric import Fabric

    from repro.artifacts import Verdict
    from repro.recipe import AnyRecipe

DOCTOR_REFUSES = "the doctor found problems (above); mend them, or go on all the same with --force"


def run(words: argparse.Namespace) -> int:
    """Run the job, as one process or several, and return the exit code."""
    place = place_of(os.environ)
    if place.world == 1:
        return answered(lambda: _launch(words) if processes_of(words) > 1 and not words.plan else _run(words, place))
    return answered_by_one(place, lambda: _run(words, place))


def _launch(words: argparse.Namespace) -> int:
    """Have a launcher run these words as several processes."""
    recipe = recipe_of(words)
    check(words)
    processes = words.gpus or words.processes or 1
    command = launch_command(words.typed, processes=processes, nodes=words.nodes, env=os.environ)
    if look(recipe).seen.num_problems and not words.force:
        raise WordsError(DOCTOR_REFUSES)
    sys.stderr.write(f"launching  {shlex.join(command)}\n")
    return run_launched(command, processes=processes)


def _run(words: argparse.Namespace, place: Place) -> int:
    recipe = recipe_of(words)
    check(words)
    checkup = look(recipe, aloud=TALK not in os.environ) if place.rank == 0 else None
    if checkup is not None and checkup.seen.num_problems and not words.force:
        raise WordsError(DOCTOR_REFUSES)
    settings = recipe.train
    fabric = open_world(
        place, device=device_of(words), nodes=words.nodes, precision=settings.precision, loss_scale=settings.loss_scale
    )
    with _folder(words.run or default_run(words, recipe), fabric) as folder:
        job = from_first(
            fabric,
            lambda: _job(words, recipe, cast("Checkup", checkup), processes=max(place.world, processes_of(words))),
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


def _job(words: argparse.Namespace, recipe: AnyRecipe, checkup: Checkup, *, processes: int) -> Job:
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
            device=device_of(words),
            precision=recipe.train.precision,
            op=IMPLEMENTATION,
            stack=checkup.seen.installed_stack,
            findings=checkup.seen.lines,
        ),
        command=command_of(words),
        last_stage=words.stage,
        processes=processes,
        infos=words.infos,
        doctor=checkup.look,
        recording=checkup.recording,
    )


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
