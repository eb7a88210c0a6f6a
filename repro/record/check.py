"""A record judged by somebody who was not there: hashes, figures, and the verdict made anew. Needs no GPU.

Where the data set is at hand, the official evaluator judges the stored result file again; where not, that is said.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repro.architectures import architecture_of
from repro.artifacts import STORED, CocoMetrics, DataReady, Trained, Verdict
from repro.atomic import source_digest
from repro.data import DataError
from repro.evaluate.formatting import EvaluationError
from repro.pipeline import verdict_of
from repro.recipe import RecipeError, recipe_of
from repro.record.figures import contradictions, differing
from repro.record.files import fact
from repro.record.schema import RecordError, read_record
from repro.record.write import newest_record, stage_facts
from repro.rundir import RunDir, RunDirError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repro.artifacts import AnyMetrics
    from repro.recipe import AnyRecipe
    from repro.record.schema import FileFact, Record

State = Literal["holds", "fails", "not looked at"]
ROOT = Path(__file__).resolve().parents[2]
MUST_NAME = ("recipe", "checkpoint", "results")
JUDGES = ("repro/compare.py", "repro/diagnosis.py")  # their code decides the verdict's words


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, what came of it, and why in words."""

    name: str
    state: State
    words: str


def check_run(run: Path, *, dataroot: Path | None = None) -> tuple[Finding, ...]:
    """Check the newest record of a run folder, or the record file `run`; one finding for each thing looked at.

    `dataroot` is where the data set lies here, by default where it lay then. Nothing in the folder is executed or
    unpickled, and nothing is written.
    """
    try:
        path = newest_record(run)
        record = read_record(path)
        recipe = recipe_of(record.recipe, f"{path}: recipe")
    except (RecordError, RecipeError) as error:
        return (Finding("record", "fails", str(error)),)
    folder = path.parent
    data = replace(record.data, dataroot=str(dataroot)) if dataroot else record.data
    return (
        Finding("record", "holds", f"{path.name}, schema {record.schema_version}, sealed {record.seal[:12]}…"),
        *_files(record, folder),
        _stages(record, recipe, folder),
        _figures(record),
        _boxes(record, folder),
        _verdict(record, recipe),
        _data(record, data),
        _metrics(record, recipe, data, folder),
    )


def _files(record: Record, folder: Path) -> Iterator[Finding]:
    """Yield what became of each file that the record names, and of those that it must name."""
    for known in record.files:
        yield _file(known, folder)
    named = {file.role for file in record.files}
    lacking = [role for role in MUST_NAME if role not in named]
    lacking += [
        f"{s}.json" for s in STORED if not any(f.role == "stage" and f.path == f"{s}.json" for f in record.files)
    ]
    checkpoint, results = record.file("checkpoint"), record.file("results")
    if checkpoint and (checkpoint.path, checkpoint.sha256) != (record.trained.checkpoint, record.trained.sha256):
        lacking.append(f"the checkpoint {record.trained.checkpoint} of the training")
    if results and results.path != record.metrics.results:
        lacking.append(f"the result file {record.metrics.results} of the metrics")
    if lacking:
        yield Finding("files", "fails", f"the record names no {', no '.join(lacking)}")


def _file(known: FileFact, folder: Path) -> Finding:
    name, path = f"{known.role} {known.path}", folder / known.path
    if not path.is_file():
        if Path(known.path).is_absolute():
            return Finding(name, "not looked at", "lay outside the run folder, and is not here")
        return Finding(name, "fails", "is not in the run folder; get the whole folder")
    try:
        size = path.stat().st_size
        if size != known.size:
            return Finding(name, "fails", f"has {size} bytes, {known.size} on record")
        seen = fact(folder, path, known.role)
    except OSError as error:
        return Finding(name, "not looked at", f"cannot be read: {error.strerror}")
    if seen.sha256 != known.sha256:
        return Finding(name, "fails", f"has the SHA-256 {seen.sha256[:12]}…, {known.sha256[:12]}… on record")
    return Finding(name, "holds", f"{known.size} bytes, {known.sha256[:12]}…")


def _stages(record: Record, recipe: AnyRecipe, folder: Path) -> Finding:
    """Tell whether the values that the stages left are those on record."""
    run = RunDir(folder, guest=True)
    pairs: tuple[tuple[str, type[Any], object], ...] = (
        ("data", DataReady, record.data),
        ("train", Trained, record.trained),
        ("evaluate", architecture_of(recipe).metrics, record.metrics),
        ("compare", Verdict, record.verdict),
    )
    try:
        wrong = [f"{stage}.json" for stage, kind, value in pairs if run.load(stage, kind) != value]
        wrong += [] if stage_facts(run) == record.stages else ["keys and times of the stages"]
        table = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (RunDirError, OSError, ValueError) as error:
        return Finding("stages", "fails", str(error))
    wrong += [] if table == record.recipe else ["recipe.json"]
    if wrong:
        return Finding("stages", "fails", f"not what is on record: {', '.join(wrong)}")
    return Finding("stages", "holds", f"{len(pairs)} stages left what is on record")


def _figures(record: Record) -> Finding:
    wrong = contradictions(record.metrics)
    if wrong:
        return Finding("figures", "fails", "; ".join(wrong[:4]))
    return Finding("figures", "holds", "scores and means follow from the figures below them")


def _boxes(record: Record, folder: Path) -> Finding:
    """Tell whether the result file holds as many boxes as the metrics say they are of."""
    try:
        counted = _counted(folder / record.metrics.results, record.metrics)
    except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        return Finding("boxes", "fails", f"{record.metrics.results}: no result file ({error})")
    if counted != record.metrics.detections:
        words = f"{record.metrics.results} holds {counted} boxes, {record.metrics.detections} on record"
        return Finding("boxes", "fails", words)
    return Finding("boxes", "holds", f"{counted} of {record.metrics.samples} samples")


def _counted(results: Path, metrics: AnyMetrics) -> int:
    document = json.loads(results.read_bytes())
    return len(document) if isinstance(metrics, CocoMetrics) else sum(map(len, document["results"].values()))


def _verdict(record: Record, recipe: AnyRecipe) -> Finding:
    now = verdict_of(
        recipe,
        data=record.data,
        trained=record.trained,
        metrics=record.metrics,
        smoke=record.smoke,
        gate=record.gate,
    )
    same_code = all(record.source.code.get(room) == source_digest(ROOT / room) for room in JUDGES)
    if now.outcome != record.verdict.outcome or (same_code and now != record.verdict):
        words = f'"{record.verdict.outcome}" on record, "{now.outcome}" now: {"; ".join(now.reasons)}'
        return Finding("verdict", "fails", words)
    note = "" if same_code else ", by other code than then"
    return Finding("verdict", "holds", f'"{now.outcome}", made anew from the figures{note}')


def _data(record: Record, data: DataReady) -> Finding:
    """Tell whether the data set at hand is the one of then, by the tables and the sampled images."""
    root = Path(data.dataroot)
    files = (*record.data_files.tables, *record.data_files.images)
    if not root.is_dir():
        return Finding("data", "not looked at", f"{root} is not here; name the data set with --dataroot DIR")
    wrong = [found for file in files if (found := _file(file, root)).state != "holds"]
    if wrong:
        return Finding("data", "not looked at", f"another data set is in {root}: {wrong[0].name} {wrong[0].words}")
    count = len(record.data_files.images)
    words = f"{len(record.data_files.tables)} tables and {count} of {record.data_files.images_in_all} images as then"
    return Finding("data", "holds", words)


def _metrics(record: Record, recipe: AnyRecipe, data: DataReady, folder: Path) -> Finding:
    """Let the official evaluator judge the stored result file again, if the data set of then is here."""
    if _data(record, data).state != "holds":
        return Finding("metrics", "not looked at", "the data set of then is not here: figures and verdict only")
    try:
        with tempfile.TemporaryDirectory() as cache:
            results = folder / record.metrics.results
            again = architecture_of(recipe).judge_again(data, record.metrics, results, Path(cache))
    except (EvaluationError, DataError, OSError) as error:
        return Finding("metrics", "fails", f"the evaluator refuses {record.metrics.results}: {error}")
    wrong = differing(record.metrics, again)
    if wrong:
        return Finding("metrics", "fails", "; ".join(wrong[:4]))
    return Finding("metrics", "holds", "the official evaluator says the same of the stored result file")
