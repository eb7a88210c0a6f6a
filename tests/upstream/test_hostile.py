"""`compare-upstream` on a checkout, or a Python, that speaks in our child's name: it is refused in words, at once.

Each program here is a shell script that says what it likes; its third word names the request, in the scratch folder.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from repro.tensors import Frame
from repro.upstream.checkout import Checkout
from repro.upstream.child import ANSWER
from repro.upstream.exchange import Built, read_array, upstream
from repro.upstream.failures import UpstreamError

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = {"is": "python", "version": "3.8.18"}
PACKAGES = {"is": "packages", "versions": {"torch": "1.9.1", "mmcv": "1.4.0"}}
MODEL: dict[str, object] = {"is": "model", "weights": {"a.weight": [1, 2]}, "stand_ins": []}
RUNNING = {"is": "running", "watched": 1}
SEEN: dict[str, object] = {"is": "seen", "frame": 0, "module": "img_neck", "files": {"img_neck/0": "theirs-1-0.npy"}}
WAITS = "exec sleep 600"  # whoever waits for its end waits long


def line(event: object) -> str:
    """Return an event as the child tells it."""
    return ANSWER + json.dumps(event)


def program(folder: Path, *lines: str, then: str = WAITS) -> Path:
    """Write a program that says these lines and then runs `then`."""
    (folder / "said").write_text("".join(f"{words}\n" for words in lines), encoding="utf-8")
    path = folder / "program"
    path.write_text(f"#!/bin/sh\ncat '{folder}/said'\n{then}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def build(folder: Path, *lines: str) -> Built:
    """Return the model that a program describes."""
    (scratch := folder / "scratch").mkdir()
    with upstream(program(folder, *lines), scratch, Checkout(folder, folder / "config.py", "")) as theirs:
        return theirs.built(lambda _: None)


def run(folder: Path, *lines: str) -> dict[str, Path]:
    """Return the files of the one frame that a program is asked to run a model without weights on."""
    frame = Frame(
        images=torch.zeros(1, 1, 3, 2, 2), img_from_lidar=torch.zeros(1, 1, 4, 4), can_bus=torch.zeros(1, 18),
        has_history=torch.tensor([False]), tokens=("a",),
    )  # fmt: skip
    (scratch := folder / "scratch").mkdir()
    with upstream(program(folder, *lines), scratch, Checkout(folder, folder / "config.py", "")) as theirs:
        return theirs.run(nn.Identity(), [frame], {"img_neck": "neck"}, history=False)[0]


def test_what_our_child_says_is_understood_and_what_their_code_prints_is_passed_over(tmp_path: Path) -> None:
    built = build(tmp_path, "loading", line(PYTHON), "{}", line(PACKAGES), "", line(MODEL))
    assert built.versions["torch"] == "1.9.1"
    assert built.versions["mmdet"] == "?"
    assert built.weights == {"a.weight": (1, 2)}


def test_files_are_looked_for_in_the_scratch_folder(tmp_path: Path) -> None:
    assert run(tmp_path, line(RUNNING), line(SEEN), line({"is": "done"})) == {
        "img_neck/0": tmp_path / "scratch" / "theirs-1-0.npy"
    }


@pytest.mark.parametrize(
    "said",
    [
        line(PYTHON)[:-5],
        ANSWER,
        ANSWER + "of their own",
        ANSWER + "[" * 10**5,
        line([]),
        line(None),
        line({}),
        line({"is": ["python"]}),
        line({"is": "python"}),
        line({"is": "python", "version": 3.8}),
        line({"is": "failed", "words": "why"}),
        line({"is": "failed", "step": "none", "error": "E", "words": "", "name": None, "where": "", "versions": {}}),
    ],
    ids=[
        "cut", "empty", "no JSON", "deep", "a list", "null", "no event", "a list for an event", "no version",
        "a number for a version", "a failure of nothing", "a step that is none",
    ],
)  # fmt: skip
def test_a_line_that_is_no_event_is_told_and_not_waited_for(said: str, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="something else writes to its output in our name: git status") as told:
        build(tmp_path, said)
    assert told.value.code == 3


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"weights": ["a"]}, "weights"),
        ({"weights": {"a": 3}}, "weights/a"),
        ({"weights": {"a": ["3"]}}, "weights/a/0"),
        ({"stand_ins": 3}, "stand_ins"),
        ({"is": "done"}, "expected Model, heard Done"),
    ],
)
def test_a_model_that_is_described_in_other_types_is_refused(
    changed: dict[str, object], field: str, tmp_path: Path
) -> None:
    with pytest.raises(UpstreamError, match=field):
        build(tmp_path, line(PYTHON), line(PACKAGES), line({**MODEL, **changed}))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"frame": 1}, "expected at most frame 0, heard frame 1"),
        ({"frame": -1}, "frame: Input should be greater"),
        ({"frame": "0"}, "frame: Input should be a valid integer"),
        ({"module": ["img_neck"]}, "module: Input should be a valid string"),
        ({"files": ["theirs-1-0.npy"]}, "files: Input should be"),
        ({"files": {"img_neck/0": 3}}, "files/img_neck/0: Input should be a valid string"),
        *(
            ({"files": {"img_neck/0": name}}, "files/img_neck/0: String should match pattern")
            for name in ("/home/me/x.npy", "../x.npy", "synth/x.npy", "..", "", "x.npy\n", "weights.npz", "a\0.npy")
        ),
    ],
)
def test_an_array_that_lies_elsewhere_or_in_no_frame_is_refused(
    changed: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UpstreamError, match=words) as told:
        run(tmp_path, line(RUNNING), line({**SEEN, **changed}))
    assert told.value.code == 3


@pytest.mark.parametrize("watched", [-1, 10**30, "1", None, 1.5, True])
def test_a_count_that_is_none_is_refused(watched: Any, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="watched: Input should be"):
        run(tmp_path, line({"is": "running", "watched": watched}))


def test_a_link_to_a_file_of_the_user_is_neither_followed_nor_is_the_file_removed(tmp_path: Path) -> None:
    mine, link = tmp_path / "mine.npy", tmp_path / "theirs-1-0.npy"
    np.save(mine, np.ones(3, np.float32))
    link.symlink_to(mine)
    with pytest.raises(UpstreamError, match=r"theirs-1-0\.npy: what the authors' model wrote cannot be read"):
        read_array(link)
    assert mine.exists()


def test_what_is_no_file_with_one_array_of_floats_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npy").mkdir()
    with (tmp_path / "several.npy").open("wb") as stream:
        np.savez(stream, a=np.ones(3))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    whole = tmp_path / "whole.npy"
    np.save(whole, np.ones(3))
    for name, content in (
        ("cut", whole.read_bytes()[:-1]),
        ("huge", whole.read_bytes().replace(b"(3,), }" + b" " * 15, b"(%d,), }" % 10**15)),
        ("odd", whole.read_bytes().replace(b"(3,)", b"((((")),
    ):
        (tmp_path / f"{name}.npy").write_bytes(content)
    for path in sorted(tmp_path.glob("*.npy")):
        if path != whole:
            with pytest.raises(UpstreamError, match=f"{path.name}: what the authors' model wrote cannot be read"):
                read_array(path)
    assert read_array(whole).tolist() == [1, 1, 1]
    assert not whole.exists()
