"""The report says what the values say, in words that cannot be taken for more than they are."""

from __future__ import annotations

from dataclasses import replace

from repro.compare import compare
from repro.report import SYNTHETIC, RunFacts, report
from tests.plain_run import DESK, FULL, TINY, VAL, measured


def facts(*, synthetic: bool = False, smoke: bool = False, iterations: int = FULL.iterations) -> RunFacts:
    data = replace(VAL, synthetic=synthetic, warnings=("no CAN bus: zeros instead",) if synthetic else ())
    trained = replace(FULL, iterations=iterations)
    metrics = measured(0.3551, 0.2515)
    verdict = compare(TINY, data=data, trained=trained, metrics=metrics, smoke=smoke)
    return RunFacts(
        machine=DESK,
        data=data,
        trained=trained,
        metrics=metrics,
        verdict=verdict,
        seconds={"data": 61.0, "train": 7300.0, "evaluate": None},
        shortened=("training: 3 of 84408 iterations",) if smoke else (),
        command="./bevready repro --recipe bevformer_tiny",
    )


def test_the_verdict_stands_first() -> None:
    lines = report(TINY, facts()).splitlines()
    assert lines[0].startswith("# BEVFormer-tiny")
    assert lines[2] == "**REPRODUCED**: the published number reproduces within its tolerance."


def test_measured_and_published_figures_stand_side_by_side() -> None:
    text = report(TINY, facts())
    assert "| NDS | **0.3551** | 0.354 | +0.0011 | ±0.003 |" in text
    assert "| mAP | **0.2515** | 0.252 | -0.0005 | ±0.003 |" in text
    assert "BEVFormer README, model zoo" in text


def test_an_error_that_the_benchmark_does_not_define_is_a_dash_not_a_zero() -> None:
    row = next(line for line in report(TINY, facts()).splitlines() if line.startswith("| traffic_cone"))
    assert row == "| traffic_cone | 0.350 | 0.200 | 0.300 | 0.400 | 0.500 | 0.700 | 0.300 | – | – | – |"


def test_synthetic_figures_are_labelled_wherever_they_appear() -> None:
    text = report(TINY, facts(synthetic=True))
    assert "**NOT COMPARABLE**" in text
    assert f"## Result ({SYNTHETIC})" in text
    assert f"## By class ({SYNTHETIC})" in text
    assert "- note: no CAN bus: zeros instead" in text
    assert SYNTHETIC not in report(TINY, facts())


def test_a_smoke_run_names_what_it_shortened() -> None:
    assert "## Shortened by --smoke\n\n- training: 3 of 84408 iterations" in report(TINY, facts(smoke=True))
    assert "Shortened" not in report(TINY, facts())


def test_a_run_without_training_says_so() -> None:
    assert "No training: torchvision." in report(TINY, facts(iterations=0))


def test_times_are_told_for_people_and_a_stage_that_did_not_run_says_so() -> None:
    text = report(TINY, facts())
    assert "| train | 2 h 2 min |" in text
    assert "| evaluate | not run |" in text


def test_the_machine_and_the_doctor_are_on_record() -> None:
    text = report(TINY, facts())
    assert "| device | Some Processor (`cpu`), precision 32-true, TF32 off |" in text
    assert "- note GPU01: no NVIDIA GPU" in text
