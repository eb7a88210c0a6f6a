"""The official evaluator scores whole and partial result files, and every bad one gets a sentence."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.nuscenes import NuScenes

from repro.data import FrameRecord, open_nuscenes
from repro.evaluate.formatting import format_detections, write_results
from repro.evaluate.official import EvaluationError, official_metrics
from repro.recipe.schema import CAMERAS, CLASSES
from tests.data.small_nuscenes import write_small_nuscenes
from tests.evaluate.truth import perfect_detections

if TYPE_CHECKING:
    from pathlib import Path

VERSION, PROTOCOL = "v1.0-mini", "detection_cvpr_2019"


@pytest.fixture(scope="module")
def dataroot(shared_dir: Path) -> Path:
    return shared_dir / "nuscenes_one_frame"


@pytest.fixture(scope="module")
def record(dataroot: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameRecord:
    return open_nuscenes(dataroot, VERSION, tmp_path_factory.mktemp("cache"), channels=CAMERAS)[0]


@pytest.mark.shared
def test_ground_truth_fed_back_gives_the_known_map(dataroot: Path, record: FrameRecord, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    write_results(results, {record.token: format_detections(perfect_detections(record), record, CLASSES)})
    metrics = official_metrics(results, dataroot, VERSION, "mini_train", protocol=PROTOCOL)
    assert metrics.mean_ap == pytest.approx(0.4943, abs=5e-5)
    assert (metrics.samples, metrics.samples_in_split, metrics.eval_set) == (1, 1, "mini_train")
    assert metrics.classes["car"].ap_at.keys() == {"0.5", "1.0", "2.0", "4.0"}
    assert metrics.classes["traffic_cone"].errors["orient_err"] is None
    assert metrics.classes["barrier"].errors["orient_err"] == pytest.approx(0, abs=1e-6)
    assert metrics.errors["vel_err"] == 1.0


@pytest.mark.shared
def test_with_the_annotated_attributes_it_gives_the_known_nds(
    dataroot: Path, record: FrameRecord, tmp_path: Path
) -> None:
    tables = NuScenes(version=VERSION, dataroot=str(dataroot), verbose=False)
    names = {row["token"]: row["name"] for row in tables.attribute}
    attributes = {
        tuple(row["translation"]): names[row["attribute_tokens"][0]]
        for row in tables.sample_annotation
        if row["attribute_tokens"]
    }
    entries = format_detections(perfect_detections(record), record, CLASSES)
    for entry in entries:
        nearest = [name for place, name in attributes.items() if entry["translation"] == pytest.approx(place, abs=1e-3)]
        entry["attribute_name"] = nearest[0] if nearest else ""
    write_results(tmp_path / "results.json", {record.token: entries})
    metrics = official_metrics(tmp_path / "results.json", dataroot, VERSION, "mini_train", protocol=PROTOCOL)
    assert metrics.nds == pytest.approx(0.4291, abs=5e-5)  # the frame's README


@pytest.mark.shared
def test_no_detections_score_zero(dataroot: Path, record: FrameRecord, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", {record.token: []})
    metrics = official_metrics(tmp_path / "results.json", dataroot, VERSION, "mini_train", protocol=PROTOCOL)
    assert (metrics.mean_ap, metrics.nds, metrics.detections) == (0.0, 0.0, 0)


@pytest.mark.shared
def test_a_split_without_annotations_is_refused(dataroot: Path, record: FrameRecord, tmp_path: Path) -> None:
    shutil.copytree(dataroot / VERSION, tmp_path / VERSION)
    shutil.copytree(dataroot / "maps", tmp_path / "maps")
    (tmp_path / VERSION / "sample_annotation.json").chmod(0o644)
    (tmp_path / VERSION / "sample_annotation.json").write_text("[]")
    write_results(tmp_path / "results.json", {record.token: []})
    with pytest.raises(EvaluationError, match=r"no annotated box of the ten classes in mini_train of .*; choose"):
        official_metrics(tmp_path / "results.json", tmp_path, VERSION, "mini_train", protocol=PROTOCOL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"results.json: no such file; write it again with --stage eval"),
        ("{", r"results.json: damaged \(.*\); write it again"),
        ("[]", r"results.json: not a nuScenes result file .*; write it again"),
        ('{"meta": {}, "results": []}', r"results.json: not a nuScenes result file"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        official_metrics(tmp_path / "results.json", tmp_path, VERSION, "mini_val", protocol=PROTOCOL)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, r"names no sample, and mini_train has 1 here; evaluate at least one frame"),
        (
            {"stranger": []},
            r"1 of 1 samples are not in mini_train of this data set \(the first is stranger\).*--dataroot",
        ),
        ({"ca9a282c9e77460f8360f564131a8af5": [{}]}, r"the nuScenes evaluator refuses it \(KeyError: .*--stage eval"),
    ],
)
def test_a_file_of_another_split_is_refused(
    dataroot: Path, tmp_path: Path, results: dict[str, list[dict[str, str]]], message: str
) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"meta": {}, "results": results}))
    with pytest.raises(EvaluationError, match=message):
        official_metrics(tmp_path / "results.json", dataroot, VERSION, "mini_train", protocol=PROTOCOL)


@pytest.mark.parametrize(
    ("eval_set", "version", "message"),
    [
        ("minival", VERSION, r"no eval set 'minival'; there are train, val, mini_train, mini_val"),
        ("val", VERSION, r"'val' belongs to v1.0-trainval, not to v1.0-mini; choose mini_train or mini_val"),
    ],
)
def test_a_split_of_another_version_is_refused(tmp_path: Path, eval_set: str, version: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        official_metrics(tmp_path / "results.json", tmp_path, version, eval_set, protocol=PROTOCOL)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_nuscenes(tmp_path_factory.mktemp("nuscenes") / "root")


def small_results(small: Path, folder: Path, frames: list[int], *, blind: list[int]) -> Path:
    """Write the truth of some frames of scene-0061 as results, with nothing found in the `blind` ones."""
    index = open_nuscenes(small, VERSION, folder, channels=CAMERAS)
    entries = {
        index[i].token: [] if i in blind else format_detections(perfect_detections(index[i]), index[i], CLASSES)
        for i in frames
    }
    write_results(folder / "results.json", entries)
    return folder / "results.json"


def test_part_of_a_split_is_judged_by_its_own_truth(small: Path, tmp_path: Path) -> None:
    results = small_results(small, tmp_path, [0, 1], blind=[])
    metrics = official_metrics(results, small, VERSION, "mini_train", protocol=PROTOCOL)
    assert (metrics.samples, metrics.samples_in_split) == (2, 4)
    # found in both frames: were the other two counted, no more than half could be recalled
    assert metrics.classes["car"].ap == pytest.approx(1.0)
    assert metrics.classes["pedestrian"].ap == pytest.approx(1.0)
    assert metrics.detections == sum(len(boxes) for boxes in json.loads(results.read_text())["results"].values())


def test_a_named_frame_without_detections_counts_as_missed(small: Path, tmp_path: Path) -> None:
    results = small_results(small, tmp_path, [0, 1], blind=[1])
    metrics = official_metrics(results, small, VERSION, "mini_train", protocol=PROTOCOL)
    assert 0.3 < metrics.classes["car"].ap < 0.6  # half the recall: (0.5 − 0.1) / 0.9
    assert metrics.samples == 2


def test_a_whole_split_gives_the_devkits_own_numbers(small: Path, tmp_path: Path) -> None:
    results = small_results(small, tmp_path, [0, 1, 2, 3], blind=[2])
    ours = official_metrics(results, small, VERSION, "mini_train", protocol=PROTOCOL)
    twin = DetectionEval(
        NuScenes(version=VERSION, dataroot=str(small), verbose=False),
        config=config_factory(PROTOCOL),
        result_path=str(results),
        eval_set="mini_train",
        output_dir=str(tmp_path),
        verbose=False,
    )
    theirs = twin.evaluate()[0].serialize()
    assert (ours.nds, ours.mean_ap, ours.errors) == (theirs["nd_score"], theirs["mean_ap"], theirs["tp_errors"])
    assert ours.samples == ours.samples_in_split == 4


def test_results_beside_the_partial_ones_leave_no_files(small: Path, tmp_path: Path) -> None:
    results = small_results(small, tmp_path, [0], blind=[])
    before = sorted(tmp_path.iterdir())
    official_metrics(results, small, VERSION, "mini_train", protocol=PROTOCOL)
    assert sorted(tmp_path.iterdir()) == before
