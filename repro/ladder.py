"""The gate ladder: released weights, golden outputs, a short training, the full one; each on what the one below said.

A gate that fails ends the climb: what stands above it would cost days and could only fail, too. A gate that is not
possible here (no weights, no golden outputs) says so and lets pass. Each gate has a run folder of its own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts import GATES, DataReady, GateVerdict, Trained
from repro.atomic import digest, source_digest, write_json
from repro.curve import Point, judge_curve, read_released_log
from repro.parity.golden import GoldenError, GoldenSet
from repro.parity.run import find_cases, run_cases
from repro.pipeline import reproduce
from repro.recipe import Recipe
from repro.recipe.files import FOLDER, weight_files
from repro.train.log import LOSSES, read_losses
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric import Fabric

    from repro.job import Job
    from repro.rundir import RunDir

HERE = Path(__file__).resolve().parent
SHORT = 1000  # iterations
PASSED = {"reproduced", "within noise"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What a climb needs: the job as typed, its folder (a run folder for each gate below), and how far up.

    `log` is the authors' training log, `golden` a folder of outputs of their code, `weights` where released ones lie.
    """

    job: Job
    folder: Path
    fabric: Fabric
    top: str
    open_folder: Callable[[Path], RunDir]
    say: Callable[[str], None]
    iterations: int = SHORT
    log: Path | None = None
    golden: Path | None = None
    weights: Path = FOLDER


def climb(asked: Climb) -> tuple[GateVerdict, ...]:
    """Climb up to `asked.top` and return what each gate said, lowest first; the last one may have ended the climb.

    All processes climb together. `gates.json` in the folder holds the same. Raises the errors of the stages.
    """
    if asked.log:
        read_released_log(asked.log, batch=1, per_epoch=1)  # a log that cannot be read is said before hours of training
    said: tuple[GateVerdict, ...] = ()
    for gate in GATES[: GATES.index(asked.top) + 1]:
        asked.say(f"gate {gate}")
        said += (STEPS[gate](asked, said),)
        if said[-1].outcome == "failed":
            break
    document = {"schema_version": 1, "gates": [asdict(verdict) for verdict in said]}
    from_first(asked.fabric, lambda: write_json(asked.folder / "gates.json", document))
    return said


def _released(asked: Climb, said: tuple[GateVerdict, ...]) -> GateVerdict:
    """Have the published weights judged, under the quirks they were trained with: nothing in it is left to chance."""
    name = asked.job.recipe.name
    known = [asked.weights / entry.file for entry in weight_files(name) if entry.role == "released"]
    weights = asked.job.checkpoint or next((path for path in known if path.is_file()), None)
    if weights is None:
        way = f"./bevready weights --recipe {name} --fetch" if known else "none were published for this recipe"
        return _verdict("released", None, (f"no released weights here: {way}, or --checkpoint FILE",))
    recipe = asked.job.recipe
    if isinstance(recipe, Recipe):
        model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.released()})
        recipe = recipe.model_copy(update={"model": model})
    return _run(asked, "released", said, recipe=recipe, checkpoint=weights, eval_only=True)


def _golden(asked: Climb, said: tuple[GateVerdict, ...]) -> GateVerdict:  # noqa: ARG001 — a row of the table
    """Compare our maths with the authors' outputs, unless that was done with this code and these outputs."""
    folder = asked.golden
    if folder is None:
        return _verdict("golden", None, ("no golden outputs of the authors' code here: name them with --golden DIR",))

    def judged() -> GateVerdict:
        golden, names = GoldenSet(folder), find_cases(folder)
        results, _ = run_cases(golden, names, quiet=True)
        failed = [result.name for result in results if not result.ok]
        words = f"{len(results) - len(failed)} of {len(results)} cases agree with the authors' code"
        return _verdict("golden", not failed if results else None, (words, *(f"{name} differs" for name in failed)))

    try:
        files = {path.name: path.stat().st_size for path in sorted(folder.rglob("*.npz"))}
        rooms = ("ops", "models", "train", "data", "parity")
        key = {f"code of repro/{room}": source_digest(HERE / room) for room in rooms} | {"golden": digest(files)}
        with asked.open_folder(asked.folder / "golden") as run:
            return from_first(asked.fabric, lambda: run.step("golden", GateVerdict, key, judged))
    except GoldenError as error:
        return _verdict("golden", None, (str(error),))


def _short(asked: Climb, said: tuple[GateVerdict, ...]) -> GateVerdict:
    """Train for a while and look at the losses: a doomed training is doomed on its first day."""
    job = replace(asked.job, checkpoint=None, limit=asked.iterations, gate="short", gates=said, last_stage="train")
    folder = asked.folder / "short"
    with asked.open_folder(folder) as run:
        reproduce(job, run, asked.fabric, say=asked.say)
        data = from_first(asked.fabric, lambda: run.load("data", DataReady))
        trained = from_first(asked.fabric, lambda: run.load("train", Trained))
    published = job.recipe.train.batch_per_gpu * job.recipe.train.gpus_assumed
    batch = trained.batch or published
    ours = [Point((row["iteration"] + 1) * batch, row["loss"]) for row in read_losses(folder / "train" / LOSSES)]
    per_epoch = math.ceil(data.train_samples / published)
    theirs = read_released_log(asked.log, batch=published, per_epoch=per_epoch) if asked.log else None
    curve = judge_curve(ours, theirs)
    return _verdict("short", curve.healthy, curve.reasons, run="short")


def _full(asked: Climb, said: tuple[GateVerdict, ...]) -> GateVerdict:
    """Train and judge as published; what the lower gates said is what the result is read by."""
    verdict = _run(asked, "full", said, checkpoint=None)
    return verdict if verdict.outcome != "failed" else replace(verdict, reasons=(*verdict.reasons, *_suspects(said)))


def _suspects(said: tuple[GateVerdict, ...]) -> list[str]:
    """Return what the lower gates leave as causes of a full training that fell short."""
    cleared = {
        "released": "the evaluation (released weights give the published number here)",
        "golden": "the maths (it agrees with the authors' outputs)",
        "short": "the start of the training (its losses are where they should be)",
    }
    passed = [words for gate, words in cleared.items() if any(v.gate == gate and v.outcome == "passed" for v in said)]
    return [f"not the cause: {words}" for words in passed]


def _run(asked: Climb, gate: str, said: tuple[GateVerdict, ...], **changes: object) -> GateVerdict:
    """Run the whole story for a gate, in its folder, and return what its verdict means for the ladder."""
    job = replace(asked.job, gate=gate, gates=said, last_stage="report", **changes)  # type: ignore[arg-type]
    with asked.open_folder(asked.folder / gate) as run:
        verdict = reproduce(job, run, asked.fabric, say=asked.say)
    assert verdict is not None, "the last stage is the report"
    good = PASSED if gate == "released" else {*PASSED, "better"}  # the same weights have no reason to be better
    passed = None if verdict.outcome == "not comparable" else verdict.outcome in good
    return _verdict(gate, passed, (verdict.outcome, *verdict.reasons), run=gate)


def _verdict(gate: str, passed: bool | None, reasons: tuple[str, ...], run: str | None = None) -> GateVerdict:  # noqa: FBT001 — what it is about
    outcomes = {True: "passed", False: "failed", None: "not possible"}
    return GateVerdict(gate=gate, outcome=outcomes[passed], reasons=reasons, run=run)  # type: ignore[arg-type]


STEPS: dict[str, Callable[[Climb, tuple[GateVerdict, ...]], GateVerdict]] = {
    "released": _released,
    "golden": _golden,
    "short": _short,
    "full": _full,
}
