"""The main job on images as a person types it: the whole path on a synthetic COCO set, and words that do not fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
NANO = ("--recipe", "deformable_detr_nano")


def repro(*words: object, cwd: Path, check: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "repro", "run", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == check, done.stderr
    return done


@pytest.fixture(scope="module")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the working folder of a finished smoke run; its run folder is `run`, its data set `coco`."""
    cwd = tmp_path_factory.mktemp("smoked-coco")
    done = repro(*NANO, "--data", "synth", "--dataroot", "coco", "--smoke", "--run", "run", cwd=cwd, check=0)
    assert "not comparable: synthetic data" in done.stdout
    return cwd


def test_the_whole_path_ends_with_a_page_that_shows_the_evaluated_images(smoked: Path) -> None:
    page = (smoked / "run" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "precision over recall" in page
    assert len(page) < 5_000_000


def test_the_whole_path_ends_with_a_report_of_cocos_figures(smoked: Path) -> None:
    run = smoked / "run"
    report = (run / "report.md").read_text()
    assert report.startswith("# Deformable DETR-nano")
    assert "| box AP | **" in report
    assert "COCO's evaluator on `val2017`: 2 of 4 images" in report
    assert "2 iterations of 900" in report
    stages = {name: json.loads((run / f"{name}.json").read_text()) for name in ("data", "train", "evaluate", "compare")}
    assert stages["data"]["value"]["dataset"] == "coco"
    assert stages["evaluate"]["value"]["samples"] == 2
    assert len(stages["evaluate"]["value"]["classes"]) == 80
    assert {"image_id", "category_id", "bbox", "score"} == set(
        json.loads((run / "evaluate" / "results_coco.json").read_text())[0]
    )


def test_a_second_call_would_do_nothing_again_until_the_annotations_change(
    smoked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("coco", "run", "data"):
        shutil.copytree(smoked / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    words = ("run", *NANO, "--data", "synth", "--dataroot", "coco", "--smoke", "--run", "run", "--plan")
    assert main(words) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["skip"] * 5 + ["run"]
    annotations = tmp_path / "coco" / "annotations" / "instances_val2017.json"
    annotations.write_text(annotations.read_text() + " ")
    assert main(words) == 0
    assert "data      run   the annotations in coco are others" in capsys.readouterr().out


def refused(*words: object, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said of words that end in exit code 2; in this process, so that nothing is imported anew."""
    assert main(["run", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_a_checkpoint_of_ours_is_judged_as_it_is(
    smoked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--data", "coco", "--dataroot", smoked / "coco", "--checkpoint", smoked / "run" / "train" / "weights.pth")
    assert main(["run", *map(str, (*NANO, *words, "--eval-only", "--run", "judged"))]) == 0
    assert "evaluate 4/4" in capsys.readouterr().err
    assert json.loads((tmp_path / "judged" / "train.json").read_text())["value"]["iterations"] == 0


def test_a_damaged_image_is_named_from_inside_training(
    smoked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    coco = Path(shutil.copytree(smoked / "coco", tmp_path / "coco"))
    for path in (coco / "train2017").iterdir():
        path.write_bytes(path.read_bytes()[:500])
    said = refused(*NANO, "--data", "coco", "--dataroot", coco, "--smoke", capsys=capsys)
    assert "cut short after 500 bytes (no end-of-image marker); extract the archive that holds it again" in said
    assert "(train2017.zip)" in said


def test_missing_images_and_annotations_are_answered_with_their_archives(
    smoked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    coco = Path(shutil.copytree(smoked / "coco", tmp_path / "coco"))
    words = (*NANO, "--data", "coco", "--dataroot", coco, "--stage", "data")
    shutil.rmtree(coco / "val2017")
    assert "4 of 4 images are missing, the first is " in refused(*words, capsys=capsys)
    (coco / "annotations" / "instances_train2017.json").unlink()
    assert "extract annotations_trainval2017.zip" in refused(*words, capsys=capsys)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--data", "nuscenes"), "--data nuscenes: deformable_detr_nano reads coco; choose coco or synth"),
        (("--quirks", "released"), "quirks are BEVFormer's"),
        (("--without-can-bus",), "deformable_detr_nano reads single images, no CAN bus"),
        (("--eval-only",), "--eval-only judges given weights: add --checkpoint FILE"),
        (
            ("--recipe", "bevformer_nano", "--data", "coco"),
            "bevformer_nano reads nuscenes; choose nuscenes or nuscenes-mini or synth",
        ),
    ],
)
def test_words_that_do_not_fit_the_recipe_are_refused(
    words: tuple[str, ...], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer in refused(*NANO, *words, capsys=capsys)


def test_somebody_elses_folder_is_no_synthetic_coco(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuscenes" / "samples").mkdir(parents=True)
    words = (*NANO, "--data", "synth", "--dataroot", "nuscenes", "--stage", "data")
    assert "not a synthetic COCO data set" in refused(*words, capsys=capsys)
    assert (tmp_path / "nuscenes" / "samples").is_dir()
