"""The judgement and the report of a run on COCO: one figure against the published one, the others beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repro.artifacts import COCO_FIGURES, CocoMetrics, Trained, Verdict
from repro.compare import compare
from repro.recipe import load_detr_recipe
from repro.report import RunFacts, report
from tests.plain_run import DESK, FULL, VAL

PLAIN = load_detr_recipe("deformable_detr")
COCO = replace(VAL, dataset="coco", dataroot="/data/coco", version="2017", eval_split="val2017", scenes=None)
WHOLE = replace(FULL, epochs=50, iterations=50 * 3665, iterations_per_epoch=3665, batch=32, items="images")


def measured(ap: float, *, samples: int = 5000) -> CocoMetrics:
    return CocoMetrics(
        figures={**dict.fromkeys(COCO_FIGURES, 0.5), "AP": ap, "APl": None},
        classes={"person": 0.55, "toaster": None},
        eval_set="val2017",
        samples=samples,
        samples_in_split=5000,
        detections=500_000,
        results="results_coco.json",
        seconds=1.0,
    )


def judge(metrics: CocoMetrics, *, trained: Trained = WHOLE, smoke: bool = False) -> Verdict:
    return compare(PLAIN, data=COCO, trained=trained, metrics=metrics, smoke=smoke)


@pytest.mark.parametrize(("ap", "outcome"), [(0.445, "reproduced"), (0.40, "degraded"), (0.50, "better")])
def test_the_outcome_follows_from_the_average_precision(ap: float, outcome: str) -> None:
    assert judge(measured(ap)).outcome == outcome


def test_a_low_figure_is_named() -> None:
    (reason,) = judge(measured(0.40)).reasons
    assert reason.startswith("box AP 0.4000 against 0.445 published: -0.0450")


def test_part_of_the_images_is_not_comparable() -> None:
    verdict = judge(measured(0.445, samples=2))
    assert verdict.outcome == "not comparable"
    assert "evaluated 2 of the 5000 samples of the split" in verdict.reasons


def test_the_report_shows_cocos_figures_and_the_classes_that_were_there() -> None:
    metrics = measured(0.445)
    facts = RunFacts(
        machine=DESK,
        data=COCO,
        trained=WHOLE,
        metrics=metrics,
        verdict=judge(metrics),
        seconds={"train": 1.0},
        shortened=(),
        command="./bevready repro",
    )
    text = report(PLAIN, facts)
    assert "| box AP | **0.4450** | 0.445 | +0.0000 |" in text
    assert "| AP50 | 0.5000 |" in text
    assert "| APl | – |" in text
    assert "| person | 0.550 |" in text
    assert "toaster" not in text
    assert "COCO's evaluator on `val2017`: 5000 of 5000 images, 500000 boxes" in text
    assert "32 images each" in text
    assert "scenes" not in text
