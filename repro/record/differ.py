"""What two records disagree on, in the order in which it is likely to have moved the metric.

The order is knowledge, not measurement: a table of prefixes below, most telling first. What no row names comes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repro.record.schema import Record

# What stands in a record → how likely it moves the metric (0 most), and why. The longest matching prefix counts.
RANKS: tuple[tuple[str, int, str], ...] = (
    ("data.version", 0, "other frames are judged"),
    ("data.eval_split", 0, "other frames are judged"),
    ("data.synthetic", 0, "an invented street is no street"),
    ("smoke", 0, "every stage was shortened"),
    ("metrics.eval_set", 0, "other frames are judged"),
    ("metrics.samples", 0, "another number of frames is judged"),
    ("recipe.model", 1, "another network"),
    ("recipe.model.quirks", 1, "weights and code must share their quirks (spec §0)"),
    ("recipe.coder", 1, "other boxes are kept"),
    ("recipe.images", 1, "the network sees other pixels"),
    ("eval_only", 1, "one was trained, the other only judged"),
    ("trained.init", 1, "training started from other weights"),
    ("trained.iterations", 1, "trained longer or shorter"),
    ("files.start", 1, "training started from other weights"),
    ("data.fingerprint", 2, "other tables: other truth, other motion of the car"),
    ("data_files", 2, "other tables or images"),
    ("data.train_samples", 2, "more or fewer frames to learn from"),
    ("data.eval_samples", 2, "more or fewer frames to judge"),
    ("data.warnings", 2, "one lacked something of the data set"),
    ("recipe.optimizer", 2, "the learning rate and what it is multiplied with decide where training ends"),
    ("recipe.schedule", 2, "trained longer, shorter or on another curve"),
    ("recipe.losses", 2, "something else was learnt"),
    ("recipe.matcher", 2, "something else was learnt"),
    ("trained.batch", 2, "the learning rate belongs to a batch (BEVFormer #81: half the clips, NDS 0.318 for 0.354)"),
    ("recipe.augment", 3, "other variety in the images"),
    ("recipe.train.batch_per_gpu", 3, "the learning rate belongs to a batch"),
    ("recipe.train.precision", 3, "rounding: the authors' own pair is 0.005 apart"),
    ("numerics.precision", 3, "rounding: the authors' own pair is 0.005 apart"),
    ("recipe.eval", 4, "sequences are cut at other frames"),
    ("processes", 4, "other batch, other cuts between chunks"),
    ("metrics.processes", 4, "sequences are cut at other frames"),
    ("source.code.repro/models", 4, "the network's code is another"),
    ("source.code.repro/ops", 4, "the operators' code is another"),
    ("source.code.repro/data", 4, "the code that reads data is another"),
    ("source.code.repro/train", 4, "the code that trains is another"),
    ("source.code.repro/evaluate", 4, "the code that judges is another"),
    ("stack.packages.nuscenes-devkit", 4, "the evaluator is another"),
    ("stack.packages.faster-coco-eval", 4, "the evaluator is another"),
    ("extension", 5, "another operator: equal up to rounding, as proved when it was built"),
    ("machine.op", 5, "another operator: equal up to rounding"),
    ("stack.packages.torch", 5, "other kernels: rounding"),
    ("numerics.tf32", 5, "ten bits of mantissa in products"),
    ("numerics", 5, "other bits: noise of another draw"),
    ("recipe.train.seed", 5, "another draw: seeds are some 0.003 apart"),
    ("trained.sha256", 5, "other weights, as follows from what stands above, or from a draw"),
    ("machine.device", 6, "other kernels: rounding"),
    ("stack", 7, "what is installed"),
    ("container", 7, "another image"),
    ("source", 7, "other code"),
    ("machine", 8, "another machine"),
    ("recipe", 8, "said otherwise in the recipe"),
)
LAST = 9, "no effect on the metric is known"
LIKELY = ("decides what is measured", "decides", "large", "some", "some", "noise", "noise", "little", "little", "none")
CONSEQUENCES = ("metrics.", "verdict", "trained.first_loss", "trained.last_loss", "stages", "files", "gate", "command")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two records disagree on; `rank` is 0 for what decides the metric, 9 for what cannot touch it."""

    rank: int
    likely: str
    name: str
    one: str
    other: str
    why: str


def differ(one: Record, other: Record) -> tuple[Difference, ...]:
    """Return what the records disagree on, the likeliest to have moved the metric first; consequences are left out."""
    left, right = (dict(_leaves(_table(record))) for record in (one, other))
    names = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    found = [
        _difference(name, left.get(name), right.get(name))
        for name in names
        if rank_of(name)[0] < LAST[0] or not name.startswith(CONSEQUENCES)
    ]
    return tuple(sorted(found, key=lambda difference: (difference.rank, difference.name)))


def figures(one: Record, other: Record) -> dict[str, tuple[float | None, float | None]]:
    """Return the headline figures of both, None where one of them has no such figure."""
    left, right = one.metrics.headline, other.metrics.headline
    return {name: (left.get(name), right.get(name)) for name in {**left, **right}}


def rank_of(name: str) -> tuple[int, str]:
    """Return the rank of a dotted name, and why."""
    fits = [row for row in RANKS if name == row[0] or name.startswith((f"{row[0]}.", f"{row[0]}_"))]
    if not fits:
        return LAST
    _, rank, why = max(fits, key=lambda row: len(row[0]))
    return rank, why


def _table(record: Record) -> dict[str, Any]:
    """Return the record with its files by role, so that another order is no difference."""
    table = record.lasting()
    start = record.file("start")
    table["files"] = {"start": start.sha256 if start else None}
    table["data_files"] = {
        kind: {file["path"]: file["sha256"] for file in table["data_files"][kind]} for kind in ("tables", "images")
    }
    return table


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, str(value)


def _difference(name: str, one: str | None, other: str | None) -> Difference:
    rank, why = rank_of(name)
    return Difference(rank, LIKELY[rank], name, _short(one), _short(other), why)


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if len(value) <= 60 else f"{value[:57]}…"
