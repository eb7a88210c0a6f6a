"""The build as a story: plan, look whether it is there, ask the doctor, compile, link, prove, publish.

Whatever fails or is interrupted leaves the build before it in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from doctor.build.cache import (
    locked,
    manifest_of,
    places,
    pointed_at,
    pointer_name,
    publish,
    workshop,
    writable,
    write_json,
)
from doctor.build.compile import compile_and_link
from doctor.build.jobs import Job, JobFailedError, run_all
from doctor.build.look import plan_for, preflight
from doctor.build.plan import LIBRARY
from doctor.build.proof import shortcomings
from doctor.consult import HOME
from doctor.logs.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doctor.build.cache import Place
    from doctor.build.jobs import Done
    from doctor.build.plan import Plan
    from doctor.shell import Host

SOURCES = HOME / "repro" / "ops" / "csrc"
PROOF = HOME / "repro" / "ops" / "prove.py"
SHOWN_LINES = 12


class BuildError(Exception):
    """A build that came to nothing: what was seen, what to do, where the whole log is, and the exit code."""

    def __init__(self, saw: str, fix: tuple[str, ...], *, code: int = 2, log: str = "", words: str = "") -> None:
        super().__init__(saw)
        self.saw, self.fix, self.code, self.log, self.words = saw, fix, code, log, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to build and for whom. `proof` is the script that compares with the reference, run by `python`."""

    python: str
    arch: str = ""
    force: bool = False
    folder: Path = SOURCES
    proof: Path = PROOF
    tell: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build that can be used; `fresh` says whether it was made just now."""

    library: Path
    manifest: dict[str, Any]
    fresh: bool
    seconds: float
    archs_why: str


def build(host: Host, order: Order) -> Built:
    """Return the build for this order, made now or found. Raises ToolchainError and BuildError."""
    started = time.monotonic()
    plan, why = plan_for(host, order.python, order.arch, order.folder)
    candidates = places(os.environ, HOME)
    found = None if order.force else _present(candidates, plan)
    if not found:
        order.tell(f"torch {plan.torch.version}, {plan.compiler}, {_device_words(plan, why)}")
        if not order.force:
            _ask_the_doctor(host, order)
        found = _build_once(writable(candidates), plan, order)
    return Built(library=found[0], manifest=found[1], fresh=found[2], seconds=time.monotonic() - started, archs_why=why)


def _device_words(plan: Plan, why: str) -> str:
    return f"NVRTC {plan.nvrtc.version}, {why}" if plan.nvrtc else why


def _present(candidates: tuple[Place, ...], plan: Plan) -> tuple[Path, dict[str, Any], bool] | None:
    """Return the build that is there already, and make it the current one."""
    for place in candidates:
        manifest = manifest_of(place, plan.key)
        if manifest:
            _point(place, plan)
            return place.ext / plan.key / LIBRARY, manifest, False
    return None


def _point(place: Place, plan: Plan) -> None:
    """Make this build the one that its torch and sources use. A cache that cannot be written to keeps its pointer."""
    name, contents = pointer_name(plan.torch.folder, plan.folder), plan.contents()
    told = {"key": plan.key, "sources": contents["sources"], "torch": plan.torch.version}
    if pointed_at(place, name) != told:
        with suppress(OSError):
            write_json(place.ext / "current" / name, told)


def _ask_the_doctor(host: Host, order: Order) -> None:
    told = preflight(host, order.python)
    problems = [(rule, found) for rule, found in told.diagnosis.findings if found.severity == "problem"]
    if problems:
        saw = "; ".join(f"{rule.code}: {found.saw}" for rule, found in problems)
        fix = tuple(str(step) for _, one in problems for step in one.fix)
        more = "all of it: ./bevready doctor --for build-ext. Or build anyway: --force"
        raise BuildError(f"the doctor found what stands in the way: {saw}", (*fix, more))


def _build_once(place: Place, plan: Plan, order: Order) -> tuple[Path, dict[str, Any], bool]:
    """Build under the lock; a rank that waited finds what the first one made."""
    begun = time.time()
    with locked(place, plan.key, lambda: order.tell("another process builds the same; waiting for it")):
        manifest = manifest_of(place, plan.key)
        if manifest and (not order.force or (place.ext / plan.key / LIBRARY).stat().st_mtime > begun):
            return place.ext / plan.key / LIBRARY, manifest, False
        with workshop(place, plan.key) as room:
            try:
                return _build(place, plan, order, room)
            except JobFailedError as why:
                raise _failure(place, plan, why) from why


def _build(place: Place, plan: Plan, order: Order, room: Path) -> tuple[Path, dict[str, Any], bool]:
    started = time.monotonic()

    def tell(done: Done) -> None:
        order.tell(f"{done.job.name}: {done.seconds:.1f} s")

    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    manifest: dict[str, Any] = {"key": plan.key, **plan.contents(), "built": now}
    library = compile_and_link(plan, room, manifest, tell)
    lacks = shortcomings(library, plan)
    if lacks:
        raise BuildError(f"the file that came out is not what was asked for: {'; '.join(lacks)}", (_report_it(),))
    manifest["proof"] = _prove(plan, order, library, room, tell)
    manifest["seconds"] = round(time.monotonic() - started, 1)
    manifest["size"] = library.stat().st_size
    manifest["sha256"] = hashlib.sha256(library.read_bytes()).hexdigest()
    final = publish(place, plan.key, library, manifest)
    _point(place, plan)
    with suppress(OSError):
        (place.ext / f"{plan.key}.log").unlink()
    return final, manifest, True


def _prove(plan: Plan, order: Order, library: Path, room: Path, tell: Callable[[Done], None]) -> dict[str, Any]:
    """Let a child process of the target interpreter load the file and compare it with the reference."""
    job = Job(
        "prove it against the reference",
        (plan.torch.python, "-B", str(order.proof), str(library), ",".join(plan.targets)),
        room / "proof.log",
    )
    try:
        run_all([job], tell)
    except JobFailedError as why:
        told = _last_json(why.log)
        if told.get("failures"):
            saw = f"the build does not agree with the reference: {'; '.join(map(str, told['failures']))}"
            raise BuildError(saw, ("the build before it stays in use", _report_it())) from why
        raise
    return _last_json(job.log.read_bytes())


def _last_json(log: bytes) -> dict[str, Any]:
    """Return the JSON document in the last line, empty where there is none."""
    for line in reversed(log.decode("utf-8", "replace").splitlines()):
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                return told
    return {}


def _failure(place: Place, plan: Plan, why: JobFailedError) -> BuildError:
    """Explain a failed step: the cause that the log names, else its first error; the whole log is kept."""
    path = place.ext / f"{plan.key}.log"
    path.write_bytes(why.log)
    cause = explain(why.log).cause
    text = why.log.decode("utf-8", "replace").strip().splitlines()
    first = next((at for at, line in enumerate(text) if "error" in line.lower()), max(0, len(text) - SHOWN_LINES))
    shown = text[first : first + SHOWN_LINES] or ["it said nothing"]
    saw = f"{why.job.name} failed (exit {why.code}): " + (str(cause.saw) if cause else shown[0])
    fix = tuple(map(str, cause.fix)) if cause else (f"python3 -m doctor explain {path}",)
    return BuildError(
        saw,
        (*fix, "until it builds, the reference runs: plain torch, slower"),
        log=str(path),
        words="\n".join(shown),
    )


def _report_it() -> str:
    return "this is a fault of bevready; ./bevready doctor --issue writes what to report"
