"""The run folder: one JSON file a stage, kept under a key of its inputs, with one run at a time.

A stage is a function to a frozen value. Same key → the stored value is loaded; another key → the stage runs again,
and `plan` says in words which part of the key changed. What the values mean is `artifacts.py`'s business.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from repro.atomic import write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import Self

SCHEMA_VERSION = 1
T = TypeVar("T")


class RunDirError(ValueError):
    """A run folder that cannot be used; the message says what to type."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Whether a stage will run, and why in words."""

    stage: str
    runs: bool
    why: str


@checked_dataclass(frozen=True, config={"extra": "forbid"})
class _StepFile:
    """The envelope around a stage's value on disk."""

    schema_version: int
    stage: str
    key: dict[str, str]
    finished: str
    seconds: float
    value: dict[str, Any]


class RunDir:
    """A folder that one run owns while the object lives; use it as a context manager.

    Raises RunDirError when the folder cannot be made, or another run holds it. The other processes of a run open it
    with `guest=True`: they may look things up in it, and its owner keeps it for all of them.
    """

    def __init__(self, path: Path, *, guest: bool = False) -> None:
        self.path = path
        self._lock: TextIO | None = None
        if not guest:
            self._own()

    def _own(self) -> None:
        path = self.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / ".lock").open("a+")
        except OSError as error:
            raise RunDirError(
                f"{path}: {error.strerror or error}; choose a folder that you may write to with --run DIR"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise RunDirError(
                f"{path}: another run is using this folder (process {owner}); wait for it, or choose another --run DIR"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def file_of(self, stage: str) -> Path:
        """Return where the value of `stage` is kept."""
        return self.path / f"{stage}.json"

    def plan(
        self, stage: str, kind: type[T], key: Mapping[str, str], *, lost: Callable[[T], str | None] | None = None
    ) -> Plan:
        """Say whether `stage` would run and why; `lost` names what a stored value points at but is gone."""
        stored = self._read(stage)
        if stored is None:
            return Plan(stage, runs=True, why=f"no {stage}.json yet")
        changed = [part for part in {**stored.key, **key} if stored.key.get(part) != key.get(part)]
        if changed:
            return Plan(stage, runs=True, why="changed since last time: " + ", ".join(changed))
        gone = lost(self._value(stage, kind, stored)) if lost else None
        if gone:
            return Plan(stage, runs=True, why=gone)
        return Plan(stage, runs=False, why=f"done {stored.finished}, nothing changed")

    def step(
        self,
        stage: str,
        kind: type[T],
        key: Mapping[str, str],
        make: Callable[[], T],
        *,
        lost: Callable[[T], str | None] | None = None,
    ) -> T:
        """Return the stored value of `stage` if its key still fits, else make it and store it."""
        if not self.plan(stage, kind, key, lost=lost).runs:
            return self.load(stage, kind)
        started = time.monotonic()
        value = make()
        step = _StepFile(
            schema_version=SCHEMA_VERSION,
            stage=stage,
            key=dict(key),
            finished=time.strftime("%Y-%m-%d %H:%M:%S"),
            seconds=round(time.monotonic() - started, 3),
            value=TypeAdapter(kind).dump_python(value, mode="json"),
        )
        write_json(self.file_of(stage), TypeAdapter(_StepFile).dump_python(step, mode="json"))
        return value

    def load(self, stage: str, kind: type[T]) -> T:
        """Return the stored value of `stage`. Raises RunDirError when there is none or it is damaged."""
        stored = self._read(stage)
        if stored is None:
            raise RunDirError(f"{self.file_of(stage)}: missing; run the stage with --stage {stage}")
        return self._value(stage, kind, stored)

    def seconds(self, stage: str) -> float | None:
        """Return how long `stage` took when it ran, None when it has not."""
        stored = self._read(stage)
        return stored.seconds if stored else None

    def write(self, name: str, text: str) -> Path:
        """Write a file of the run whole and return its path."""
        write_text(self.path / name, text)
        return self.path / name

    def _read(self, stage: str) -> _StepFile | None:
        path = self.file_of(stage)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self._damaged(stage, str(error)) from error
        try:
            stored = TypeAdapter(_StepFile).validate_json(text, strict=True)
        except ValidationError as error:
            raise self._damaged(stage, error.errors()[0]["msg"]) from error
        if stored.schema_version != SCHEMA_VERSION or stored.stage != stage:
            raise self._damaged(stage, f"schema {stored.schema_version}, stage {stored.stage}")
        return stored

    def _value(self, stage: str, kind: type[T], stored: _StepFile) -> T:
        try:
            return TypeAdapter(kind).validate_python(stored.value)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise self._damaged(stage, f"{place}: {problem['msg']}") from error

    def _damaged(self, stage: str, what: str) -> RunDirError:
        path = self.file_of(stage)
        return RunDirError(
            f"{path}: damaged or written by another version ({what}); delete that file to run the stage again, "
            "or choose another --run DIR"
        )
