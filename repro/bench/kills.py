"""Smoke runs killed with SIGKILL at random points, resumed, and compared bit by bit with a run that was left alone.

    python -m repro.bench.kills --dataroot DIR --count 50 --to repro/bench/results/kills.json

Half of the kills fall on a moment, half on a file operation of the run (each opening, renaming and removing of a file
in its folders counts), because what a kill can break is on the disk. State is saved after every iteration, not after
ten minutes, so that kills meet it. DIR is a small data set such as `python -m repro synth DIR --frames 1` writes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts import STAGES
from repro.atomic import sha256_of, write_json
from repro.record.check import check_run
from repro.record.schema import read_record
from repro.record.write import newest_record
from repro.train import teach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")
PATIENCE_S = 900.0
CRASHED = 70


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left that must be the same: figures without times, and the bytes of weights and result file."""

    metrics: str
    weights: str
    results: str


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, resume and compare; return 0 if every resumed run is the same as the one that was left alone."""
    words = _parser().parse_args(argv)
    document: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=words.scratch) as scratch:
        for document in trials(
            words.recipe, words.data, words.dataroot.resolve(), Path(scratch), words.count, words.seed
        ):
            write_json(words.to, document)
            sys.stderr.write(f"{document['count']} of {words.count}: {json.dumps(document['trials'][-1])}\n")
    sys.stdout.write(f"{document['same']} of {document['count']} killed runs ended the same: {words.to}\n")
    return 0 if document["same"] == document["count"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="repro.bench.kills", description=__doc__)
    parser.add_argument("--dataroot", type=Path, required=True, help="a small data set")
    parser.add_argument("--recipe", default="bevformer_nano")
    parser.add_argument("--data", default="nuscenes-mini")
    parser.add_argument("--count", type=int, default=50, help="how many runs are killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other kills (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="where run folders are made and removed")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="where the result goes")
    return parser


def trials(recipe: str, data: str, dataroot: Path, scratch: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield after each of `count` kills what became of all so far. Raises RuntimeError when a resumed run fails."""
    job = ["run", "--recipe", recipe, "--data", data, "--dataroot", str(dataroot), "--device", "cpu"]
    job += ["--smoke", "--run", "run"]
    dice = random.Random(seed)  # noqa: S311 — moments, not secrets
    alone = scratch / "alone"
    began = time.monotonic()
    _wait(_started(alone, job))
    seconds, wanted = time.monotonic() - began, outcome(alone / "run")
    events = int((alone / "events").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        at = 1 + dice.randrange(events) if len(rows) % 2 else None
        row = _trial(scratch / "trial", job, wanted, at=at, after=None if at else dice.uniform(0, seconds))
        if row is None:
            continue  # it came to its end before its moment came
        rows.append(row)
        met = Counter(row["killed_in"] for row in rows)
        yield {
            "schema_version": 1,
            "what": "runs killed at random and resumed, against one left alone, bit by bit: metrics, weights, results",
            "recipe": recipe,
            "seed": seed,
            "count": len(rows),
            "same": sum(bool(row["same"] and row["accepted"]) for row in rows),
            "killed_in": {stage: met[stage] for stage in STAGES if met[stage]},
            "file_operations_of_a_run": events,
            "trials": list(rows),
        }


def _trial(
    folder: Path, job: list[str], wanted: Outcome, *, at: int | None, after: float | None
) -> dict[str, Any] | None:
    """Kill one run at its `at`-th file operation or `after` seconds, resume it, and say what came of it.

    None for a run that ended before it could be killed.
    """
    pid = _started(folder, job, kill_at=at)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    killed = _ended(pid) == -signal.SIGKILL
    row: dict[str, Any] | None = None
    if killed:
        stage = _stage_under_way(folder / "run")
        _wait(_started(folder, job))
        findings = check_run(folder / "run")
        row = {
            "killed_in": stage,
            "by": f"file operation {at}" if at else "clock",
            "same": outcome(folder / "run") == wanted,
            "accepted": all(finding.state == "holds" for finding in findings),
        }
    shutil.rmtree(folder)
    return row


def outcome(run: Path) -> Outcome:
    """Return what a finished run left that must be the same."""
    record = read_record(newest_record(run))
    metrics = {key: value for key, value in record.model_dump(mode="json")["metrics"].items() if key != "seconds"}
    return Outcome(
        metrics=json.dumps(metrics, sort_keys=True),
        weights=sha256_of(run / record.trained.checkpoint),
        results=sha256_of(run / record.metrics.results),
    )


def _stage_under_way(run: Path) -> str:
    left = {stage: (run / f"{stage}.json").is_file() for stage in STAGES[:-1]} | {
        "report": (run / "report.md").is_file()
    }
    return next((stage for stage, there in left.items() if not there), "nothing")


def _started(folder: Path, job: list[str], *, kill_at: int | None = None) -> int:
    """Fork a process that runs the job in `folder`; everything is imported here already. Return its id."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = CRASHED
    try:
        os.chdir(folder)
        with open("log", "a", encoding="utf-8") as log:  # noqa: PTH123 — before file operations are counted
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        code = _run(job, kill_at)
    except BaseException:  # noqa: BLE001 — a child must never return into the parent's code
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(job: list[str], kill_at: int | None) -> int:
    """Do what `python -m repro` does with these words, in this process."""
    teach.SAVE_EVERY_S = 0.0
    count = _count_file_operations(kill_at)
    code = CRASHED
    sys.argv = ["repro", *job]
    try:
        runpy.run_module("repro", run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else CRASHED
    seen = count()
    Path("events").write_text(f"{seen}\n", encoding="utf-8")
    return code


def _count_file_operations(kill_at: int | None) -> Callable[[], int]:
    """Count what this process does to files below its folder, and end it by SIGKILL before the `kill_at`-th."""
    here, seen = str(Path.cwd()), 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in EVENTS or not isinstance(args[0], (str, os.PathLike)):
            return
        path = os.fspath(args[0])
        if not path.startswith("/") or path.startswith(here):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: seen


def _ended(pid: int) -> int:
    """Return the exit code of a child, negative for a signal. Raises RuntimeError when it takes too long."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise RuntimeError(f"a run did not end within {PATIENCE_S:.0f} s")


def _wait(pid: int) -> None:
    code = _ended(pid)
    if code:
        raise RuntimeError(f"a run that nobody killed ended with exit code {code}")


if __name__ == "__main__":
    sys.exit(main())
