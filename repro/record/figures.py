"""Whether the figures of an evaluation agree with each other: the benchmarks' own arithmetic, without any data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from repro.artifacts import CocoMetrics, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repro.artifacts import AnyMetrics

NEAR = 1e-9  # rounding of sums in another order
OF_THE_RUN = ("seconds", "processes", "results")  # not the evaluator's words


def contradictions(metrics: AnyMetrics) -> list[str]:
    """Return in words what does not add up in the figures: means that are no means, a score that is no sum."""
    sums = _of_coco(metrics) if isinstance(metrics, CocoMetrics) else _of_nuscenes(metrics)
    return [
        f"{name} is {said:.9f}, the figures below it give {follows:.9f}"
        for name, said, follows in sums
        if not math.isclose(said, follows, rel_tol=0, abs_tol=NEAR)
    ]


def differing(one: AnyMetrics, other: AnyMetrics) -> list[str]:
    """Return in words which figures of two evaluations of the same boxes differ by more than rounding."""
    left, right = (_leaves({k: v for k, v in asdict(m).items() if k not in OF_THE_RUN}) for m in (one, other))
    return [
        f"{name}: {left.get(name)} on record, {right.get(name)} now"
        for name in {**left, **right}
        if not _same(left.get(name), right.get(name))
    ]


def _of_nuscenes(metrics: Metrics) -> Iterator[tuple[str, float, float]]:
    """Yield name, value and what it follows from (spec §F.4)."""
    scores = [1 - min(1.0, error) for error in metrics.errors.values()]
    yield "NDS", metrics.nds, (5 * metrics.mean_ap + sum(scores)) / 10
    yield "mAP", metrics.mean_ap, _mean([row.ap for row in metrics.classes.values()])
    for name, row in metrics.classes.items():
        yield f"AP of {name}", row.ap, _mean(list(row.ap_at.values()))
    for error, value in metrics.errors.items():
        known = [found for row in metrics.classes.values() if (found := row.errors.get(error)) is not None]
        yield f"mean {error}", value, _mean(known)


def _of_coco(metrics: CocoMetrics) -> Iterator[tuple[str, float, float]]:
    known = [ap for ap in metrics.classes.values() if ap is not None]
    yield "AP", metrics.headline["box AP"], _mean(known)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _leaves(value: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {place: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _leaves(inner, f"{place}.{key}" if place else str(key))
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=0, abs_tol=NEAR)
    return bool(one == other)
