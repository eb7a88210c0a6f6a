"""The judgement on plain values: what counts as reproduced, and what may not be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repro.compare import compare
from tests.plain_run import FULL, TINY, VAL, measured

if TYPE_CHECKING:
    from repro.artifacts import DataReady, Metrics, Trained, Verdict


def judge(metrics: Metrics, *, data: DataReady = VAL, trained: Trained = FULL, smoke: bool = False) -> Verdict:
    return compare(TINY.expected, TINY.schedule, data=data, trained=trained, metrics=metrics, smoke=smoke)


@pytest.mark.parametrize(
    ("nds", "mean_ap", "outcome"),
    [
        (0.354, 0.252, "reproduced"),
        (0.3574, 0.2486, "reproduced"),  # ± 0.003, and half a unit of the printed decimal
        (0.3504, 0.252, "degraded"),
        (0.3576, 0.252, "better"),
        (0.40, 0.20, "degraded"),  # one figure up does not excuse one figure down
    ],
)
def test_the_outcome_follows_from_both_figures_and_the_tolerance(nds: float, mean_ap: float, outcome: str) -> None:
    assert judge(measured(nds, mean_ap)).outcome == outcome


def test_a_degraded_run_names_the_figure_that_is_low() -> None:
    verdict = judge(measured(0.354, 0.2))
    assert verdict.reasons == ("mAP 0.2000 against 0.252 published: -0.0520, tolerance ±0.003",)


def test_a_released_checkpoint_is_compared_without_any_training() -> None:
    assert judge(measured(0.354, 0.252), trained=replace(FULL, iterations=0)).outcome == "reproduced"


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (judge(measured(0.354, 0.252), data=replace(VAL, synthetic=True)), "synthetic data"),
        (judge(measured(0.354, 0.252), smoke=True), "--smoke shortened every stage"),
        (judge(measured(0.354, 0.252, samples=6)), "evaluated 6 of the 6019 samples"),
        (judge(measured(0.354, 0.252, eval_set="mini_val")), 'evaluated on "mini_val"'),
        (judge(measured(0.354, 0.252), trained=replace(FULL, iterations=9)), "trained 9 of 84408 iterations"),
    ],
)
def test_a_run_under_other_conditions_is_not_comparable_and_says_why(verdict: Verdict, reason: str) -> None:
    assert verdict.outcome == "not comparable"
    assert any(reason in words for words in verdict.reasons)


def test_every_missing_condition_is_a_reason_of_its_own() -> None:
    verdict = judge(measured(0.1, 0.1), data=replace(VAL, synthetic=True), smoke=True)
    assert len(verdict.reasons) == 2
