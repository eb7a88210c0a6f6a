"""Info files are read without executing anything in them: what they say, and what hostile ones cannot do."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.facts import Infos
from doctor.probes.children import infos_facts
from doctor.probes.data import parse_infos

SCRIPT = Path(infos_facts.__file__)
WLH = [1.9, 4.6, 1.7]


def frame(number: int, *, sides: list[float] | None = None, **more: Any) -> dict[str, Any]:
    size = sides or WLH
    boxes = np.array([[number, 2.0, 3.0, *size, 0.1]] * 2, dtype=np.float64)
    return {
        "token": f"{number:032x}",
        "prev": "",
        "next": "",
        "can_bus": np.zeros(18),
        "scene_token": "s",
        "lidar_path": f"./data/nuscenes/samples/LIDAR_TOP/{number}.bin",
        "cams": {"CAM_FRONT": {"cam_intrinsic": np.eye(3)}},
        "gt_boxes": boxes,
        "gt_names": np.array(["car", "pedestrian"]),
        **more,
    }


def write(path: Path, document: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(document, protocol=protocol))
    return path


def infos(count: int, **about: Any) -> dict[str, Any]:
    return {"infos": [frame(number, **about) for number in range(count)], "metadata": {"version": "v1.0-mini"}}


@pytest.mark.parametrize("protocol", range(6))
def test_what_bevformer_s_converter_writes(protocol: int, tmp_path: Path) -> None:
    told = infos_facts.facts_of(str(write(tmp_path / "a.pkl", infos(5), protocol)))
    assert (told["generation"], told["version"], told["count"], told["boxes"]) == ("infos", "v1.0-mini", 5, "wlh")
    assert {"can_bus", "prev", "next", "scene_token"} <= set(told["keys"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_longer_side_first_is_mmdet3d_1(dtype: type, tmp_path: Path) -> None:
    document = infos(4, sides=[4.6, 1.9, 1.7])
    for row in document["infos"]:
        row["gt_boxes"] = row["gt_boxes"].astype(dtype)
    assert infos_facts.facts_of(str(write(tmp_path / "a.pkl", document)))["boxes"] == "lwh"


@pytest.mark.parametrize(("cars", "told"), [(2, ""), (3, "wlh")])
def test_a_few_cars_prove_nothing(cars: int, told: str, tmp_path: Path) -> None:
    assert infos_facts.facts_of(str(write(tmp_path / "a.pkl", infos(cars))))["boxes"] == told


def test_boxes_with_velocities_count_too(tmp_path: Path) -> None:
    document = infos(3, gt_boxes=np.array([[0, 0, 0, 2, 4, 1, 0, 9, 9]] * 2, dtype=np.float64))
    assert infos_facts.facts_of(str(write(tmp_path / "a.pkl", document)))["boxes"] == "wlh"


def test_the_generation_of_mmdet3d_1_1(tmp_path: Path) -> None:
    document = {
        "metainfo": {"info_version": "1.1", "version": "v1.0-mini"},
        "data_list": [{"sample_idx": 0, "token": "t"}],
    }
    told = infos_facts.facts_of(str(write(tmp_path / "a.pkl", document)))
    assert (told["generation"], told["count"], told["version"]) == ("data_list", 1, "v1.0-mini")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("version", ["v1.0-mini", "v1.0-trainval", "v1.0-test"])
def test_a_large_file_is_judged_by_its_ends(
    protocol: int, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.pkl", infos(400) | {"metadata": {"version": version}}, protocol)
    whole = infos_facts.facts_of(str(path))
    monkeypatch.setattr(infos_facts, "WHOLE", path.stat().st_size - 1)
    monkeypatch.setattr(infos_facts, "HEAD", path.stat().st_size // 2)
    assert infos_facts.facts_of(str(path)) == whole | {"count": None}
    monkeypatch.setattr(infos_facts, "HEAD", 4000)
    assert infos_facts.facts_of(str(path))["version"] == version


class Command:
    def __init__(self, function: Any, *words: Any) -> None:
        self.called = (function, words)

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize(
    "hostile",
    [
        Command(os.system, "touch HACKED"),
        Command(eval, "open('HACKED', 'w')"),
        Command(exec, "open('HACKED', 'w')"),
        Command(getattr, "x", "upper"),
        Command(subprocess.Popen, ["touch", "HACKED"]),
        Command(open, "HACKED", "w"),
        {"infos": [{"token": Command(os.mkdir, "HACKED")}]},
    ],
    ids=["system", "eval", "exec", "getattr", "Popen", "open", "inside"],
)
def test_nothing_in_it_is_executed(hostile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.pkl", hostile)
    assert "it asks for" in infos_facts.facts_of(str(path))["problem"]
    assert not (tmp_path / "HACKED").exists()
    monkeypatch.setattr(infos_facts, "WHOLE", 0)
    monkeypatch.setattr(infos_facts, "TAIL", 4)
    assert "it asks for" in infos_facts.facts_of(str(path))["problem"]
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        b"\x80\x04" + 100000 * b"(",
        b"\x80\x04" + 5000 * b"]\x94" + 4999 * b"a" + b".",
        b"\x80\x04]r\xff\xff\xff\x7f.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x02\x8a\xff" + 300 * b"9" + b".",
        b"\x80\x04cnumpy\ndtype\n)R}b.",
        b"Pid\n.",
        pickle.dumps([1, 2]),
        pickle.dumps({"infos": 3}),
        pickle.dumps({"infos": [3, {}], "metadata": []}),
        pickle.dumps({"infos": [{"gt_names": np.array(["car"]), "gt_boxes": np.zeros((0, 7))}], "metadata": None}),
    ],
)
def test_a_broken_file_says_so_in_the_child(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(path), str(tmp_path / "none.pkl")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows[1]["problem"] == "No such file or directory"
    assert isinstance(parse_infos(("a.pkl", "none.pkl"), done.stdout)[0], Infos)


GOOD = pickle.dumps(infos(3))


# without the opcode that asks for memory: the child has a limit, this process has none
HARMLESS = st.binary(max_size=80).map(lambda data: data.replace(b"r", b"s"))


def spoilt(at: int, to: bytes) -> bytes:
    at %= len(GOOD)
    return GOOD[:at] + to + GOOD[at + len(to) :]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(HARMLESS | st.builds(spoilt, st.integers(0, 4000), HARMLESS.map(lambda data: data[:6])))
def test_any_bytes_end_in_an_answer(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(data)
    assert json.loads(json.dumps(infos_facts.facts_of(str(tmp_path / "a.pkl"))))


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "[" * 5000, '[{"keys": 3, "count": "x"}]'])
def test_whatever_the_child_prints_there_is_a_row_for_each_file(text: str) -> None:
    rows = parse_infos(("a.pkl",), text, "it hung")
    assert len(rows) == 1
    assert rows[0].count is None


def test_a_child_that_hung_is_named() -> None:
    assert parse_infos(("a", "b"), "", "it hung") == (
        Infos(name="a", problem="it hung"),
        Infos(name="b", problem="it hung"),
    )


def test_a_child_that_said_nothing_is_named_too() -> None:
    assert parse_infos(("a",), "") == (Infos(name="a", problem="no answer"),)


def test_nothing_is_nothing_and_not_the_word_none() -> None:
    row = dict.fromkeys(("generation", "version", "count", "keys", "boxes", "problem"))
    assert parse_infos(("a",), json.dumps([row])) == parse_infos(("a",), "[{}]") == (Infos(name="a"),)


@given(st.text())
def test_any_text_of_the_child_can_be_read(text: str) -> None:
    assert len(parse_infos(("a", "b"), text)) == 2
