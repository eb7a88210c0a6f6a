"""From a finished run folder to its record: written once, never overwritten; a run that changed gets the next number.

What the record points at (changes of the code, the machine as the doctor saw it) is kept under names of its content.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts import STORED
from repro.atomic import replacing, write_text
from repro.record.files import data_files, fact
from repro.record.origin import container_of, extension, numerics, source_of, stack_of
from repro.record.schema import DoctorLook, FileFact, Record, RecordError, StageFact, read_record, sealed, text_of
from repro.rundir import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.artifacts import AnyMetrics, DataReady, GateVerdict, Machine, Trained, Verdict
    from repro.recipe import AnyRecipe
    from repro.record.schema import Role
    from repro.rundir import RunDir

NAME = re.compile(r"record(?:-([1-9]\d*))?\.json")
KEPT = "provenance"  # folder of what records point at


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run says of itself beyond the files of its folder.

    `recording` is the machine as the doctor saw it, redacted; `tables` and `images` are what the evaluated split was
    read from; `start` are weights that training started from.
    """

    recipe: AnyRecipe
    command: str
    smoke: bool
    eval_only: bool
    processes: int
    machine: Machine
    doctor: DoctorLook | None
    recording: dict[str, Any] | None
    gate: str | None
    gates: tuple[GateVerdict, ...]
    start: Path | None
    data: DataReady
    trained: Trained
    metrics: AnyMetrics
    verdict: Verdict
    tables: Sequence[Path]
    images: Sequence[Path]


def record_paths(folder: Path) -> list[Path]:
    """Return the records of a run folder, the newest last."""
    return sorted((path for path in folder.glob("record*.json") if NAME.fullmatch(path.name)), key=_number)


def _number(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    assert match is not None, f"{path} is no name of a record"
    return int(match[1] or 1)


def newest_record(run: Path) -> Path:
    """Return the newest record of a run folder, or `run` itself if it is a file. Raises RecordError for none."""
    if run.is_file():
        return run
    paths = record_paths(run)
    if not paths:
        raise RecordError(f"{run}: no record.json here; name the folder of a run that came to its end")
    return paths[-1]


def plan_record(run: RunDir, gates: Sequence[GateVerdict]) -> Plan:
    """Say whether the finished stages of `run` are on record, in words. Raises RecordError for a damaged record."""
    paths = record_paths(run.path)
    if not paths:
        return Plan("record", runs=True, why="no record.json yet")
    last = read_record(paths[-1])
    if last.gates != tuple(gates):
        return Plan("record", runs=True, why=f"the gates before it said something else than in {paths[-1].name}")
    old, new = ({stage.name: stage.finished for stage in stages} for stages in (last.stages, stage_facts(run)))
    others = [name for name in new if old.get(name) != new[name]]
    if others:
        return Plan("record", runs=True, why=f"{', '.join(others)} ran again since {paths[-1].name}")
    return Plan("record", runs=False, why=f"{paths[-1].name} of {last.written} holds this run")


def write_record(run: RunDir, told: Told) -> Record:
    """Return the record of the finished run in `run`, written if it is not there yet. Raises RecordError, OSError."""
    paths = record_paths(run.path)
    before = read_record(paths[-1]) if paths else None
    if before is not None and not plan_record(run, told.gates).runs:
        return before
    record = sealed(_record(run, told, before))
    _publish(run.path / (f"record-{_number(paths[-1]) + 1}.json" if paths else "record.json"), text_of(record))
    return record


def _record(run: RunDir, told: Told, before: Record | None) -> Record:
    source, diff = source_of()
    kept = [_keep(run.path, "diff", diff, ".patch")] if diff else []
    if told.recording is not None:
        text = json.dumps(told.recording, indent=1, ensure_ascii=False) + "\n"
        kept.append(_keep(run.path, "doctor", text.encode(), ".machine.json"))
    return Record(
        schema_version=1,
        written=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        supersedes=before.seal if before else None,
        command=told.command,
        smoke=told.smoke,
        eval_only=told.eval_only,
        processes=told.processes,
        recipe=told.recipe.model_dump(mode="json"),
        source=source,
        stack=stack_of(told.machine.stack),
        container=container_of(),
        extension=extension(),
        machine=told.machine,
        doctor=told.doctor,
        numerics=numerics(seed=told.recipe.train.seed, precision=told.recipe.train.precision),
        data=told.data,
        data_files=data_files(Path(told.data.dataroot), tables=told.tables, images=told.images),
        trained=told.trained,
        metrics=told.metrics,
        verdict=told.verdict,
        gate=told.gate,
        gates=told.gates,
        stages=stage_facts(run),
        files=(*_files(run, told), *kept),
        seal="",
    )


def stage_facts(run: RunDir) -> tuple[StageFact, ...]:
    """Return how the stages of a run folder ran, those that did. Raises RunDirError."""
    done = {name: run.done(name) for name in STORED}
    return tuple(
        StageFact(name=name, key=stage.key, finished=stage.finished, seconds=stage.seconds, use=stage.use or None)
        for name, stage in done.items()
        if stage is not None
    )


def _files(run: RunDir, told: Told) -> tuple[FileFact, ...]:
    """Return what the run left, by hash; what two equal runs do not have in common is marked."""
    named: list[tuple[Role, Path, bool]] = [("recipe", run.path / "recipe.json", False)]
    named += [("stage", run.file_of(stage), True) for stage in STORED]
    named += [
        ("checkpoint", run.path / told.trained.checkpoint, False),
        ("results", run.path / told.metrics.results, False),
    ]
    losses = run.path / "train" / "losses.csv"
    if told.trained.iterations and losses.is_file():
        named.append(("losses", losses, True))
    if told.start is not None and not told.eval_only:
        named.append(("start", told.start.resolve(), False))
    return tuple(fact(run.path, path, role, momentary=momentary) for role, path, momentary in named)


def _keep(folder: Path, role: Role, content: bytes, suffix: str) -> FileFact:
    """Write content under the first digits of its hash, unless it is there, and return what the record says of it."""
    path = folder / KEPT / f"{hashlib.sha256(content).hexdigest()[:12]}{suffix}"
    if not path.exists():
        with replacing(path) as part:
            part.write_bytes(content)
    return fact(folder, path, role, momentary=role == "doctor")


def _publish(path: Path, text: str) -> None:
    """Put a file in place whole, unless something is there. Raises RecordError then."""
    if path.exists():
        raise RecordError(f"{path}: there already, and a record is never overwritten; move it elsewhere")
    write_text(path, text)
