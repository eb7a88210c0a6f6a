"""The two commands that bring and take what upstream's users have: weights and info files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from repro.__main__ import main
from repro.data import FrameRecord, open_nuscenes
from repro.data.info_files import from_new_convention, read_infos, write_infos
from repro.models.bevformer import build_bevformer
from repro.recipe import load_recipe
from repro.recipe.files import TABLE, weight_files
from repro.recipe.schema import CAMERAS
from repro.weights import read_checkpoint, save_checkpoint
from tests.data.small_nuscenes import write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SPLITS = ("train", "val")


def test_exported_info_files_are_imported_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_small_nuscenes(tmp_path / "root"), tmp_path / "out"
    place = ["--dataroot", str(root), "--data", "nuscenes-mini", "--cache", str(tmp_path / "cache")]
    assert main(["infos", "--export", str(out), *place]) == 0
    assert "4 of 323 frames of mini_train: not the whole split" in capsys.readouterr().out
    val = out / "nuscenes_infos_temporal_val.pkl"
    assert main(["infos", "--import", str(val), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["files"][0]
    assert (row["split"], row["counts"]) == ("mini_val", "2 of 81 frames of mini_val: not the whole split")
    assert sorted(path.name for path in out.iterdir()) == [f"nuscenes_infos_temporal_{kind}.pkl" for kind in SPLITS]


def test_importing_says_what_it_is_good_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = eight_cars(tmp_path)
    write_infos(tmp_path / "train.pkl", records, version="v1.0-mini")
    assert main(["infos", "--import", str(tmp_path / "train.pkl")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "a run reads them with --infos DIR"


def test_a_file_of_a_newer_mmdet3d_is_converted_beside_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, path = eight_cars(tmp_path), tmp_path / "new_val.pkl"
    turned = [replace(record, boxes=from_new_convention(record.boxes)) for record in records]
    write_infos(path, turned, version="v1.0-mini")
    assert main(["infos", "--import", str(path)]) == 2
    assert "length before width" in capsys.readouterr().err
    assert main(["infos", "--import", str(path), "--convert"]) == 0
    written = tmp_path / "new_val.mmdet3d-0.17.pkl"
    assert f"{written}: written" in capsys.readouterr().out
    back, version = read_infos(written, CAMERAS)
    assert (version, [record.token for record in back]) == ("v1.0-mini", [record.token for record in records])
    for record, twin in zip(back, records, strict=True):
        np.testing.assert_allclose(record.boxes, twin.boxes, atol=1e-12)


def eight_cars(folder: Path) -> list[FrameRecord]:
    """Return two records of four cars each, longer than wide."""
    index = open_nuscenes(write_small_nuscenes(folder / "root"), "v1.0-mini", folder / "cache", channels=CAMERAS)
    boxes = np.tile([1.0, 2.0, 0.5, 1.9, 4.6, 1.7, 0.3], (4, 1))
    cars, still, valid = ("car",) * 4, np.zeros((4, 2)), np.ones(4, bool)
    return [replace(index[position], boxes=boxes, names=cars, velocities=still, valid=valid) for position in range(2)]


def test_a_file_that_is_no_info_file_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pkl").write_bytes(b"hello")
    assert main(["infos", "--import", str(tmp_path / "x.pkl")]) == 2
    assert "x.pkl: refused" in capsys.readouterr().err


def test_weights_that_are_not_there_say_where_to_put_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "--recipe", "bevformer_tiny", "--to", str(tmp_path)]) == 0
    first = capsys.readouterr().out.split("\n")[0]
    assert first.startswith(f"released  {tmp_path / 'bevformer_tiny_epoch_24.pth'}: missing; fetch it with --fetch, or")


def test_a_file_of_another_digest_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "resnet50-0676ba61.pth").write_bytes(b"something else")
    assert main(["weights", "--recipe", "bevformer_tiny", "--to", str(tmp_path), "--json"]) == 2
    rows = json.loads(capsys.readouterr().out)["files"]
    assert [row["state"] for row in rows] == ["missing", "other digest"]


def test_a_checkpoint_is_checked_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = build_bevformer(load_recipe("bevformer_nano"))
    save_checkpoint(tmp_path / "w.pth", model, about={})
    words = [
        "--recipe",
        "bevformer_nano",
        "--export",
        str(tmp_path / "up.pth"),
        "--checkpoint",
        str(tmp_path / "w.pth"),
    ]
    assert main(["weights", *words]) == 0
    assert torch.equal(read_checkpoint(tmp_path / "up.pth")["img_backbone.conv1.weight"], model.backbone.conv1.weight)
    capsys.readouterr()
    assert main(["weights", "--recipe", "bevformer_nano", "--check", str(tmp_path / "up.pth"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    assert main(["weights", "--recipe", "bevformer_tiny", "--check", str(tmp_path / "up.pth")]) == 2
    assert "does not fit bevformer_tiny: " in capsys.readouterr().out


def test_every_recipe_of_the_table_has_a_released_and_an_initial_file() -> None:
    for name in json.loads(TABLE.read_text()):
        assert [entry.role for entry in weight_files(name)] == ["released", "initial"]
