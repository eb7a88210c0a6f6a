"""Recording and replaying: the same machine twice, nothing private in between, and no trust in strangers' files."""

from __future__ import annotations

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.__main__ import main
from doctor.facts import Unknown
from doctor.probes import Question, examine
from doctor.record import Recorder, Subject
from doctor.replay import RecordingError, Replay, load
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


def test_the_user_and_the_host_are_not_in_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/lovelace")
    monkeypatch.setenv("LOGNAME", "lovelace")
    recorder = Recorder(LiveHost())
    monkeypatch.setenv("CUDA_HOME", "/home/lovelace/cuda")
    recorder.variable("CUDA_HOME")
    text = recorder.save(tmp_path, Subject("/home/lovelace/venv/bin/python", "/home/lovelace")).read_text("utf-8")
    assert "lovelace" not in text
    assert "/home/user/cuda" in text


def test_a_variable_that_is_empty_and_the_end_of_a_file_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    module = tmp_path / "nvidia.ko"
    module.write_bytes(b"\x00" * 99 + b"~Module signature appended~\n")
    recorder = Recorder(LiveHost())
    for host in (recorder, load(recorder_saved(recorder, tmp_path, str(module)))):
        assert (host.is_set("CUDA_VISIBLE_DEVICES"), host.variable("CUDA_VISIBLE_DEVICES")) == (True, "")
        assert not host.is_set("CUDA_DEVICE_ORDER")
        assert host.tail(str(module), 28) == "~Module signature appended~\n"
        assert host.tail(str(tmp_path / "gone"), 28) is None


def recorder_saved(recorder: Recorder, folder: Path, module: str) -> Path:
    """Ask the questions once, so that the recording holds their answers."""
    recorder.is_set("CUDA_VISIBLE_DEVICES")
    recorder.variable("CUDA_VISIBLE_DEVICES")
    recorder.is_set("CUDA_DEVICE_ORDER")
    recorder.tail(module, 28)
    return recorder.save(folder / "recording", Subject("/usr/bin/python3", "/"))


def test_what_a_recording_does_not_hold_was_not_there() -> None:
    replay = Replay({"schema_version": 1})
    assert replay.run("nvidia-smi").problem == "nvidia-smi cannot be started: it was not there"
    assert (replay.read("/proc/modules"), replay.listing("/dev"), replay.which("g++")) == (None, (), None)
    assert (replay.real_path("/x"), replay.space("/"), replay.variable("PATH")) == (None, None, "")
    assert (replay.tail("/x.ko", 28), replay.is_set("PATH")) == (None, False)
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
KINDS = ["commands", "files", "tails", "folders", "links", "access", "space", "variables", "programs", "subject"]
KINDS += ["mounts"]


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KINDS), ROWS | VALUES))
def test_any_recording_can_be_examined(document: dict[str, Any]) -> None:
    replay = Replay(json.loads(json.dumps(document)))
    machine = examine(replay, Question(python="/usr/bin/python3", folder="/"))
    crashed = [getattr(machine, field.name) for field in fields(machine)]
    assert not [fact for fact in crashed if isinstance(fact, Unknown) and "crashed:" in fact.why]


MACHINES = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
REAL = [
    json.loads((MACHINES / name / "machine.json").read_text(encoding="utf-8"))
    for name in ("rtx4090_healthy", "wsl2_healthy", "nuscenes_on_nfs_half_there")
]
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
HOSTILE = st.one_of(
    VALUES,
    st.sampled_from(
        [10**400, -(10**400), 2**63, 1e308, float("inf"), float("nan"), DEEP, "", "\x00", "\ud800", "a" * 5000]
    ),
    st.lists(st.integers(-(10**30), 10**30), max_size=3),
)


@st.composite
def spoilt_recordings(draw: st.DrawFn) -> dict[str, Any]:
    """Return a real recording with some of its values replaced by hostile ones."""
    document: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = document
        while isinstance(place, (dict, list)) and place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw(st.booleans()):
                place[key] = copy.deepcopy(draw(HOSTILE)) if key != "schema_version" else place[key]
                break
            place = place[key]
    return document


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    spoilt_recordings(), st.sampled_from(["--json", "--markdown", "--issue", "--strict"]), st.sampled_from(["en", "zh"])
)
def test_any_recording_gives_a_diagnosis(tmp_path: Path, document: dict[str, Any], form: str, language: str) -> None:
    (tmp_path / "machine.json").write_text(json.dumps(document), encoding="utf-8")
    assert main(["--replay", str(tmp_path), form, "--lang", language]) in {0, 1, 2, 3}
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        '{"schema_version": ' + "9" * 5000 + "}",
        '{"schema_version": 1, "files": ' + 900 * "[" + 900 * "]" + "}",
    ],
)
def test_numbers_and_depths_without_end(text: str, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text(text, encoding="utf-8")
    assert main(["--replay", str(tmp_path)]) in {0, 2, 3}
