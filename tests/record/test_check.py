"""Somebody else's run, checked: an honest one is accepted, and one with any byte changed or any word forged is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.__main__ import main
from repro.record.check import check_run
from repro.record.schema import read_record
from tests.record.runs import forge, smoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.record.check import Finding


@pytest.fixture(scope="module")
def kept(synth_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished smoke run; whoever changes something puts it back."""
    folder = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert smoke(Path("run"), synth_root) == 0
    return folder / "run"


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that a test may forge."""
    return shutil.copytree(kept, tmp_path / "run")


def failed(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.name: finding.words for finding in findings if finding.state == "fails"}


def lasting(path: Path) -> dict[str, Any]:
    """Return what lasts of a record, but for the checkout: somebody may be working in it while the tests run."""
    table = read_record(path).lasting()
    del table["source"], table["machine"]["source"]
    table["files"] = [file for file in table["files"] if file["role"] != "diff"]
    return table


def test_an_honest_run_is_accepted_with_its_metrics_judged_anew(kept: Path) -> None:
    findings = check_run(kept)
    assert {finding.state for finding in findings} == {"holds"}
    assert findings[-1].words == "the official evaluator says the same of the stored result file"


def test_two_runs_of_one_recipe_are_the_same_but_for_their_times(
    kept: Path, synth_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert smoke(Path("run"), synth_root) == 0
    again, before = (lasting(folder / "record.json") for folder in (tmp_path / "run", kept))
    assert again == before
    for name in ("train/weights.pth", "evaluate/results_nusc.json"):
        assert (tmp_path / "run" / name).read_bytes() == (kept / name).read_bytes()


def test_a_record_is_not_written_twice_and_never_overwritten(
    kept: Path, run: Path, synth_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (run / "record.json").read_bytes()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kept.parent / "data", tmp_path / "data")
    assert smoke(Path("run"), synth_root) == 0
    assert not (run / "record-2.json").exists()
    (run / "evaluate.json").unlink()  # the stage runs again, and that is another run
    assert smoke(Path("run"), synth_root) == 0
    assert (run / "record.json").read_bytes() == first
    second = read_record(run / "record-2.json")
    assert second.supersedes == read_record(run / "record.json").seal
    assert check_run(run)[0].words.startswith("record-2.json")


def test_without_the_data_set_all_but_the_metrics_is_checked(kept: Path, tmp_path: Path) -> None:
    unseen = [finding.name for finding in check_run(kept, dataroot=tmp_path / "none") if finding.state != "holds"]
    assert unseen == ["data", "metrics"]


@pytest.mark.shared
def test_a_run_on_a_real_frame_is_accepted(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert smoke(Path("run"), shared_dir / "nuscenes_one_frame") == 0
    assert main(["check", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("checks hold, 0 fail, 0 were not looked at")


def test_another_data_set_is_not_taken_for_the_one_of_then(kept: Path, synth_root: Path, tmp_path: Path) -> None:
    other = shutil.copytree(synth_root, tmp_path / "other")
    (other / "v1.0-mini" / "sample.json").write_bytes((other / "v1.0-mini" / "sample.json").read_bytes() + b" ")
    data = next(finding for finding in check_run(kept, dataroot=other) if finding.name == "data")
    assert data.state == "not looked at"
    assert "another data set" in data.words
    assert "sample.json" in data.words


EDITED = (
    "record.json",
    "evaluate.json",
    "evaluate/results_nusc.json",
    "train/weights.pth",
    "compare.json",
    "train.json",
)


@settings(max_examples=40)
@given(name=st.sampled_from(EDITED), where=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_one_changed_byte_anywhere_is_rejected(kept: Path, name: str, where: float, change: int) -> None:
    path = kept / name
    place = int(where * path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(place)
        before = file.read(1)
        file.seek(place)
        file.write(bytes([before[0] ^ change]))
    try:
        assert failed(check_run(kept, dataroot=kept / "none"))
    finally:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(before)


@pytest.mark.parametrize("name", EDITED)
def test_a_file_that_is_missing_cut_short_or_longer_is_rejected(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    for content in (whole[:-1], whole + b" ", b""):
        (run / name).write_bytes(content)
        assert failed(check_run(run, dataroot=run / "none"))
    (run / name).unlink()
    assert failed(check_run(run, dataroot=run / "none"))


def better_nds(document: dict[str, Any]) -> None:
    document["metrics"]["nds"] = 0.5


def better_everything(document: dict[str, Any]) -> None:
    """Raise every figure by the rules of their sums, so that only the boxes themselves can tell."""
    metrics = document["metrics"]
    for row in metrics["classes"].values():
        row["ap"], row["ap_at"] = 0.5, dict.fromkeys(row["ap_at"], 0.5)
    metrics["mean_ap"] = 0.5
    metrics["nds"] = (5 * 0.5 + sum(1 - min(1.0, error) for error in metrics["errors"].values())) / 10


def reproduced(document: dict[str, Any]) -> None:
    document["verdict"]["outcome"] = "reproduced"


def kinder_words(document: dict[str, Any]) -> None:
    document["verdict"]["reasons"] = ["as good as published"]


def whole_run(document: dict[str, Any]) -> None:
    document["smoke"] = False


def fewer_boxes(document: dict[str, Any]) -> None:
    document["metrics"]["detections"] -= 1


@pytest.mark.parametrize(
    ("change", "stage", "part", "caught_by"),
    [
        (better_nds, "evaluate", "metrics", "figures"),
        (better_everything, "evaluate", "metrics", "metrics"),
        (better_everything, "", "", "stages"),
        (fewer_boxes, "evaluate", "metrics", "boxes"),
        (reproduced, "compare", "verdict", "verdict"),
        (kinder_words, "compare", "verdict", "verdict"),
        (whole_run, "", "", "verdict"),
    ],
)
def test_a_forgery_with_fitting_hashes_is_caught_by_what_it_contradicts(
    run: Path, change: Callable[[dict[str, Any]], None], stage: str, part: str, caught_by: str
) -> None:
    forge(run, change, stage=stage, part=part)
    read_record(run / "record.json")  # sealed anew, so the record alone looks whole
    assert caught_by in failed(check_run(run))


def test_a_record_that_names_fewer_files_than_it_must_is_rejected(run: Path) -> None:
    def drop(document: dict[str, Any]) -> None:
        document["files"] = [file for file in document["files"] if file["role"] not in {"checkpoint", "results"}]

    forge(run, drop)
    assert failed(check_run(run))["files"] == "the record names no checkpoint, no results"


def test_a_recipe_that_is_none_is_rejected_in_words(run: Path) -> None:
    def cripple(document: dict[str, Any]) -> None:
        document["recipe"] = {"model": {"architecture": "resnet"}}

    forge(run, cripple)
    assert 'architecture" is "resnet"' in failed(check_run(run))["record"]


def test_the_answer_is_printed_for_people_and_for_programs(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(kept)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("holds  record: record.json, schema 1, sealed ")
    assert printed[-1].startswith("accepted: ")
    assert printed[-1].endswith(" 0 fail, 0 were not looked at")
    assert main(["check", str(kept / "nowhere"), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["accepted"]) == (1, False)
    assert "no record.json here; name the folder of a run that came to its end" in document["checks"][0]["words"]
