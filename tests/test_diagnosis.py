"""Wrong numbers by their figures: each known one is named, and healthy ones get nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repro.artifacts import TP_ERRORS, Diagnosis, Metrics, Trained
from repro.diagnosis import diagnose
from repro.recipe import Recipe, load_recipe
from repro.report import RunFacts, report
from tests.plain_run import DESK, FULL, TINY, VAL, measured
from tests.test_compare import judge

BASE, SMALL = load_recipe("bevformer_base"), load_recipe("bevformer_small")
JUDGED = replace(FULL, iterations=0, first_loss=None, last_loss=None)
TRAINED = replace(FULL, batch=8)
# base as published (spec §H.2): NDS, mAP, then mATE, mASE, mAOE, mAVE, mAAE
PUBLISHED = (0.517, 0.416, 0.673, 0.273, 0.370, 0.394, 0.197)


def seen(nds: float, mean_ap: float, *errors: float) -> Metrics:
    plain = measured(nds, mean_ap)
    return replace(plain, errors=dict(zip(TP_ERRORS, errors or PUBLISHED[2:], strict=True)), processes=8)


def seen_by(metrics: Metrics, processes: int) -> Metrics:
    return replace(metrics, processes=processes)


def names(recipe: Recipe, metrics: Metrics, trained: Trained = TRAINED) -> list[str]:
    return [found.name for found in diagnose(recipe, data=VAL, trained=trained, metrics=metrics)]


def released(recipe: Recipe) -> Recipe:
    model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.released()})
    return recipe.model_copy(update={"model": model})


@pytest.mark.parametrize("trained", [TRAINED, JUDGED])
@pytest.mark.parametrize(
    ("recipe", "figures"),
    [
        (BASE, PUBLISHED),
        (SMALL, (0.4787, 0.3700, 0.7212, 0.2792, 0.4065, 0.4364, 0.2201)),
        (TINY, (0.354, 0.252, 0.9, 0.29, 0.65, 0.65, 0.22)),
        (TINY, (0.352, 0.250, 0.9, 0.29, 0.65, 0.65, 0.22)),
    ],
)
def test_healthy_figures_get_no_diagnosis(recipe: Recipe, figures: tuple[float, ...], trained: Trained) -> None:
    assert names(recipe, seen_by(seen(*figures), 8), trained) == []


def test_headings_a_quarter_turn_off_are_info_files_of_the_other_convention() -> None:
    found = diagnose(BASE, data=VAL, trained=TRAINED, metrics=seen(0.411, 0.4166, 0.6725, 0.7, 1.56, 0.3936, 0.1975))
    assert [diagnosis.name for diagnosis in found] == ["boxes of another convention"]
    assert found[0].saw.startswith("NDS 0.411 (0.517 published), mAP 0.417 (0.416), but headings are 1.56 rad off")
    assert "mmdet3d >= 1.0" in found[0].cause
    assert "#24" in found[0].source


def test_headings_half_a_turn_off_are_reversed() -> None:
    assert names(BASE, seen(0.43, 0.416, 0.67, 0.27, 2.9, 0.39, 0.2)) == ["headings reversed"]


def test_wrong_sizes_alone_are_width_and_length_swapped() -> None:
    assert names(BASE, seen(0.47, 0.416, 0.67, 0.7, 0.37, 0.39, 0.2)) == ["width and length swapped"]


def test_tiny_at_batch_4_is_a_learning_rate_that_was_not_scaled() -> None:
    found = diagnose(TINY, data=VAL, trained=replace(FULL, batch=4), metrics=seen(0.318, 0.22))
    assert [diagnosis.name for diagnosis in found] == ["learning rate not scaled"]
    assert "trained with 4 clips an iteration, 8 were published" in found[0].saw
    assert "lr = 0.0001" in found[0].check


def test_weights_from_elsewhere_that_score_as_batch_4_does_are_suspected() -> None:
    assert names(released(TINY), seen(0.318, 0.22), JUDGED) == ["learning rate not scaled"]


def test_several_clips_a_process_under_upstreams_quirks_are_named() -> None:
    two = TINY.model_copy(update={"train": TINY.train.model_copy(update={"batch_per_gpu": 2, "gpus_assumed": 4})})
    assert names(two, seen(0.30, 0.21)) == ["several clips a process under upstream's quirks"]


def test_a_loss_that_stays_at_13_is_a_collapse() -> None:
    assert names(TINY, seen(0.03, 0.0), replace(TRAINED, last_loss=13.4)) == ["nothing found", "training collapsed"]


def test_a_score_of_nothing_is_weights_that_do_not_fit() -> None:
    assert names(TINY, seen(0.03, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0), JUDGED) == ["nothing found"]


def test_base_at_0459_is_the_report_that_nobody_resolved() -> None:
    assert names(released(BASE), seen(0.459, 0.36, 0.7, 0.28, 0.5, 0.5, 0.2), JUDGED) == ["base at 0.459"]


def test_speeds_far_off_are_a_history_that_was_not_used() -> None:
    assert names(BASE, seen(0.448, 0.375, 0.725, 0.272, 0.391, 0.802, 0.2)) == ["history not used"]


def test_published_weights_a_little_low_are_judged_under_later_code() -> None:
    assert names(TINY, seen(0.34, 0.245), JUDGED) == ["published weights under later code"]


def test_a_mini_split_is_named_with_what_the_authors_saw_there() -> None:
    on_mini = replace(seen(0.41, 0.357), eval_set="mini_val", samples=81, samples_in_split=81)
    found = diagnose(released(BASE), data=VAL, trained=JUDGED, metrics=on_mini)
    assert [diagnosis.name for diagnosis in found] == ["mini data set"]
    assert "on mini_val with 81 frames" in found[0].saw


def test_part_of_the_split_is_named_by_its_count() -> None:
    found = diagnose(TINY, data=VAL, trained=TRAINED, metrics=replace(seen(0.354, 0.252), samples_in_split=81))
    assert [diagnosis.name for diagnosis in found] == ["part of the split"]


def test_a_little_above_on_one_process_is_sequences_that_were_not_cut() -> None:
    assert names(TINY, seen_by(seen(0.359, 0.254), 1)) == ["sequences not cut"]
    assert names(TINY, seen_by(seen(0.359, 0.254), 8)) == []


def test_a_recipe_without_a_published_number_has_nothing_to_look_wrong_against() -> None:
    assert names(load_recipe("bevformer_nano"), seen(0.0, 0.0)) == []


def test_the_report_says_what_it_looks_like_what_may_be_the_cause_and_what_to_check() -> None:
    metrics = seen(0.318, 0.22)
    found = Diagnosis(name="a name", saw="figures", cause="a cause", check="a thing", source="somewhere")
    verdict = replace(judge(metrics), diagnoses=(found,))
    facts = RunFacts(
        machine=DESK,
        data=VAL,
        trained=TRAINED,
        metrics=metrics,
        verdict=verdict,
        seconds={},
        shortened=(),
        command="./bevready repro",
    )
    words = "**a name** (somewhere)\n\n- seen: figures\n- likely cause: a cause\n- check: a thing"
    assert words in report(TINY, facts)
    assert "What this looks like" not in report(TINY, replace(facts, verdict=judge(metrics)))
