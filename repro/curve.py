"""Is a short training on the way? Its losses beside those that the authors' training logged, or beside its own start.

Both are laid over the number of items seen (clips, images), so that another batch meets the same place of the curve.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LARGEST_LOG = 256 << 20  # bytes
WINDOWS = 10  # in which the two curves are compared
OUTSIDE = 0.2  # share of the windows that may lie outside the band
SIGMAS, SLACK = 3.0, 0.1  # the band: standard errors of both means, and a tenth of the authors' mean for another draw
FEWEST = 10  # logged iterations that make a curve


class LogError(ValueError):
    """A training log that cannot be read; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Point:
    """The total loss after `items` clips or images were seen."""

    items: float
    loss: float


@dataclass(frozen=True, slots=True)
class CurveVerdict:
    """Whether a curve is on the way (None where it is too short to tell), and why."""

    healthy: bool | None
    reasons: tuple[str, ...]


def read_released_log(path: Path, *, batch: int, per_epoch: int) -> list[Point]:
    """Return the losses of an mmdet log (`*.log.json`): one JSON object a line, with mode, epoch, iter and loss.

    `batch` and `per_epoch` are those of the training that wrote it. Lines of other kinds, and lines cut short, are
    passed over. Raises LogError for a file without a single loss.
    """
    try:
        if path.stat().st_size > LARGEST_LOG:
            raise LogError(f"{path}: {path.stat().st_size} bytes; a training log has at most {LARGEST_LOG}")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; name the authors' *.log.json with --log FILE") from error
    points = [point for line in lines if (point := _point(line, batch, per_epoch)) is not None]
    if not points:
        raise LogError(
            f'{path}: no line with "mode": "train", an epoch, an iter and a loss; expected mmdet\'s *.log.json'
        )
    return sorted(points, key=lambda point: point.items)


def _point(line: str, batch: int, per_epoch: int) -> Point | None:
    try:
        row: Any = json.loads(line)
        if row["mode"] != "train":
            return None
        epoch, iteration, loss = int(row["epoch"]), int(row["iter"]), float(row["loss"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if epoch < 1 or iteration < 1 or not math.isfinite(loss):
        return None
    return Point(float(((epoch - 1) * per_epoch + iteration) * batch), loss)


def judge_curve(ours: Sequence[Point], theirs: Sequence[Point] | None) -> CurveVerdict:
    """Say whether the losses of a short training are where they should be; `theirs` are the authors'."""
    if not all(math.isfinite(point.loss) for point in ours):
        return CurveVerdict(healthy=False, reasons=("the loss is not finite",))
    if len(ours) < FEWEST:
        return CurveVerdict(healthy=None, reasons=(f"{len(ours)} logged iterations are no curve; {FEWEST} are",))
    return _beside_its_start(ours) if theirs is None else _beside_theirs(ours, theirs)


def _beside_its_start(ours: Sequence[Point]) -> CurveVerdict:
    fifth = max(1, len(ours) // 5)
    first, last = (_mean([point.loss for point in part]) for part in (ours[:fifth], ours[-fifth:]))
    words = f"the loss went from {first:.3f} to {last:.3f} (means of the first and last fifth)"
    return CurveVerdict(healthy=last < first, reasons=(words, "no log of the authors to compare with (--log FILE)"))


def _beside_theirs(ours: Sequence[Point], theirs: Sequence[Point]) -> CurveVerdict:
    end = min(ours[-1].items, theirs[-1].items)
    seen, outside = 0, []
    for number in range(WINDOWS):
        low, high = end * number / WINDOWS, end * (number + 1) / WINDOWS
        mine, known = ([p.loss for p in points if low < p.items <= high] for points in (ours, theirs))
        if not mine or not known:
            continue
        seen += 1
        apart = _mean(mine) - _mean(known)
        if abs(apart) > SIGMAS * math.hypot(_error(mine), _error(known)) + SLACK * abs(_mean(known)):
            outside.append(f"{_mean(mine):.3f} where the authors' is {_mean(known):.3f}, after {high:.0f} items")
    if not seen:
        return CurveVerdict(healthy=None, reasons=("the two logs have no place of the curve in common",))
    words = f"{seen - len(outside)} of {seen} windows lie in the band of the authors' log"
    return CurveVerdict(healthy=len(outside) <= OUTSIDE * seen, reasons=(words, *outside[:3]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _error(values: Sequence[float]) -> float:
    """Return the standard error of the mean; of a single value, nothing is known: 0."""
    if len(values) < 2:
        return 0.0
    mean = _mean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
