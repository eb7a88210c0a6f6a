"""Nothing private leaves a machine: whatever the secret and wherever it stands. Versions are no secret."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.__main__ import main
from doctor.record import Recorder, Subject
from doctor.redact import own_names, redact, redact_all, redact_variable
from doctor.replay import Replay, load

NAMES = (("/home/ada", "/home/user"), ("ada", "user"), ("analytical-engine", "host"))
HEALTHY = str(Path(__file__).resolve().parents[1] / "fixtures" / "machines" / "rtx4090_healthy")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/home/ada/bevready", "/home/user/bevready"),
        ("/home/grace/bevready:/home/grace/x", "/home/other/bevready:/home/other/x"),
        ("/home/user/bevready", "/home/user/bevready"),
        ("/home/username/x", "/home/other/x"),
        ("/Users/grace/x", "/Users/other/x"),
        ("owner: ada", "owner: user"),
        ("ada@analytical-engine", "user@host"),
        ("canada stays", "canada stays"),
        ("https://ada:s3cret@mirror.example/simple", "https://redacted@mirror.example/simple"),
        ("https://oauth2:@host.example/x", "https://redacted@host.example/x"),
        ("https://sometoken@host.example/x", "https://redacted@host.example/x"),
        ("http://10.1.2.3:8080/simple", "http://address:8080/simple"),
        ("trusted-host = 10.1.2.3", "trusted-host = address"),
        ("10.1.2.3:/export on /data type nfs4", "address:/export on /data type nfs4"),
        ("inet 203.0.113.7/24", "inet address/24"),
        ('{"server": "10.1.2.3"}', '{"server": "address"}'),
        ('"NO_PROXY": "192.168.1.7,127.0.0.1"', '"NO_PROXY": "address,127.0.0.1"'),
        ("inet6 fe80::1ff:fe23:4567:890a", "inet6 address"),
        ("2001:db8::8a2e:370:7334 answered", "address answered"),
        ("http://[2001:db8::1]:8080/", "http://address:8080/"),
        ("GPU-a230e637-c9e1-1b61-3830-a437b874d88d", "UUID"),
        ("MIG-A230E637-C9E1-1B61-3830-A437B874D88D", "UUID"),
        ("hf_abcdefghijklmnopqrstuv", "token"),
        ("ghp_" + 36 * "a", "token"),
        ("github_pat_" + 40 * "b", "token"),
        ("glpat-" + 20 * "c", "token"),
        ("pypi-" + 40 * "d", "token"),
        ("AKIAIOSFODNN7EXAMPLE", "token"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer token"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic token"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.sig", "token"),
        ("db_password=hunter22 next", "db_password=redacted next"),
        ('{"api_key": "abcdef"}', '{"api_key": "redacted"}'),
        ("link/ether 52:54:00:ab:cd:ef", "link/ether address"),
        ("52-54-00-AB-CD-EF", "address"),
        ("write to ada.l@engine.example.org", "write to e-mail"),
    ],
)
def test_what_identifies_is_replaced(text: str, redacted: str) -> None:
    assert redact(text, NAMES) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "nvidia-cusolver 12.0.4.66",
        '"nvidia-curand-cu12": "10.3.5.147"',
        r"\"opencv-python\": \"4.10.0.84\"",
        "nvidia_curand_cu12-10.3.5.147.dist-info",
        "nvidia-curand-cu12==10.3.5.147",
        "6.6.87.2-microsoft-standard-WSL2",
        "cuDNN version 9.1.0.70",
        "libnvinfer.so.8.6.1.6",
        "0000:01:00.0",
        "580.95.05",
        "127.0.0.1",
        "999.1.1.1",
        "c10::add(at::Tensor)",
        "std::__cxx11::basic_string",
        "12:34:56",
        "1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d",
        "sm_80 sm_90",
        "hf_short",
        "the bearer of news",
        "name@1.2",
        "home/ada-lovelace-institute".replace("ada-", "acme-"),
    ],
)
def test_what_does_not_stays(text: str) -> None:
    assert redact(text, NAMES) == text


ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
OCTET = st.integers(1, 254).map(str)


def run_of(alphabet: str, low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=low, max_size=high)


SECRETS = st.one_of(
    st.tuples(st.sampled_from(["hf_", "ghp_", "gho_", "github_pat_", "glpat-", "pypi-"]), run_of(ALNUM, 20, 60)).map(
        "".join
    ),
    run_of(string.ascii_uppercase + string.digits, 16, 16).map(lambda tail: "AKIA" + tail),
    st.uuids().map(str),
    st.lists(run_of(HEX, 2, 2), min_size=6, max_size=6).map(":".join),
    st.tuples(run_of("abcdef", 4, 9), run_of(string.ascii_lowercase, 3, 9)).map(lambda p: f"{p[0]}@{p[1]}.example"),
    st.tuples(st.just("192.168"), OCTET, OCTET).map(".".join),
    st.tuples(st.just("172"), st.integers(16, 31).map(str), OCTET, OCTET).map(".".join),
    st.tuples(run_of(HEX, 1, 4), run_of(HEX, 1, 4)).map(lambda p: f"fe80::{p[0]}:{p[1]}"),
)
AROUND = st.sampled_from(
    ["{}", " {} ", "key={}", '"{}"', "({})", "http://{}/x", "a\t{}\tb", "[{}]", "x: {}, y", "<{}>", "'{}'", "error {};"]
)


@settings(max_examples=150)
@given(SECRETS, AROUND, st.sampled_from(["files", "variables", "links", "commands", "folders", "subject"]))
def test_no_secret_comes_out_of_any_field(secret: str, around: str, field: str) -> None:
    told = around.format(secret)
    row = {"code": 0, "out": [told], "err": [told], "problem": told}
    answers = {
        "files": {"/f": [told]},
        "variables": {"V": told},
        "links": {"/f": told},
        "commands": {"tool": row},
        "folders": {"/d": [told]},
    }
    recorder = Recorder(Replay({field: answers.get(field, {})}))
    recorder.read("/f")
    recorder.variable("V")
    recorder.real_path("/f")
    recorder.run("tool")
    recorder.listing("/d")
    subject = Subject("/usr/bin/python3", told if field == "subject" else "/")
    assert secret not in json.dumps(recorder.document(subject), ensure_ascii=False)


@given(st.text(), st.text(string.ascii_lowercase, min_size=4, max_size=9))
def test_redacting_twice_is_redacting_once(text: str, name: str) -> None:
    names = ((name, "user"),) if name != "user" else ()
    once = redact(text, names)
    assert redact(once, names) == once


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_any_value_keeps_its_form(value: object) -> None:
    assert type(redact_all(value)) is type(value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("HF_TOKEN", "redacted"),
        ("AWS_SECRET_ACCESS_KEY", "redacted"),
        ("CUDA_HOME", "x"),
        ("OPENAI_API_KEY", "redacted"),
    ],
)
def test_a_variable_whose_name_says_secret_is_one(name: str, told: str) -> None:
    assert redact_variable(name, "x") == told


def test_a_user_called_as_a_tool_breaks_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/nvidia")
    monkeypatch.setenv("LOGNAME", "nvidia")
    recorder = Recorder(
        Replay({"programs": {"nvidia-smi": "/usr/bin/nvidia-smi"}, "variables": {"X": "/home/nvidia/x"}})
    )
    recorder.which("nvidia-smi")
    recorder.variable("X")
    recorder.save(tmp_path, Subject("/usr/bin/python3", "/home/nvidia/bevready"))
    again = load(tmp_path)
    assert (again.which("nvidia-smi"), again.variable("X")) == ("/usr/bin/nvidia-smi", "/home/user/x")
    assert again.subject().folder == "/home/user/bevready"


@pytest.mark.parametrize("user", ["code", "out", "python", "files", "schema_version"])
def test_a_user_called_as_a_key_breaks_no_recording(user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", user)
    recorder = Recorder(Replay({"commands": {"tool": {"code": 3, "out": ["x"]}}}))
    recorder.run("tool")
    recorder.save(tmp_path, Subject("/usr/bin/python3", "/"))
    assert load(tmp_path).run("tool").code == 3


def test_root_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("LOGNAME", "root")
    assert {word for _, word in own_names()} <= {"host"}


def test_without_redaction_everything_stays_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_HOME", "/home/grace/cuda")
    main(["--record", str(tmp_path / "open"), "--no-redact", "--only", "CXX01"])
    assert "not redacted" in capsys.readouterr().err
    assert "/home/grace/cuda" in (tmp_path / "open" / "machine.json").read_text("utf-8")
    main(["--record", str(tmp_path / "shut"), "--only", "CXX01"])
    assert "/home/grace/cuda" not in (tmp_path / "shut" / "machine.json").read_text("utf-8")


def test_an_issue_is_redacted_and_leaves_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_HOME", "/home/grace/cuda")
    main(["--issue"])
    text = capsys.readouterr().out
    assert "grace" not in text
    assert text.startswith("## What happened\n")
    assert "/home/other/cuda" in text
    main(["--replay", HEALTHY, "--issue", "--lang", "zh"])
    assert capsys.readouterr().out.startswith("## 发生了什么\n")
