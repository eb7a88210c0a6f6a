"""Recorded machines with a few answers missing, cut, doubled or swapped: judged all the same, and nothing crashes."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from doctor import render
from doctor.consult import consult
from doctor.finding import Goal
from doctor.probes import Question
from doctor.replay import Replay

RECORDED = sorted((Path(__file__).resolve().parents[1] / "fixtures" / "machines").glob("*/machine.json"))
DOCUMENTS = [json.loads(path.read_text(encoding="utf-8")) for path in RECORDED]
KINDS = ("commands", "files", "folders", "links", "access", "space", "variables", "programs")
GOALS = (Goal("run"), Goal("build-ext"), Goal("docker"), Goal("recipe", "bevformer_tiny"))


@st.composite
def damaged_machines(draw: st.DrawFn) -> dict[str, Any]:
    """Return a recording in which up to five answers are damaged."""
    document: dict[str, Any] = deepcopy(draw(st.sampled_from(DOCUMENTS)))
    other = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(KINDS))
        rows = document.get(kind) or {}
        if rows:
            key = draw(st.sampled_from(sorted(rows)))
            rows[key] = draw(st.sampled_from((None, (other.get(kind) or {}).get(key), *damages(rows[key]))))
    return document


def damages(answer: Any) -> list[Any]:
    """Return broken forms of an answer: of a command, of a file's or a folder's lines, of a path, of numbers."""
    if isinstance(answer, dict):
        lines = [{**answer, "out": out} for out in damages(answer.get("out"))]
        silent = {"code": None, "out": [""], "problem": "it gave no answer in 4 s"}
        return [*lines, {**answer, "code": 1}, {**answer, "code": -11, "out": [""]}, silent]
    if isinstance(answer, list) and all(isinstance(line, str) for line in answer):
        text = "\n".join(answer)
        cut = [[text[: len(text) // 2]], [text[len(text) // 2 :]], answer[:1], answer[1:], answer * 2]
        return [*cut, [], [text.replace(".", "")], [text.replace("0", "٣")], [text.upper()], ["9" * 5000]]
    return [[0, 0], [-1, -1], "", "/", "w", [1 << 70, 1 << 70]]


@settings(max_examples=150)  # a busy machine is slow, not wrong
@given(damaged_machines(), st.sampled_from(GOALS))
def test_a_damaged_recording_is_judged(document: dict[str, Any], goal: Goal) -> None:
    replay = Replay(document)
    subject = replay.subject()
    question = Question(python=subject.python, folder=subject.folder, dataroot=subject.dataroot)
    told = consult(replay, question=question, goal=goal)
    whole = json.loads(render.as_json(told.diagnosis, told.advice, exit_code=0))
    assert "crashed:" not in json.dumps([whole["skipped"], whole["machine"]])
    assert render.terminal(told.diagnosis, told.advice)
    assert render.markdown(told.diagnosis, told.advice)
