"""The story, top to bottom: data, train, evaluate, compare, record, report. Each stage lives in a file of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from repro.architectures import architecture_of
from repro.artifacts import (
    STAGES,
    STORED,
    AnyMetrics,
    CocoMetrics,
    DataReady,
    GateVerdict,
    Machine,
    Metrics,
    Trained,
    Verdict,
)
from repro.atomic import digest, sha256_of, source_digest
from repro.compare import compare, shipped_recipe
from repro.diagnosis import diagnose
from repro.evaluate.curves import CURVES, read_curves
from repro.recipe import Recipe
from repro.record.write import Told, plan_record, write_record
from repro.report import Look, RunFacts, Shows, page, report
from repro.rundir import Plan, RunDir
from repro.train.log import LOSSES, read_losses
from repro.train.teach import adopt, teach
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric import Fabric

    from repro.recipe import AnyRecipe
    from repro.record.schema import DoctorLook, Record

HERE = Path(__file__).resolve().parent
SAID_ELSEWHERE = ("schema_version", "name", "title", "smoke")  # fields of a recipe that are no table of the judgement
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run as asked for: the recipe as resolved, the data, the weights, and how far to go."""

    recipe: AnyRecipe
    data: str
    dataroot: Path
    cache: Path
    smoke: bool
    checkpoint: Path | None
    eval_only: bool
    without_can_bus: bool
    machine: Machine
    command: str
    last_stage: str = "report"
    processes: int = 1
    infos: Path | None = None
    doctor: DoctorLook | None = None
    recording: dict[str, Any] | None = None  # the machine as the doctor saw it, redacted
    limit: int | None = None  # iterations of a training that is to be short
    gate: str | None = None  # the gate of the ladder that this run is for
    gates: tuple[GateVerdict, ...] = ()  # what the lower ones said


def reproduce(job: Job, run: RunDir, fabric: Fabric, *, say: Callable[[str], None]) -> Verdict | None:
    """Run what is not done yet, up to `job.last_stage`; return the verdict, None when stopped before it.

    All processes of `fabric` train and evaluate together; the first one does the rest and writes everything. `say`
    is told each stage as it starts. Raises the stages' own errors; what was finished stays finished.
    """
    brings = architecture_of(job.recipe)
    wanted = STAGES[: STAGES.index(job.last_stage) + 1]
    from_first(fabric, lambda: run.write("recipe.json", job.recipe.model_dump_json(indent=1) + "\n"))

    say("data")
    data = from_first(
        fabric, lambda: run.step("data", DataReady, _data_key(job), lambda: _prepare(job), lost=brings.what_changed)
    )
    if "train" not in wanted:
        return None

    say("train")
    key = _train_key(job, data)
    train_all = partial(_train, job, data, run, fabric, digest(key))
    trained = _together(fabric, run, "train", Trained, key, train_all, lost=_lost(run))
    if "evaluate" not in wanted:
        return None

    say("evaluate")
    key = _evaluate_key(job, data, trained)
    evaluate_all = partial(_evaluate, job, data, trained, run, fabric, digest(key))
    metrics: AnyMetrics = _together(fabric, run, "evaluate", brings.metrics, key, evaluate_all, lost=_unjudged(run))
    if "compare" not in wanted:
        return None

    say("compare")
    key = _compare_key(job, data, trained, metrics)
    judged = partial(verdict_of, job.recipe, data=data, trained=trained, metrics=metrics)
    make = partial(judged, smoke=job.smoke, gate=job.gate)
    verdict = from_first(fabric, lambda: run.step("compare", Verdict, key, make))
    if "record" not in wanted:
        return verdict

    say("record")
    record = from_first(fabric, lambda: write_record(run, _told(job, data, trained, metrics, verdict)))
    if "report" in wanted:
        say("report")
        from_first(fabric, lambda: _report(job, run, _facts(job, run, data, trained, metrics, verdict), record))
    return verdict


def _together(
    fabric: Fabric,
    run: RunDir,
    stage: str,
    kind: type[T],
    key: dict[str, str],
    make: Callable[[], T],
    *,
    lost: Callable[[T], str | None] | None = None,
) -> T:
    """Return the stored value of a stage that all processes work at, or have them make it; the first one stores it."""
    if not from_first(fabric, lambda: run.plan(stage, kind, key, lost=lost).runs):
        return from_first(fabric, lambda: run.load(stage, kind))
    return run.step(stage, kind, key, make, lost=lost) if fabric.is_global_zero else make()


def plan(job: Job, run: RunDir) -> list[Plan]:
    """Say for each stage whether it would run and why, without running anything."""
    brings = architecture_of(job.recipe)
    plans = [run.plan("data", DataReady, _data_key(job), lost=brings.what_changed)]
    if not plans[-1].runs:
        data = run.load("data", DataReady)
        plans.append(run.plan("train", Trained, _train_key(job, data), lost=_lost(run)))
    if not plans[-1].runs:
        trained = run.load("train", Trained)
        key = _evaluate_key(job, data, trained)
        plans.append(run.plan("evaluate", brings.metrics, key, lost=_unjudged(run)))
    if not plans[-1].runs:
        metrics = run.load("evaluate", brings.metrics)
        plans.append(run.plan("compare", Verdict, _compare_key(job, data, trained, metrics)))
    if not plans[-1].runs:
        plans.append(plan_record(run, job.gates))
    follows = [Plan(stage, runs=True, why=f"follows {plans[-1].stage}") for stage in STAGES[len(plans) : -1]]
    always = Plan("report", runs=True, why="drawn anew from the other stages' files each time")
    return [*plans, *follows, always][: STAGES.index(job.last_stage) + 1]


def _prepare(job: Job) -> DataReady:
    brings = architecture_of(job.recipe)
    return brings.prepare(job.data, job.dataroot, job.recipe, job.cache, job.without_can_bus, job.infos)


def _train(job: Job, data: DataReady, run: RunDir, fabric: Fabric, key: str) -> Trained:
    brings = architecture_of(job.recipe)
    if job.eval_only:
        checkpoint = job.checkpoint
        assert checkpoint is not None, "the menu asks for --checkpoint with --eval-only"
        return from_first(fabric, lambda: adopt(brings.lesson, job.recipe, checkpoint))
    return teach(
        brings.lesson,
        job.recipe,
        data,
        brings.samples(job.recipe, data, data.train_split, job.cache),
        run.path / "train",
        fabric=fabric,
        start=job.checkpoint,
        smoke=job.smoke,
        key=key,
        limit=job.limit,
    )


def _evaluate(job: Job, data: DataReady, trained: Trained, run: RunDir, fabric: Fabric, key: str) -> AnyMetrics:
    brings = architecture_of(job.recipe)
    return brings.evaluate(
        job.recipe,
        data,
        brings.samples(job.recipe, data, data.eval_split, job.cache),
        run.path / trained.checkpoint,
        run.path / "evaluate",
        fabric=fabric,
        smoke=job.smoke,
        key=key,
    )


def verdict_of(
    recipe: AnyRecipe, *, data: DataReady, trained: Trained, metrics: AnyMetrics, smoke: bool, gate: str | None
) -> Verdict:
    """Return the judgement of a run, with what its figures look like; a pure function of what the stages left."""
    released = gate == "released"
    verdict = compare(recipe, data=data, trained=trained, metrics=metrics, smoke=smoke, released=released)
    if data.synthetic or smoke or not isinstance(recipe, Recipe) or not isinstance(metrics, Metrics):
        return verdict  # nothing published looks like it, or nothing is known of how it goes wrong
    return replace(verdict, diagnoses=diagnose(recipe, data=data, trained=trained, metrics=metrics))


def _report(job: Job, run: RunDir, facts: RunFacts, record: Record) -> None:
    """Write what people read: the same facts as Markdown and as a page with drawings."""
    run.write("report.md", report(job.recipe, facts))
    shows = Shows(
        losses=read_losses(run.path / "train" / LOSSES) if facts.trained.iterations else (),
        curves=read_curves((run.path / facts.metrics.results).with_name(CURVES)),
        look=_look(job, run, facts),
        record=record,
    )
    run.write("report.html", page(job.recipe, facts, shows))


def _look(job: Job, run: RunDir, facts: RunFacts) -> Look:
    """Return frames or images to look at; none, and why, where the data set or the result file cannot be read."""
    brings = architecture_of(job.recipe)
    try:
        samples = brings.samples(job.recipe, facts.data, facts.data.eval_split, job.cache)
        return brings.look(job.recipe, facts.data, samples, run.path / facts.metrics.results, facts.metrics.samples)
    except (OSError, ValueError, LookupError) as error:
        return Look(kind=brings.kind, why=str(error))


def _lost(run: RunDir) -> Callable[[Trained], str | None]:
    def lost(trained: Trained) -> str | None:
        path = run.path / trained.checkpoint
        if not path.is_file():
            return f"its checkpoint {trained.checkpoint} is gone"
        return None if sha256_of(path) == trained.sha256 else f"its checkpoint {trained.checkpoint} holds other bytes"

    return lost


def _unjudged(run: RunDir) -> Callable[[AnyMetrics], str | None]:
    def lost(metrics: AnyMetrics) -> str | None:
        there = (run.path / metrics.results).is_file()
        return None if there else f"its result file {metrics.results} is gone"

    return lost


def _code(*rooms: str) -> dict[str, str]:
    return {f"code of repro/{room}": source_digest(HERE / room) for room in rooms}


def _parts(recipe: AnyRecipe, *names: str) -> dict[str, str]:
    """Return tables of the recipe as text, so that a plan can name the key that changed."""
    tables = recipe.model_dump(mode="json")
    return {f"recipe [{name}]": json.dumps(tables[name], sort_keys=True, ensure_ascii=False) for name in names}


def _data_key(job: Job) -> dict[str, str]:
    where = {"--infos": str(job.infos)} if job.infos else {}
    where |= {"--data": job.data, "--dataroot": str(job.dataroot), "--without-can-bus": str(job.without_can_bus)}
    return {**where, **_parts(job.recipe, "data", "model"), **_code("data", "prepare.py")}


def _train_key(job: Job, data: DataReady) -> dict[str, str]:
    asked = {
        "--smoke": str(job.smoke),
        "--eval-only": str(job.eval_only),
        "--checkpoint": sha256_of(job.checkpoint) if job.checkpoint else "none",
        "data set": data.fingerprint,
        "processes": str(job.processes),
        **({"--iterations": str(job.limit)} if job.limit else {}),
    }
    parts = _parts(job.recipe, "data", "images", "augment", "model", "matcher", "losses", "optimizer", "schedule")
    parts |= _parts(job.recipe, "train") | (_parts(job.recipe, "smoke") if job.smoke else {})
    return {**asked, **parts, **_code("ops", "models", "train", "data", "world.py")}


def _evaluate_key(job: Job, data: DataReady, trained: Trained) -> dict[str, str]:
    asked = {"--smoke": str(job.smoke), "checkpoint": trained.sha256, "data set": data.fingerprint}
    if (
        isinstance(job.recipe, Recipe) and job.recipe.eval.split == "upstream"
    ):  # the number of chunks changes what is found at their borders
        asked["processes"] = str(job.processes)
    parts = _parts(job.recipe, "data", "images", "model", "coder", "eval", *(["smoke"] if job.smoke else []))
    return {**asked, **parts, **_code("ops", "models", "evaluate", "data")}


def _compare_key(job: Job, data: DataReady, trained: Trained, metrics: AnyMetrics) -> dict[str, str]:
    values = {"data": asdict(data), "trained": asdict(trained), "metrics": asdict(metrics)}
    lasting = {name: {key: v for key, v in value.items() if key != "seconds"} for name, value in values.items()}
    shipped = shipped_recipe(job.recipe)
    asked = {
        "--smoke": str(job.smoke),
        "--gate": str(job.gate),
        **{f"result of {name}": digest(value) for name, value in lasting.items()},
    }
    return {
        **asked,
        "recipe as shipped": digest(shipped.model_dump(mode="json")) if shipped else "none",
        **_parts(job.recipe, *(name for name in type(job.recipe).model_fields if name not in SAID_ELSEWHERE)),
        **_code("compare.py", "diagnosis.py"),
    }


def _facts(job: Job, run: RunDir, data: DataReady, trained: Trained, metrics: AnyMetrics, verdict: Verdict) -> RunFacts:
    whole = trained.iterations_per_epoch * job.recipe.schedule.epochs
    unit = "images" if isinstance(metrics, CocoMetrics) else "samples"
    shortened = (
        f"training: {trained.iterations} of {whole} iterations",
        f"evaluation: {metrics.samples} of {metrics.samples_in_split} {unit}",
        f"loader workers: {job.recipe.smoke.workers} instead of {job.recipe.train.workers}",
    )
    return RunFacts(
        machine=job.machine,
        data=data,
        trained=trained,
        metrics=metrics,
        verdict=verdict,
        seconds={stage: run.seconds(stage) for stage in STORED},
        shortened=shortened if job.smoke else (),
        command=job.command,
    )


def _told(job: Job, data: DataReady, trained: Trained, metrics: AnyMetrics, verdict: Verdict) -> Told:
    brings = architecture_of(job.recipe)
    return Told(
        recipe=job.recipe,
        command=job.command,
        smoke=job.smoke,
        eval_only=job.eval_only,
        processes=job.processes,
        machine=job.machine,
        doctor=job.doctor,
        recording=job.recording,
        gate=job.gate,
        gates=job.gates,
        start=job.checkpoint,
        data=data,
        trained=trained,
        metrics=metrics,
        verdict=verdict,
        tables=brings.tables(data),
        images=brings.images(brings.samples(job.recipe, data, data.eval_split, job.cache), data),
    )
