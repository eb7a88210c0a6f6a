"""Drawing a run as a person types it: what comes out, and an answer for every mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from repro.__main__ import main
from repro.artifacts import CocoMetrics
from repro.data.dataset import annotated
from repro.draw.opened import nuscenes_entries
from repro.evaluate.coco import CocoBox, write_coco_results
from repro.evaluate.formatting import ResultBox, format_detections, write_results
from repro.models.bevformer import build_bevformer
from repro.prepare import open_index, open_split
from repro.recipe import load_detr_recipe, load_recipe
from repro.rundir import RunDir, RunDirError
from repro.tensors import Detections
from repro.weights import save_checkpoint
from tests.plain_run import FULL, VAL, measured

if TYPE_CHECKING:
    from pathlib import Path

NANO = load_recipe("bevformer_nano")
REMEMBERS = NANO.model_copy(update={"model": NANO.model.model_copy(update={"use_history": True})})


@pytest.fixture(scope="module")
def run(synth_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run whose predictions are the annotated boxes, at scores of one half."""
    folder = tmp_path_factory.mktemp("run") / "run"
    index = open_index(synth_root, "v1.0-mini", NANO, folder.parent / "index")
    samples = index.split("mini_train")
    results = {}
    for position in range(len(samples)):
        truth = annotated(samples[position], NANO.data.classes)
        found = Detections(truth.boxes, torch.full((len(truth.boxes),), 0.5), truth.labels)
        results[samples[position].token] = format_detections(found, samples[position], NANO.data.classes)
    write_results(folder / "evaluate" / "results_nusc.json", results)
    torch.manual_seed(0)
    save_checkpoint(folder / "train" / "weights.pth", build_bevformer(REMEMBERS), about={})
    data = replace(VAL, dataroot=str(synth_root), version="v1.0-mini", synthetic=True, eval_split="mini_train")
    metrics = replace(measured(0.5, 0.5, samples=len(samples)), results="evaluate/results_nusc.json")
    with RunDir(folder) as stored:
        stored.write("recipe.json", REMEMBERS.model_dump_json())
        stored.step("data", type(data), {}, lambda: data)
        stored.step("train", type(FULL), {}, lambda: FULL)
        stored.step("evaluate", type(metrics), {}, lambda: metrics)
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def drawn(out: str) -> list[str]:
    return [line.rsplit("/", 1)[1] for line in out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["draw", *map(str, words)]) == 2
    seen = capsys.readouterr()
    assert not seen.out
    return seen.err


def test_a_scene_becomes_a_picture_a_key_frame_and_a_film(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", "--run", str(run), "--video", "gif", "--most", "2"]) == 0
    scene = "scene-0061"
    assert drawn(capsys.readouterr().out) == [f"{scene}-0{k}.png" for k in range(2)] + [f"{scene}.gif"]
    with Image.open(run / "drawings" / f"{scene}-00.png") as picture:
        assert picture.width > 2000
        assert np.asarray(picture).std() > 20
    with Image.open(run / "drawings" / f"{scene}.gif") as film:
        assert getattr(film, "n_frames", 1) == 2


def test_attention_of_a_cell_is_drawn_with_the_history_of_the_scene(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["draw", "--run", str(run), "--attention", "16,12", "--frame", "1", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert drawn(capsys.readouterr().out) == ["scene-0061-01-attention-16-12-layer0.png"]
    assert (tmp_path / "out" / "scene-0061-01-attention-16-12-layer0.png").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--scene", "scene-9999"], "the run evaluated scene-0061; type a name, a number from 0, or all"),
        (["--scene", "7"], "--scene 7"),
        (["--frame", "3"], "scene-0061 has the evaluated key frames 0 to 2"),
        (["--threshold", "30"], "expected a score from 0 to 1"),
        (["--most", "0"], "at least one picture"),
        (["--attention", "here"], "expected ROW,COL such as 12,12"),
        (["--attention", "25,0"], "outside the BEV of bevformer_nano: rows 0 to 24"),
        (["--attention", "1,1", "--layer", "1"], "has encoder layers 0 to 0"),
    ],
)
def test_a_wrong_choice_is_answered_with_what_there_is(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], answer: str
) -> None:
    assert answer in refused(capsys, "--run", run, *words)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run folder" in refused(capsys, "--run", tmp_path)


def test_a_run_that_was_not_evaluated_says_what_is_missing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("recipe.json", "data.json", "train.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert "evaluate.json: missing" in refused(capsys, "--run", tmp_path)
    (tmp_path / "recipe.json").write_text('{"model": 3}')
    assert "damaged or written by another version" in refused(capsys, "--run", tmp_path)


def test_a_result_file_without_the_frame_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("recipe.json", "data.json", "train.json", "evaluate.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "evaluate").mkdir()
    write_results(tmp_path / "evaluate" / "results_nusc.json", {"another": []})
    assert "no entry for sample" in refused(capsys, "--run", tmp_path)


def test_a_data_set_that_moved_is_found_with_dataroot(
    run: Path, synth_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nowhere" in refused(capsys, "--run", run, "--dataroot", "nowhere")
    (tmp_path / "moved").symlink_to(synth_root)
    words = ["draw", "--run", str(run), "--frame", "2", "--dataroot", "moved", "--out", "out"]
    assert main(words) == 0
    assert drawn(capsys.readouterr().out) == ["scene-0061-02.png"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(place=st.integers(0, 1000), byte=st.integers(0, 255))
def test_a_damaged_result_file_is_read_or_refused_in_words(tmp_path: Path, place: int, byte: int) -> None:
    entry = ResultBox(
        sample_token="t",  # noqa: S106 — a sample's name
        translation=[1.0, 2.0, 3.0],
        size=[1.0, 2.0, 1.5],
        rotation=[1.0, 0.0, 0.0, 0.0],
        velocity=[0.0, 0.0],
        detection_name="car",
        detection_score=0.5,
        attribute_name="vehicle.parked",
    )
    path = tmp_path / "results.json"
    write_results(path, {"first": [], "t": [entry], "last": []})
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        found = nuscenes_entries(path, ["t"])["t"]
    except RunDirError as error:
        assert "results.json" in str(error)  # noqa: PT017 — either ending is fine
    else:
        assert len(found) <= 1
        assert all(len(box["rotation"]) == 4 for box in found)


def test_images_of_a_deformable_detr_run_are_drawn(
    synth_coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_detr_recipe("deformable_detr_nano")
    split = open_split(synth_coco, "val2017", tmp_path / "index")
    images = [split.index[i] for i in range(len(split.index))]
    boxes = {
        image.id: [
            CocoBox(image_id=image.id, category_id=int(number), bbox=box.tolist(), score=0.9)
            for number, box in zip(image.categories, image.boxes, strict=True)
        ]
        for image in images
    }
    write_coco_results(tmp_path / "run" / "evaluate" / "results_coco.json", boxes)
    data = replace(VAL, dataset="coco", dataroot=str(synth_coco), version="2017", eval_split="val2017", scenes=None)
    metrics = CocoMetrics(
        figures={"AP": 1.0},
        classes={},
        eval_set="val2017",
        samples=len(images),
        samples_in_split=len(images),
        detections=1,
        results="evaluate/results_coco.json",
        seconds=1.0,
    )
    with RunDir(tmp_path / "run") as stored:
        stored.write("recipe.json", recipe.model_dump_json())
        stored.step("data", type(data), {}, lambda: data)
        stored.step("train", type(FULL), {}, lambda: FULL)
        stored.step("evaluate", CocoMetrics, {}, lambda: metrics)
    assert main(["draw", "--run", str(tmp_path / "run"), "--most", "2"]) == 0
    assert drawn(capsys.readouterr().out) == [f"image-{image.id}.png" for image in images[:2]]
    assert "for runs of BEVFormer" in refused(capsys, "--run", tmp_path / "run", "--attention", "1,1")
    assert "no image of this id" in refused(capsys, "--run", tmp_path / "run", "--scene", 1)
