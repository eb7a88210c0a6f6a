"""The run folder: what is kept, what runs again, and what a damaged folder is answered with."""

from __future__ import annotations

import json
import multiprocessing
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from repro.rundir import RunDir, RunDirError, changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Soup:
    name: str
    spoons: int
    errors: dict[str, float | None]


LENTIL = Soup("lentil", 3, {"salt": 0.5, "pepper": None})


def cook() -> Soup:
    return LENTIL


def refuse() -> Soup:
    raise AssertionError("this stage must not run")


def test_a_finished_stage_is_loaded_not_run(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        run.step("soup", Soup, {"recipe": "a"}, cook)
        assert run.step("soup", Soup, {"recipe": "a"}, refuse) == LENTIL


def test_the_plan_says_which_part_of_the_key_changed(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        assert run.plan("soup", Soup, {"recipe": "a", "code": "1"}).why == "no soup.json yet"
        run.step("soup", Soup, {"recipe": "a", "code": "1"}, cook)
        plan = run.plan("soup", Soup, {"recipe": "b", "code": "1"})
    assert (plan.runs, plan.why) == (True, "changed since last time: recipe (a → b)")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"--smoke": "True"}, {"--smoke": "False"}, "--smoke (True → False)"),
        ({"code of repro/ops": "0" * 16}, {"code of repro/ops": "1" * 16}, "code of repro/ops"),
        (
            {"recipe [train]": '{"seed": 0, "workers": 4}'},
            {"recipe [train]": '{"seed": 1, "workers": 4}'},
            "recipe [train] seed 0 → 1",
        ),
        (
            {"recipe [model]": '{"bev": {"rows": 50}, "dropout": 0.1}'},
            {"recipe [model]": '{"bev": {"rows": 100}}'},
            "recipe [model] bev.rows 50 → 100, dropout 0.1 → absent",
        ),
        (
            {"recipe [model]": '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}'},
            {"recipe [model]": '{"a": 2, "b": 2, "c": 2, "d": 2, "e": 2}'},
            "recipe [model] a 1 → 2, b 1 → 2, c 1 → 2, d 1 → 2, and 1 more",
        ),
        ({"recipe [model]": "0123456789abcdef"}, {"recipe [model]": '{"dropout": 0.1}'}, "recipe [model]"),
        ({"note": "{not json"}, {"note": "{nor this"}, "note ({not json → {nor this)"),
    ],
)
def test_a_changed_key_is_put_into_words(old: dict[str, str], new: dict[str, str], words: str) -> None:
    assert changes(old, new) == [words]


def test_a_part_of_the_key_that_is_new_or_gone_counts_as_changed(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        run.step("soup", Soup, {"old": "1"}, cook)
        why = run.plan("soup", Soup, {"new": "1"}).why
    assert why == "changed since last time: old (no longer part of the key), new (not part of the key before)"


def test_a_stage_runs_again_when_what_it_left_is_gone(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        run.step("soup", Soup, {}, cook)
        plan = run.plan("soup", Soup, {}, lost=lambda soup: f"the {soup.name} is eaten")
    assert (plan.runs, plan.why) == (True, "the lentil is eaten")


def test_a_stage_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run, pytest.raises(AssertionError):
        run.step("soup", Soup, {}, refuse)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema_version": 1}', "\x00\xff", '{"a": NaN}'])
def test_a_corrupt_file_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "soup.json").write_bytes(text.encode("latin-1"))
    with RunDir(tmp_path) as run, pytest.raises(RunDirError, match=r"soup\.json: damaged .*delete that file"):
        run.step("soup", Soup, {}, refuse)


def test_a_value_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        run.step("soup", Soup, {}, cook)
        stored = json.loads(run.file_of("soup").read_text())
        stored["value"]["spoons"] = "many"
        run.file_of("soup").write_text(json.dumps(stored))
        with pytest.raises(RunDirError, match=r"soup\.json: damaged .*spoons"):
            run.load("soup", Soup)


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        run.step("soup", Soup, {}, cook)
        stored = json.loads(run.file_of("soup").read_text())
        run.file_of("soup").write_text(json.dumps(stored | {"schema_version": 99}))
        with pytest.raises(RunDirError, match="written by another version"):
            run.load("soup", Soup)


def test_a_missing_stage_says_which_command_makes_it(tmp_path: Path) -> None:
    with (
        RunDir(tmp_path) as run,
        pytest.raises(RunDirError, match=r"soup\.json: missing; run the stage with --stage soup"),
    ):
        run.load("soup", Soup)


def hold(folder: Path, ready: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event) -> None:
    with RunDir(folder):
        ready.set()
        done.wait(30)


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, done))
    other.start()
    assert ready.wait(30)
    try:
        with pytest.raises(RunDirError, match=f"another run is using this folder .process {other.pid}."):
            RunDir(tmp_path)
    finally:
        done.set()
        other.join(30)
    RunDir(tmp_path).__exit__()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirError, match=r"file/run: Not a directory; choose a folder .* --run DIR"):
        RunDir(tmp_path / "file" / "run")


def wait(done: multiprocessing.synchronize.Event) -> None:
    done.wait(30)


def test_a_loading_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    done = context.Event()
    with RunDir(tmp_path):
        worker = context.Process(target=wait, args=(done,))
        worker.start()
    try:
        RunDir(tmp_path).__exit__()
    finally:
        done.set()
        worker.join(30)


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in (".soup.json.abc.part", "train/.state.ckpt.part", "train/keep.part"):
        (tmp_path / name).write_text("half")
    with RunDir(tmp_path):
        assert [path.name for path in (tmp_path / "train").iterdir()] == ["keep.part"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "train"]


def test_what_a_stage_used_is_kept_beside_its_value(tmp_path: Path) -> None:
    @contextmanager
    def meter() -> Iterator[dict[str, float]]:
        seen: dict[str, float] = {}
        yield seen
        seen["host_peak_gib"] = 1.5

    with RunDir(tmp_path, meter=meter) as run:
        run.step("soup", Soup, {"recipe": "a"}, cook)
        done = run.done("soup")
        assert run.done("bread") is None
    assert done is not None
    assert (done.key, done.use) == ({"recipe": "a"}, {"host_peak_gib": 1.5})
