"""The figures of README.md are those of the result files and recipes that it names; README.zh.md has the same ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from repro.recipe import load_recipe
from tests.docs.pages import ROOT, tables, text_of

RESULTS = ROOT / "repro" / "bench" / "results"


def row_of(words: str) -> str:
    """Return the one row of README.md's tables that has these words in it."""
    rows = [" | ".join(row) for table in tables(text_of(ROOT / "README.md")) for row in table[1:]]
    (found,) = (row for row in rows if words in row)
    return found


def result(name: str) -> Any:
    return json.loads(text_of(RESULTS / f"{name}.json"))


@pytest.mark.parametrize(
    ("steps", "words"), [("forward", "forward {}×"), ("forward+backward", "forward and backward {}×")]
)
def test_the_speed_of_the_operators_is_the_recorded_one(steps: str, words: str) -> None:
    row = row_of("speed in float32")
    (kept,) = (line for line in result("ops-cpu")["summary"] if line["pass"] == steps)
    assert words.format(kept["ratio"]) in row
    assert f"{kept['memory_ratio']:.2f}×" in row


def test_what_was_learnt_by_heart_is_the_recorded_run() -> None:
    kept, row = result("overfit"), row_of("four images learnt by heart")
    assert f"box AP {kept['box_ap']['learnt']} ({kept['box_ap']['untrained']} untrained)" in row
    assert f"after {kept['iterations']} iterations, {kept['seconds'] / 60:.0f} min" in row


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("tiny", "a tiny frame with history"),
        ("base", "a base frame with history"),
        ("step", "a tiny training step"),
    ],
)
def test_the_cost_of_a_frame_is_the_recorded_one(case: str, words: str) -> None:
    (kept,) = (found for found in result("frame")["cases"] if found["case"] == case)
    row = row_of(words)
    assert f" {kept['ratio_median']:.2f} " in row
    assert f"{kept['ratio_min']:.2f} to {kept['ratio_max']:.2f}" in row


def test_what_was_learnt_of_streets_is_the_recorded_runs() -> None:
    kept, row = result("learning"), row_of("trained on 8 synthetic streets")
    means, (low, high) = kept["map_mean"], kept["map_spread"]["learnt"]
    assert f"mAP {means['learnt']:.3f} ({len(kept['runs']['learnt'])} seeds, {low:.3f} to {high:.3f})" in row
    assert f"shown another street {means['blind']:.3f}" in row
    assert f"do not fit {means['mismatched']:.3f}, untrained {means['untrained']:.3f}" in row
    minutes = [run["last_call_s"] / 60 for run in kept["runs"]["learnt"]]
    assert f"in {min(minutes):.0f} to {max(minutes):.0f} min" in row


def test_as_many_killed_runs_ended_the_same_as_recorded() -> None:
    kept = result("kills")
    assert f"{kept['same']} of {kept['count']} smoke runs, killed with SIGKILL" in text_of(ROOT / "README.md")
    assert all(trial["accepted"] for trial in kept["trials"])


def test_the_judges_are_as_far_apart_as_recorded() -> None:
    kept, row = result("coco_judges"), row_of("faster-coco-eval, in units")
    assert f"{kept['boxes']['found']:,} random boxes" in row
    assert f"1/{kept['ratio']:.0f} of the processor time" in row
    assert f"equal to {kept['largest_difference']:.0e}" in row


def test_the_published_figures_are_the_recipes() -> None:
    expected = load_recipe("bevformer_tiny").expected
    assert expected is not None
    assert f"NDS {expected.nds:.3f}, mAP {expected.map:.3f}" in row_of("nuScenes val")
