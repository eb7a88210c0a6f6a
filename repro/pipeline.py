"""The story, top to bottom: data, train, evaluate, compare, record, report. Each stage lives in a file of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from repro.architectures import architecture_of
from repro.artifacts import (
    STAGES,
    STORED,
    AnyMetrics,
    CocoMetrics,
    DataReady,
    Metrics,
    Trained,
    Verdict,
)
from repro.atomic import digest
from repro.compare import compare
from repro.diagnosis import diagnose
from repro.evaluate.curves import CURVES, read_curves
from repro.job import Job, compare_key, data_key, evaluate_key, lost_results, lost_weights, train_key
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
    from repro.record.schema import Record

T = TypeVar("T")


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
        fabric, lambda: run.step("data", DataReady, data_key(job), lambda: _prepare(job), lost=brings.what_changed)
    )
    if "train" not in wanted:
        return None

    say("train")
    key = train_key(job, data)
    train_all = partial(_train, job, data, run, fabric, digest(key))
    trained = _together(fabric, run, "train", Trained, key, train_all, lost=lost_weights(run))
    if "evaluate" not in wanted:
        return None

    say("evaluate")
    key = evaluate_key(job, data, trained)
    evaluate_all = partial(_evaluate, job, data, trained, run, fabric, digest(key))
    metrics: AnyMetrics = _together(fabric, run, "evaluate", brings.metrics, key, evaluate_all, lost=lost_results(run))
    if "compare" not in wanted:
        return None

    say("compare")
    key = compare_key(job, data, trained, metrics)
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
    plans = [run.plan("data", DataReady, data_key(job), lost=brings.what_changed)]
    if not plans[-1].runs:
        data = run.load("data", DataReady)
        plans.append(run.plan("train", Trained, train_key(job, data), lost=lost_weights(run)))
    if not plans[-1].runs:
        trained = run.load("train", Trained)
        key = evaluate_key(job, data, trained)
        plans.append(run.plan("evaluate", brings.metrics, key, lost=lost_results(run)))
    if not plans[-1].runs:
        metrics = run.load("evaluate", brings.metrics)
        plans.append(run.plan("compare", Verdict, compare_key(job, data, trained, metrics)))
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
