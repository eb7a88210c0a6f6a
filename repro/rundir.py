"""The run folder: one JSON file a stage, kept under a key of its inputs, with one run at a time.

A stage is a function to a frozen value. Same key → the stored value is loaded; another key → the stage runs again,
and `plan` says in words which part of the key changed. What the values mean is `artifacts.py`'s business.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from repro.atomic import write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

SCHEMA_VERSION = 1
SHOWN = 4  # keys of one recipe table that a plan names
DIGEST = re.compile(r"[0-9a-f]{16,64}")
PART = ".*.part"  # what a process that was killed while writing leaves
T = TypeVar("T")
Meter = Callable[[], AbstractContextManager[dict[str, Any]]]
_OPEN_LOCKS: weakref.WeakSet[TextIO] = weakref.WeakSet()


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
    use: dict[str, Any] = field(default_factory=dict)  # what the meter saw


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished stage without its value: key, when it ended (local time), seconds, and what the meter saw."""

    key: dict[str, str]
    finished: str
    seconds: float
    use: dict[str, Any]


class RunDir:
    """A folder that one run owns while the object lives; use it as a context manager.

    Raises RunDirError when the folder cannot be made, or another run holds it. The other processes of a run open it
    with `guest=True`: they may look things up in it, and its owner keeps it for all of them. `meter` measures a stage
    while it runs: its context yields a table that is filled when the context ends.
    """

    def __init__(self, path: Path, *, guest: bool = False, meter: Meter = lambda: nullcontext({})) -> None:
        self.path = path
        self._meter = meter
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
        _OPEN_LOCKS.add(lock)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what killed processes left half written; nobody else writes here while the lock is ours."""
        for part in self.path.rglob(PART):
            with suppress(OSError):
                part.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None and not self._lock.closed:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # for a child too that was forked a moment ago and still has it open
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
        changed = changes(stored.key, key)
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
        with self._meter() as use:
            value = make()
        step = _StepFile(
            schema_version=SCHEMA_VERSION,
            stage=stage,
            key=dict(key),
            finished=time.strftime("%Y-%m-%d %H:%M:%S"),
            seconds=round(time.monotonic() - started, 3),
            value=TypeAdapter(kind).dump_python(value, mode="json"),
            use=use,
        )
        write_json(self.file_of(stage), TypeAdapter(_StepFile).dump_python(step, mode="json"))
        return value

    def load(self, stage: str, kind: type[T]) -> T:
        """Return the stored value of `stage`. Raises RunDirError when there is none or it is damaged."""
        stored = self._read(stage)
        if stored is None:
            raise RunDirError(f"{self.file_of(stage)}: missing; run the stage with --stage {stage}")
        return self._value(stage, kind, stored)

    def done(self, stage: str) -> Done | None:
        """Return how `stage` ran, None when it has not."""
        stored = self._read(stage)
        if stored is None:
            return None
        return Done(key=stored.key, finished=stored.finished, seconds=stored.seconds, use=stored.use)

    def seconds(self, stage: str) -> float | None:
        """Return how long `stage` took when it ran, None when it has not."""
        done = self.done(stage)
        return done.seconds if done else None

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


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return what differs between two keys, each part in words: old and new value where a person can read them."""
    parts = [part for part in {**old, **new} if old.get(part) != new.get(part)]
    return [_change(part, old.get(part), new.get(part)) for part in parts]


def _change(part: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"{part} ({'not part of the key before' if old is None else 'no longer part of the key'})"
    before, after = _table(old), _table(new)
    if before is not None and after is not None:
        return f"{part} {', '.join(_changed_keys(before, after))}"
    readable = not any(DIGEST.fullmatch(value) or _table(value) is not None for value in (old, new))
    return f"{part} ({old} → {new})" if readable else part


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return "key old → new" for the keys of two tables that differ, the first few of them."""
    old, new = _leaves(before), _leaves(after)
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    words = [f"{key} {old.get(key, 'absent')} → {new.get(key, 'absent')}" for key in keys[:SHOWN]]
    return [*words, f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else words


def _leaves(table: Mapping[str, Any], place: str = "") -> dict[str, str]:
    """Return the values of nested tables by dotted key, as JSON."""
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{place}{key}.")
        else:
            found[f"{place}{key}"] = json.dumps(value, ensure_ascii=False)
    return found


def _table(text: str) -> dict[str, Any] | None:
    """Return the table in a part of a key, None for a part that is no table."""
    if not text.startswith("{"):
        return None
    with suppress(ValueError):
        table: dict[str, Any] = json.loads(text)
        return table
    return None


def _forget_locks() -> None:
    """Close the locks in a forked child: a loading worker that outlives its killed parent must not hold the folder."""
    for lock in list(_OPEN_LOCKS):
        with suppress(OSError):
            lock.close()


os.register_at_fork(after_in_child=_forget_locks)
