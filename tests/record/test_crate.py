"""The archive of a run: a zip that the RO-Crate package reads back, holding what the record names and no data set."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from rocrate.rocrate import ROCrate

from repro.__main__ import main
from repro.record.crate import write_crate
from repro.record.files import fact
from repro.record.schema import RecordError, text_of
from tests.record.sample import plain_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run folder whose record names a recipe, weights and a result file, and weights from elsewhere."""
    folder = tmp_path / "run"
    (folder / "train").mkdir(parents=True)
    (folder / "recipe.json").write_text("{}")
    (folder / "train" / "weights.pth").write_bytes(b"weights")
    (folder / "report.md").write_text("# report")
    (tmp_path / "start.pth").write_bytes(b"start")
    files = (
        fact(folder, folder / "recipe.json", "recipe"),
        fact(folder, folder / "train" / "weights.pth", "checkpoint"),
        fact(folder, tmp_path / "start.pth", "start"),
    )
    (folder / "record.json").write_text(text_of(plain_record(files=files)))
    return folder


def test_the_package_reads_back_what_was_written(run: Path, tmp_path: Path) -> None:
    assert write_crate(run, tmp_path / "run.zip") == 4
    crate = ROCrate(tmp_path / "run.zip")
    assert crate.name == "BEVFormer-tiny: ResNet-50, one feature level, 50×50 BEV, queue of 3: reproduced"
    assert crate.mainEntity.id == "record.json"
    weights = crate.get("train/weights.pth")
    assert (weights["contentSize"], weights["sha256"]) == ("7", fact(run, run / weights.id, "checkpoint").sha256)
    action = crate.get("#run")
    assert action["instrument"]["softwareRequirements"] == f"stack cu130, lock SHA-256 {'c' * 64}"
    assert [result.id for result in action["result"]] == ["train/weights.pth"]


def test_the_zip_holds_the_run_and_neither_data_nor_weights_from_elsewhere(run: Path, tmp_path: Path) -> None:
    write_crate(run, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert sorted(archive.namelist()) == [
            "recipe.json",
            "record.json",
            "report.md",
            "ro-crate-metadata.json",
            "train/weights.pth",
        ]
        assert archive.read("record.json") == (run / "record.json").read_bytes()
        assert json.loads(archive.read("ro-crate-metadata.json"))["@context"].endswith("/1.1/context")


def test_a_run_that_lost_a_file_is_not_archived(run: Path, tmp_path: Path) -> None:
    (run / "train" / "weights.pth").unlink()
    with pytest.raises(RecordError, match=r"train/weights\.pth is gone, and the record names it"):
        write_crate(run, tmp_path / "run.zip")
    assert not list(tmp_path.glob("*.zip"))


def test_the_archive_is_written_as_typed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", str(run), str(tmp_path / "run.zip")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run.zip'}: 4 files\n"
    assert main(["archive", str(tmp_path), str(tmp_path / "none.zip")]) == 2
    assert "no record.json here" in capsys.readouterr().err
