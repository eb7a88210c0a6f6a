"""Recording and replaying: the same machine twice, nothing private in between, and no trust in strangers' files."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.facts import Unknown
from doctor.probes import Question, examine
from doctor.record import Recorder, RecordingError, Replay, Subject, load, redact
from doctor.shell import Access, LiveHost

HOME = str(Path(__file__).resolve().parents[2])


def test_a_recorded_machine_replays_to_the_same_facts(tmp_path: Path) -> None:
    live = LiveHost()
    question = Question(python=live.own_python(), folder=HOME)
    recorder = Recorder(live)
    seen = examine(recorder, question)
    recorder.save(tmp_path, Subject(question.python, question.folder))
    replay = load(tmp_path)
    again = examine(replay, Question(python=replay.subject().python, folder=replay.subject().folder))
    stable = [field.name for field in fields(seen) if field.name not in {"disk", "memory"}]
    redacted = {name: getattr(again, name) for name in stable}
    assert {name: type(value) for name, value in redacted.items()} == {
        name: type(getattr(seen, name)) for name in stable
    }
    assert again.toolkit == seen.toolkit
    assert again.kernel_module == seen.kernel_module


def test_a_recording_appears_whole_and_alone(tmp_path: Path) -> None:
    path = Recorder(LiveHost()).save(tmp_path / "new", Subject("/usr/bin/python3", "/"))
    assert [entry.name for entry in path.parent.iterdir()] == ["machine.json"]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/home/ada/bevready", "/home/user/bevready"),
        ("owner: ada", "owner: user"),
        ("canada stays", "canada stays"),
        ("https://ada:s3cret@mirror.example/simple", "https://redacted@mirror.example/simple"),
        ("https://s3cret@mirror.example/simple", "https://redacted@mirror.example/simple"),
        ("http://10.1.2.3:8080/simple", "http://address:8080/simple"),
        ("0::/system.slice/docker-" + "0123456789abcdef" * 4 + ".scope", "0::/system.slice/docker-ID.scope"),
        ("GPU-a230e637-c9e1-1b61-3830-a437b874d88d", "UUID"),
        ("hf_abcdefghijklmnopqrstuv", "token"),
        ("link/ether 52:54:00:ab:cd:ef", "link/ether address"),
        ("nvidia-cusolver 12.0.4.66", "nvidia-cusolver 12.0.4.66"),
    ],
)
def test_what_identifies_is_replaced(text: str, redacted: str) -> None:
    assert redact(text, (("/home/ada", "/home/user"), ("ada", "user"))) == redacted


def test_the_user_and_the_host_are_not_in_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/lovelace")
    monkeypatch.setenv("LOGNAME", "lovelace")
    recorder = Recorder(LiveHost())
    monkeypatch.setenv("CUDA_HOME", "/home/lovelace/cuda")
    recorder.variable("CUDA_HOME")
    text = recorder.save(tmp_path, Subject("/home/lovelace/venv/bin/python", "/home/lovelace")).read_text("utf-8")
    assert "lovelace" not in text
    assert "/home/user/cuda" in text


def test_what_a_recording_does_not_hold_was_not_there() -> None:
    replay = Replay({"schema_version": 1})
    assert replay.run("nvidia-smi").problem == "nvidia-smi cannot be started: it was not there"
    assert (replay.read("/proc/modules"), replay.listing("/dev"), replay.which("g++")) == (None, (), None)
    assert (replay.real_path("/x"), replay.space("/"), replay.variable("PATH")) == (None, None, "")
    assert replay.mount_flags("/") == ()
    assert replay.access("/dev/nvidia0") == Access(exists=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "schema_version is None, expected 1"),
        ('{"schema_version": 9}', "schema_version is 9, expected 1"),
    ],
    ids=["text", "deep", "list", "future"],
)
def test_a_recording_that_is_none_says_so(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "machine.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordingError, match=message):
        load(tmp_path)


def test_a_missing_recording_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="doctor --record DIR"):
        load(tmp_path / "nowhere")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(
    st.sampled_from(["/proc/modules", "/dev", "nvml.py /usr/bin/python3", "c++", "/usr/bin/c++ --version", "/"]), VALUES
)
KINDS = ["commands", "files", "folders", "links", "access", "space", "variables", "programs", "subject", "mounts"]


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(KINDS), ROWS | VALUES))
def test_any_recording_can_be_examined(document: dict[str, Any]) -> None:
    replay = Replay(json.loads(json.dumps(document)))
    machine = examine(replay, Question(python="/usr/bin/python3", folder="/"))
    crashed = [getattr(machine, field.name) for field in fields(machine)]
    assert not [fact for fact in crashed if isinstance(fact, Unknown) and "crashed:" in fact.why]
