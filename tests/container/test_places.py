"""What a container sees of the host: data to read, the run folder and the index to write, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.containers.engine import EngineError
from repro.containers.places import mounts_for


def seen(folder: Path, recipe: str = "bevformer_tiny", **words: object) -> dict[str, bool]:
    mounts = mounts_for(here=folder, recipe=recipe, **words)  # type: ignore[arg-type]
    return {mount.path.relative_to(folder).as_posix(): mount.writable for mount in mounts}


def test_real_data_is_only_read_and_results_are_written(tmp_path: Path) -> None:
    (tmp_path / "nuscenes").mkdir()
    found = seen(tmp_path, dataroot=Path("nuscenes"), run=Path("out/mine"))
    assert found == {"data/index": True, "nuscenes": False, "out/mine": True}
    assert (tmp_path / "out" / "mine").is_dir()


def test_without_words_the_usual_folders_are_taken(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert seen(tmp_path) == {"data": False, "data/index": True, "runs": True}


def test_synthetic_data_is_made_where_it_should_lie(tmp_path: Path) -> None:
    assert seen(tmp_path, synth=True) == {"data": True, "data/index": True, "runs": True}
    assert seen(tmp_path, synth=True, dataroot=Path("sets/one"))["sets"]


def test_what_else_a_run_names_is_read(tmp_path: Path) -> None:
    for name in ("mine.toml", "weights.pth"):
        (tmp_path / name).touch()
    (tmp_path / "infos").mkdir()
    also = (Path("weights.pth"), Path("infos"), Path("gone.log"), None)
    found = seen(tmp_path, recipe="mine.toml", also=also)
    assert found["infos"] is False
    assert "gone.log" not in found
    assert found["mine.toml"] is False
    assert found["weights.pth"] is False


def test_links_out_of_a_data_folder_lead_to_the_same_places_inside(tmp_path: Path) -> None:
    (tmp_path / "disk" / "nuscenes").mkdir(parents=True)
    (tmp_path / "archive").mkdir()
    (tmp_path / "disk" / "nuscenes" / "samples").symlink_to(tmp_path / "archive")
    (tmp_path / "nuscenes").symlink_to(tmp_path / "disk" / "nuscenes")
    found = seen(tmp_path, dataroot=Path("nuscenes"))
    assert [found[name] for name in ("nuscenes", "disk/nuscenes", "archive")] == [False, False, False]


def test_outer_folders_come_before_what_lies_in_them(tmp_path: Path) -> None:
    paths = [mount.path for mount in mounts_for(here=tmp_path, recipe="x", synth=True)]
    assert paths == sorted(paths)


@pytest.mark.parametrize("dataroot", ["/tmp/set", "/set"])  # noqa: S108 — what is refused
def test_a_folder_of_everybody_is_not_handed_over(tmp_path: Path, dataroot: str) -> None:
    with pytest.raises(EngineError, match="too much to hand to a container"):
        mounts_for(here=tmp_path, recipe="x", dataroot=Path(dataroot), synth=True)


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="file/run: Not a directory; choose a folder"):
        mounts_for(here=tmp_path, recipe="x", run=Path("file/run"))
