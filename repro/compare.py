"""The judgement: a measured number beside the published one, and whether the two may be compared at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.artifacts import Comparison, Verdict

if TYPE_CHECKING:
    from repro.artifacts import AnyMetrics, DataReady, Trained
    from repro.recipe import CocoExpected, Expected, Schedule, StepSchedule

ROUNDING = 0.0005  # published tables print one decimal of a percentage: half a unit of it


def compare(
    expected: Expected | CocoExpected,
    schedule: Schedule | StepSchedule,
    *,
    data: DataReady,
    trained: Trained,
    metrics: AnyMetrics,
    smoke: bool,
) -> Verdict:
    """Return how `metrics` stand against the published figures.

    "not comparable" as soon as one condition of the published run is missing; each missing one is a reason.
    """
    measured = metrics.headline
    comparisons = tuple(
        Comparison(metric=name, published=value, measured=measured[name], tolerance=expected.tolerance)
        for name, value in expected.published.items()
        if value is not None
    )
    unfair = _why_not_comparable(expected, schedule, data=data, trained=trained, metrics=metrics, smoke=smoke)
    if unfair:
        return Verdict(outcome="not comparable", reasons=unfair, comparisons=comparisons, source=expected.source)
    limit = expected.tolerance + ROUNDING
    below = [c for c in comparisons if c.difference < -limit]
    above = [c for c in comparisons if c.difference > limit]
    if below:
        return Verdict(
            outcome="degraded", reasons=tuple(map(_words, below)), comparisons=comparisons, source=expected.source
        )
    if above:
        return Verdict(
            outcome="better", reasons=tuple(map(_words, above)), comparisons=comparisons, source=expected.source
        )
    return Verdict(
        outcome="reproduced", reasons=tuple(map(_words, comparisons)), comparisons=comparisons, source=expected.source
    )


def _why_not_comparable(
    expected: Expected | CocoExpected,
    schedule: Schedule | StepSchedule,
    *,
    data: DataReady,
    trained: Trained,
    metrics: AnyMetrics,
    smoke: bool,
) -> tuple[str, ...]:
    whole = trained.iterations_per_epoch * schedule.epochs
    from_outside = trained.iterations == 0
    conditions = (
        (data.synthetic, "synthetic data: not comparable with published numbers"),
        (smoke, "--smoke shortened every stage"),
        (not any(value is not None for value in expected.published.values()), "the recipe names no published number"),
        (
            metrics.eval_set != expected.split,
            f'evaluated on "{metrics.eval_set}", the published number is of "{expected.split}"',
        ),
        (
            metrics.samples != metrics.samples_in_split,
            f"evaluated {metrics.samples} of the {metrics.samples_in_split} samples of the split",
        ),
        (
            not from_outside and trained.iterations < whole,
            f"trained {trained.iterations} of {whole} iterations",
        ),
    )
    return tuple(words for unfair, words in conditions if unfair)


def _words(comparison: Comparison) -> str:
    return (
        f"{comparison.metric} {comparison.measured:.4f} against {comparison.published:.3f} published: "
        f"{comparison.difference:+.4f}, tolerance ±{comparison.tolerance:.3f}"
    )
