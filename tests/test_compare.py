"""The judgement on plain values: what counts as reproduced, and what may not be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.compare import compare
from tests.plain_run import FULL, TINY, VAL, measured

if TYPE_CHECKING:
    from repro.artifacts import DataReady, Metrics, Trained, Verdict
    from repro.recipe import Recipe


def judge(
    metrics: Metrics,
    *,
    data: DataReady = VAL,
    trained: Trained = FULL,
    smoke: bool = False,
    recipe: Recipe = TINY,
    processes: int = 8,
    released: bool = False,
) -> Verdict:
    as_published = replace(metrics, processes=processes)
    return compare(recipe, data=data, trained=trained, metrics=as_published, smoke=smoke, released=released)


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
        (
            judge(replace(measured(0.354, 0.252), samples=6018, samples_in_split=6018)),
            '"val" has 6018 samples here, the published one 6019 (v1.0-trainval)',
        ),
    ],
)
def test_a_run_under_other_conditions_is_not_comparable_and_says_why(verdict: Verdict, reason: str) -> None:
    assert verdict.outcome == "not comparable"
    assert any(reason in words for words in verdict.reasons)


def test_every_missing_condition_is_a_reason_of_its_own() -> None:
    verdict = judge(measured(0.1, 0.1), data=replace(VAL, synthetic=True), smoke=True)
    assert len(verdict.reasons) == 2


# -0.0042 is off by more than 0.003 and half a printed unit; each condition allows what it is known to do, and no more


def test_fewer_processes_at_evaluation_widen_the_tolerance_by_what_seven_cuts_can_cost() -> None:
    assert judge(measured(0.3498, 0.252), processes=8).outcome == "degraded"
    verdict = judge(measured(0.3498, 0.252), processes=1)
    assert verdict.outcome == "within noise"
    assert verdict.reasons[0] == (
        "NDS 0.3498 against 0.354 published: -0.0042, tolerance ±0.003, and ±0.0009 by the conditions"
    )
    assert verdict.reasons[1].startswith("processes at evaluation 1, published 8: allows ±0.0009")
    assert judge(measured(0.3494, 0.252), processes=1).outcome == "degraded"


def test_cuts_touch_no_more_frames_than_there_are() -> None:
    verdict = judge(replace(measured(0.354, 0.252), samples_in_split=2), processes=1)
    (cuts,) = (found for found in verdict.conditions if found.name == "processes at evaluation")
    assert cuts.allows == pytest.approx(0.069, abs=1e-4)  # what history is worth where no frame has any


def test_a_model_without_history_loses_nothing_at_a_cut() -> None:
    model = TINY.model.model_copy(update={"use_history": False})
    verdict = judge(measured(0.3498, 0.252), processes=1, recipe=TINY.model_copy(update={"model": model}))
    assert "processes at evaluation" not in [condition.name for condition in verdict.conditions]


def test_another_precision_widens_the_tolerance_by_the_distance_of_the_authors_own_pair() -> None:
    train = TINY.train.model_copy(update={"precision": "bf16-mixed"})
    verdict = judge(measured(0.359, 0.257), recipe=TINY.model_copy(update={"train": train}))
    assert verdict.outcome == "within noise"
    assert "precision bf16-mixed, published 32-true: allows ±0.0050" in verdict.reasons[2]
    assert judge(measured(0.359, 0.257)).outcome == "better"


def test_another_batch_is_named_and_excuses_nothing() -> None:
    verdict = judge(measured(0.318, 0.22), trained=replace(FULL, batch=4))
    assert verdict.outcome == "degraded"
    assert any("batch 4 clips, published 8 clips" in words and "#81" in words for words in verdict.reasons)
    assert [condition.allows for condition in verdict.conditions] == [0.0]


def test_a_changed_recipe_is_judged_and_every_changed_key_is_named() -> None:
    changed = TINY.model_copy(update={"optimizer": TINY.optimizer.model_copy(update={"lr": 1e-4})})
    verdict = judge(measured(0.354, 0.252), recipe=changed)
    assert (verdict.outcome, verdict.conditions[0].name) == ("reproduced", "recipe optimizer.lr")
    assert (verdict.conditions[0].published, verdict.conditions[0].here) == ("0.0002", "0.0001")


def test_a_published_number_edited_in_the_recipe_is_named() -> None:
    easy = TINY.model_copy(update={"expected": TINY.expected.model_copy(update={"nds": 0.3})})
    verdict = judge(measured(0.3, 0.252), recipe=easy)
    assert [condition.name for condition in verdict.conditions] == ["recipe expected.nds"]


def test_the_quirks_of_the_published_weights_are_no_change() -> None:
    model = TINY.model.model_copy(update={"quirks": TINY.model.quirks.released()})
    assert judge(measured(0.354, 0.252), recipe=TINY.model_copy(update={"model": model})).conditions == ()


def test_released_weights_have_a_tight_tolerance_for_nothing_was_drawn_at_random() -> None:
    as_they_are = replace(FULL, iterations=0)
    assert judge(measured(0.357, 0.252), trained=as_they_are).outcome == "reproduced"
    verdict = judge(measured(0.357, 0.252), trained=as_they_are, released=True)
    assert verdict.outcome == "better"
    assert verdict.comparisons[0].tolerance == 0.001


@settings(max_examples=50)  # each reads the recipe that comes with bevready
@given(
    nds=st.floats(0, 1),
    mean_ap=st.floats(0, 1),
    processes=st.integers(1, 16),
    batch=st.sampled_from([None, 1, 4, 8, 16]),
    released=st.booleans(),
)
def test_a_wider_tolerance_never_makes_a_verdict_worse(
    nds: float, mean_ap: float, processes: int, batch: int | None, *, released: bool
) -> None:
    trained = replace(FULL, batch=batch)
    strict = judge(measured(nds, mean_ap), trained=trained, processes=8, released=released)
    wide = judge(measured(nds, mean_ap), trained=trained, processes=processes, released=released)
    order = ("reproduced", "within noise", "better", "degraded")
    assert order.index(wide.outcome) <= order.index(strict.outcome)
    assert (strict.outcome == "reproduced") == (wide.outcome == "reproduced")
