"""One frame as a person types it: the boxes of the evaluation, in both frames, and an answer for every mistake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from repro.__main__ import main
from repro.data.geometry import rotation_of
from repro.data.index import Subset
from repro.evaluate.predict import predict
from repro.models.bevformer import build_bevformer
from repro.models.deformable_detr import build_deformable_detr
from repro.prepare import open_index
from repro.recipe import load_detr_recipe, load_recipe
from repro.single.detect import entries_of
from repro.single.menu import record_of
from repro.tensors import Detections
from repro.weights import save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

NANO = load_recipe("bevformer_nano")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "nano.pth"
    torch.manual_seed(0)
    save_checkpoint(path, build_bevformer(NANO), about={})
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def token(synth_root: Path, tmp_path: Path) -> str:
    return open_index(synth_root, "v1.0-mini", NANO, tmp_path / "data" / "index")[0].token


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["predict", "--recipe", "bevformer_nano", *map(str, words), "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["predict", *map(str, words)]) == 2
    seen = capsys.readouterr()
    assert not seen.out
    return seen.err


def test_a_token_and_its_folder_give_the_boxes_that_evaluation_gives(
    synth_root: Path, weights: Path, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--checkpoint", weights, "--dataroot", synth_root, "--device", "cpu")
    assert main(["predict", "--example", "frame", "--frame", token, "--dataroot", str(synth_root)]) == 0
    capsys.readouterr()
    from_folder = answered(capsys, *asked, "--frame", "frame", "--out", "out")["boxes"]
    assert json.loads((tmp_path / "out" / "boxes.json").read_text())["boxes"] == from_folder
    assert (tmp_path / "out" / "picture.png").stat().st_size > 100_000
    index = open_index(synth_root, "v1.0-mini", NANO, tmp_path / "data" / "index")
    model = build_bevformer(NANO)
    model.load_state_dict(torch.load(weights, weights_only=True)["state_dict"])
    options: dict[str, Any] = {"order": [0], "device": "cpu", "workers": 0, "shown": False}
    evaluated = predict(model, Subset(index, [0]), NANO, synth_root, partial=tmp_path / "partial", **options)[token]
    assert len(from_folder) == len(evaluated) > 10
    for there, here in zip(evaluated, from_folder, strict=True):
        assert there["detection_name"] == here["detection_name"]
        np.testing.assert_allclose(here["translation"], there["translation"], atol=1e-3)
        np.testing.assert_allclose(here["detection_score"], there["detection_score"], atol=1e-5)


def test_boxes_stand_in_both_frames_at_the_same_place(synth_root: Path, token: str) -> None:
    record = record_of(NANO, token, synth_root)
    boxes = torch.tensor([[3.0, 20.0, 0.0, 2.0, 4.0, 1.5, 0.3, 1.0, 2.0]])
    (entry,) = entries_of(Detections(boxes, torch.tensor([0.9]), torch.tensor([0])), record, NANO)
    turn = rotation_of(record.global_from_ego_rotation)
    there = turn @ entry["ego_translation"] + record.global_from_ego_translation
    np.testing.assert_allclose(there, entry["translation"], atol=1e-9)
    np.testing.assert_allclose((turn @ [*entry["ego_velocity"], 0.0])[:2], entry["velocity"], atol=0.05)
    assert entry["ego_translation"][0] == pytest.approx(20.9, abs=0.3)  # the LiDAR stands 0.94 m before the axle
    assert entry["ego_translation"][1] == pytest.approx(-3.0, abs=0.6)  # its x points to the right


def test_mistakes_are_answered_in_words(
    synth_root: Path, weights: Path, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nano = ("--recipe", "bevformer_nano", "--checkpoint", weights)
    assert "--checkpoint, --frame: missing" in refused(capsys, "--recipe", "bevformer_nano")
    assert "no such folder" in refused(capsys, *nano, "--frame", "nowhere/")
    assert "no nuScenes tables" in refused(capsys, *nano, "--frame", "abc")
    assert "no sample of v1.0-mini" in refused(capsys, *nano, "--frame", "abc", "--dataroot", synth_root)
    assert "from 0 to 1" in refused(capsys, *nano, "--frame", token, "--threshold", 2)
    assert main(["predict", "--example", "frame", "--frame", token, "--dataroot", str(synth_root)]) == 0
    capsys.readouterr()
    assert "there already" in refused(capsys, "--example", "frame")
    other = ("--recipe", "bevformer_static", "--checkpoint", weights)
    assert "it fits --recipe bevformer_nano" in refused(capsys, *other, "--frame", "frame")
    photo = tmp_path / "frame" / "CAM_BACK.jpg"
    cv2.imwrite(str(photo), np.zeros((450, 800, 3), np.uint8))
    said = refused(capsys, *nano, "--frame", "frame")
    assert "CAM_BACK.jpg: 800×450 pixels; expected 1600×900" in said
    assert "first row of its intrinsic by 2 and the second by 2" in said
    cv2.imwrite(str(photo.with_suffix(".png")), np.zeros((900, 1600, 3), np.uint8))
    photo.with_suffix(".png").rename(photo)
    assert "a PNG image; CAM_BACK needs a JPEG" in refused(capsys, *nano, "--frame", "frame")
    photo.write_text("no photo")
    assert "CAM_BACK.jpg: not an image that can be read" in refused(capsys, *nano, "--frame", "frame")
    photo.unlink()
    assert "CAM_BACK.jpg: No such file" in refused(capsys, *nano, "--frame", "frame")


def test_an_image_of_any_size_goes_through_deformable_detr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = load_detr_recipe("deformable_detr_nano")
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "detr.pth", build_deformable_detr(recipe), about={})
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "street.png"), rng.integers(0, 255, (90, 160, 3), np.uint8))
    words = ["predict", "--recipe", recipe.name, "--checkpoint", "detr.pth", "--device", "cpu"]
    assert main([*words, "--frame", "street.png", "--threshold", "0"]) == 0
    assert "100 of 100 boxes score at least 0" in capsys.readouterr().out
    boxes = json.loads((tmp_path / "predictions" / "street" / "boxes.json").read_text())["boxes"]
    x, y, w, h = boxes[0]["bbox"]
    assert 0 <= x <= x + w <= 160.01
    assert 0 <= y <= y + h <= 90.01
    (tmp_path / "text.jpg").write_text("no photo")
    assert "not an image that can be read" in refused(capsys, *words[1:], "--frame", "text.jpg")
    assert "text.png" in refused(capsys, *words[1:], "--frame", "text.png")
