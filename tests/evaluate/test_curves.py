"""The curves that the judges leave are the ones their figures come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.artifacts import PrecisionCurves
from repro.data import open_nuscenes
from repro.evaluate.coco import class_curves, class_precision
from repro.evaluate.curves import read_curves, write_curves
from repro.evaluate.formatting import format_detections, write_results
from repro.evaluate.nuscenes import evaluate
from repro.recipe.schema import CAMERAS, CLASSES
from tests.evaluate.truth import perfect_detections

if TYPE_CHECKING:
    from pathlib import Path

LOWEST_RECALL, LOWEST_PRECISION = 0.1, 0.1  # detection_cvpr_2019


def test_average_precision_of_nuscenes_follows_from_the_curves(synth_root: Path, tmp_path: Path) -> None:
    record = open_nuscenes(synth_root, "v1.0-mini", tmp_path, channels=CAMERAS).split("mini_val")[0]
    detections = perfect_detections(record)
    detections.boxes[::2, 0] += 1.5  # every other one too far for the nearest two thresholds
    write_results(tmp_path / "results.json", {record.token: format_detections(detections, record, CLASSES)})
    metrics = evaluate(tmp_path / "results.json", synth_root, "v1.0-mini", "mini_val", curves=tmp_path / "curves.json")
    curves = read_curves(tmp_path / "curves.json")
    assert curves is not None
    assert curves.unit == "m"
    compared = 0
    for name, by_distance in curves.classes.items():
        for distance, values in by_distance.items():
            beyond = np.array(values)[round(100 * LOWEST_RECALL) + 1 :]
            ap = np.clip(beyond - LOWEST_PRECISION, 0, None).mean() / (1 - LOWEST_PRECISION)
            assert metrics.classes[name].ap_at[distance] == pytest.approx(ap, abs=2e-5)
            compared += 0 < ap < 1
    assert compared > 2


@given(st.integers(0, 2**32 - 1))
def test_average_precision_of_coco_is_the_mean_of_its_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    precision = rng.random((10, 101, 80, 1, 1))
    absent = rng.random(80) < 0.5
    precision[:, :, absent] = -1
    curves, means = class_curves(precision), class_precision(precision)
    known = {name: mean for name, mean in means.items() if mean is not None}
    assert set(curves.classes) - {"all classes"} == set(known)
    for name, mean in known.items():
        assert np.mean(curves.classes[name]["0.5 to 0.95"]) == pytest.approx(mean)
    if known:
        average = sum(known.values()) / len(known)
        assert np.mean(curves.classes["all classes"]["0.5 to 0.95"]) == pytest.approx(average)


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"unit": "m", "classes": {"car": [1]}}', b"\xff"])
def test_curves_that_are_gone_or_damaged_are_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "curves.json").write_bytes(content)
    assert read_curves(tmp_path / "curves.json") is None


def test_curves_come_back_as_they_were_written(tmp_path: Path) -> None:
    curves = PrecisionCurves(unit="IoU", classes={"cat": {"0.5": (1.0, 0.25, 0.0)}})
    write_curves(tmp_path / "curves.json", curves)
    assert read_curves(tmp_path / "curves.json") == curves
