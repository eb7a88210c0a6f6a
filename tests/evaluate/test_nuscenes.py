"""The official evaluator scores whole and partial result files, and every bad one gets a sentence."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from nuscenes.nuscenes import NuScenes

from repro.data import FrameRecord, open_nuscenes
from repro.evaluate.formatting import EvaluationError, format_detections, write_results
from repro.evaluate.nuscenes import evaluate
from repro.recipe.schema import CAMERAS, CLASSES
from tests.evaluate.truth import perfect_detections

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "v1.0-mini"


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
    metrics = evaluate(results, dataroot, VERSION, "mini_train")
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
    metrics = evaluate(tmp_path / "results.json", dataroot, VERSION, "mini_train")
    assert metrics.nds == pytest.approx(0.4291, abs=5e-5)  # the frame's README


@pytest.mark.shared
def test_no_detections_score_zero(dataroot: Path, record: FrameRecord, tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", {record.token: []})
    metrics = evaluate(tmp_path / "results.json", dataroot, VERSION, "mini_train")
    assert (metrics.mean_ap, metrics.nds, metrics.detections) == (0.0, 0.0, 0)


@pytest.mark.shared
def test_a_split_without_annotations_is_refused(dataroot: Path, record: FrameRecord, tmp_path: Path) -> None:
    shutil.copytree(dataroot / VERSION, tmp_path / VERSION)
    shutil.copytree(dataroot / "maps", tmp_path / "maps")
    (tmp_path / VERSION / "sample_annotation.json").chmod(0o644)
    (tmp_path / VERSION / "sample_annotation.json").write_text("[]")
    write_results(tmp_path / "results.json", {record.token: []})
    with pytest.raises(EvaluationError, match=r"no annotated box of the ten classes in mini_train of .*; choose"):
        evaluate(tmp_path / "results.json", tmp_path, VERSION, "mini_train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"results.json: no such file; delete the run's evaluate.json to write it again"),
        ("{", r"results.json: damaged \(.*\); delete the run's evaluate.json to write it again"),
        ("[]", r"results.json: not a nuScenes result file .*; delete the run's evaluate.json to write it again"),
        ('{"meta": {}, "results": []}', r"results.json: not a nuScenes result file"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        evaluate(tmp_path / "results.json", tmp_path, VERSION, "mini_val")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, r"names no sample, and mini_train has 1 here; evaluate at least one frame"),
        (
            {"stranger": []},
            r"1 of 1 samples are not in mini_train of this data set \(the first is stranger\).*--dataroot",
        ),
        (
            {"ca9a282c9e77460f8360f564131a8af5": [{}]},
            r"the nuScenes evaluator refuses it \(KeyError: .*delete the run's evaluate.json",
        ),
    ],
)
def test_a_file_of_another_split_is_refused(
    dataroot: Path, tmp_path: Path, results: dict[str, list[dict[str, str]]], message: str
) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"meta": {}, "results": results}))
    with pytest.raises(EvaluationError, match=message):
        evaluate(tmp_path / "results.json", dataroot, VERSION, "mini_train")


@pytest.mark.parametrize(
    ("eval_set", "version", "message"),
    [
        ("minival", VERSION, r"no eval set 'minival'; there are train, val, mini_train, mini_val"),
        ("val", VERSION, r"'val' belongs to v1.0-trainval, not to v1.0-mini; choose mini_train or mini_val"),
    ],
)
def test_a_split_of_another_version_is_refused(tmp_path: Path, eval_set: str, version: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(tmp_path / "results.json", tmp_path, version, eval_set)
