"""One run as asked for, and what each of its stages depends on: the keys under which a run folder stores results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.atomic import digest, sha256_of, source_digest
from repro.compare import shipped_recipe
from repro.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.artifacts import AnyMetrics, DataReady, GateVerdict, Machine, Trained
    from repro.recipe import AnyRecipe
    from repro.record.schema import DoctorLook
    from repro.rundir import RunDir

HERE = Path(__file__).resolve().parent
SAID_ELSEWHERE = ("schema_version", "name", "title", "smoke")  # fields of a recipe that are no table of the judgement


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


def data_key(job: Job) -> dict[str, str]:
    """Return what the data stage depends on, in words a plan can name."""
    where = {"--infos": str(job.infos)} if job.infos else {}
    where |= {"--data": job.data, "--dataroot": str(job.dataroot), "--without-can-bus": str(job.without_can_bus)}
    return {**where, **_parts(job.recipe, "data", "model"), **_code("data", "prepare.py")}


def train_key(job: Job, data: DataReady) -> dict[str, str]:
    """Return what the training depends on."""
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


def evaluate_key(job: Job, data: DataReady, trained: Trained) -> dict[str, str]:
    """Return what the evaluation depends on."""
    asked = {"--smoke": str(job.smoke), "checkpoint": trained.sha256, "data set": data.fingerprint}
    if (
        isinstance(job.recipe, Recipe) and job.recipe.eval.split == "upstream"
    ):  # the number of chunks changes what is found at their borders
        asked["processes"] = str(job.processes)
    parts = _parts(job.recipe, "data", "images", "model", "coder", "eval", *(["smoke"] if job.smoke else []))
    return {**asked, **parts, **_code("ops", "models", "evaluate", "data")}


def compare_key(job: Job, data: DataReady, trained: Trained, metrics: AnyMetrics) -> dict[str, str]:
    """Return what the judgement depends on: results without their times."""
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


def lost_weights(run: RunDir) -> Callable[[Trained], str | None]:
    """Return a test of a stored training: why its checkpoint no longer counts, None if it does."""

    def lost(trained: Trained) -> str | None:
        path = run.path / trained.checkpoint
        if not path.is_file():
            return f"its checkpoint {trained.checkpoint} is gone"
        return None if sha256_of(path) == trained.sha256 else f"its checkpoint {trained.checkpoint} holds other bytes"

    return lost


def lost_results(run: RunDir) -> Callable[[AnyMetrics], str | None]:
    """Return a test of a stored evaluation: why its result file no longer counts, None if it does."""

    def lost(metrics: AnyMetrics) -> str | None:
        there = (run.path / metrics.results).is_file()
        return None if there else f"its result file {metrics.results} is gone"

    return lost


def _parts(recipe: AnyRecipe, *names: str) -> dict[str, str]:
    """Return tables of the recipe as text, so that a plan can name the key that changed."""
    tables = recipe.model_dump(mode="json")
    return {f"recipe [{name}]": json.dumps(tables[name], sort_keys=True, ensure_ascii=False) for name in names}


def _code(*rooms: str) -> dict[str, str]:
    return {f"code of repro/{room}": source_digest(HERE / room) for room in rooms}
