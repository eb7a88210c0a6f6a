"""Part of a split is judged by its own truth, a whole one as the devkit does: on a data set that needs no licence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.nuscenes import NuScenes

from repro.data import open_nuscenes
from repro.evaluate.formatting import format_detections, write_results
from repro.evaluate.nuscenes import PROTOCOL, evaluate
from repro.recipe.schema import CAMERAS, CLASSES
from tests.data.small_nuscenes import VERSION
from tests.evaluate.truth import perfect_detections

if TYPE_CHECKING:
    from pathlib import Path


def small_results(small_root: Path, folder: Path, frames: list[int], *, blind: list[int]) -> Path:
    """Write the truth of some frames of scene-0061 as results, with nothing found in the `blind` ones."""
    index = open_nuscenes(small_root, VERSION, folder, channels=CAMERAS)
    entries = {
        index[i].token: [] if i in blind else format_detections(perfect_detections(index[i]), index[i], CLASSES)
        for i in frames
    }
    write_results(folder / "results.json", entries)
    return folder / "results.json"


def test_part_of_a_split_is_judged_by_its_own_truth(small_root: Path, tmp_path: Path) -> None:
    results = small_results(small_root, tmp_path, [0, 1], blind=[])
    metrics = evaluate(results, small_root, VERSION, "mini_train")
    assert (metrics.samples, metrics.samples_in_split) == (2, 4)
    # found in both frames: were the other two counted, no more than half could be recalled
    assert metrics.classes["car"].ap == pytest.approx(1.0)
    assert metrics.classes["pedestrian"].ap == pytest.approx(1.0)
    assert metrics.detections == sum(len(boxes) for boxes in json.loads(results.read_text())["results"].values())


def test_a_named_frame_without_detections_counts_as_missed(small_root: Path, tmp_path: Path) -> None:
    results = small_results(small_root, tmp_path, [0, 1], blind=[1])
    metrics = evaluate(results, small_root, VERSION, "mini_train")
    assert 0.3 < metrics.classes["car"].ap < 0.6  # half the recall: (0.5 − 0.1) / 0.9
    assert metrics.samples == 2


def test_a_whole_split_gives_the_devkits_own_numbers(small_root: Path, tmp_path: Path) -> None:
    results = small_results(small_root, tmp_path, [0, 1, 2, 3], blind=[2])
    ours = evaluate(results, small_root, VERSION, "mini_train")
    twin = DetectionEval(
        NuScenes(version=VERSION, dataroot=str(small_root), verbose=False),
        config=config_factory(PROTOCOL),
        result_path=str(results),
        eval_set="mini_train",
        output_dir=str(tmp_path),
        verbose=False,
    )
    theirs = twin.evaluate()[0].serialize()
    assert (ours.nds, ours.mean_ap, ours.errors) == (theirs["nd_score"], theirs["mean_ap"], theirs["tp_errors"])
    assert ours.samples == ours.samples_in_split == 4


def test_results_beside_the_partial_ones_leave_no_files(small_root: Path, tmp_path: Path) -> None:
    results = small_results(small_root, tmp_path, [0], blind=[])
    before = sorted(tmp_path.iterdir())
    evaluate(results, small_root, VERSION, "mini_train")
    assert sorted(tmp_path.iterdir()) == before
