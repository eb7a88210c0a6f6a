"""What differs between two machines: first what a finding rests on, then the checks, then the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.__main__ import main
from doctor.consult import consult_recorded
from doctor.diff import Difference, FactDifference, RuleDifference, _leaves, compare
from doctor.facts import Disk, Memory
from doctor.replay import load

if TYPE_CHECKING:
    from doctor.diagnose import Diagnosis

MACHINES = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
HEALTHY, CPU_TORCH = MACHINES / "rtx4090_healthy", MACHINES / "rtx4090_cpu_torch"


def diagnosis(name: str) -> Diagnosis:
    return consult_recorded(load(MACHINES / name)).diagnosis


def test_a_machine_does_not_differ_from_itself() -> None:
    assert compare(diagnosis("rtx4090_healthy"), diagnosis("rtx4090_healthy")).is_empty


def test_the_fact_behind_a_finding_comes_first() -> None:
    found = compare(diagnosis("rtx4090_healthy"), diagnosis("rtx4090_cpu_torch"))
    causes = {fact.path: (fact.before, fact.after) for fact in found.causes}
    assert causes["torch.cuda"] == ("13.0", "")
    assert "TOR02" in next(fact.behind for fact in found.causes if fact.path == "torch.cuda")
    assert {rule.code: (rule.before, rule.after) for rule in found.rules}["TOR02"] == ("ok", "problem")
    assert not {fact.path for fact in found.others} & set(causes)


def test_a_check_that_is_only_skipped_explains_nothing() -> None:
    found = compare(diagnosis("rtx4090_healthy"), diagnosis("debian_minimal"))
    skipped = {rule.code for rule in found.rules if {rule.before, rule.after} == {"ok", "skip"}}
    assert skipped
    assert not skipped & {code for fact in found.causes for code in fact.behind}


def test_a_fact_that_only_one_side_has_is_told_with_the_reason() -> None:
    found = compare(diagnosis("rtx4090_healthy"), diagnosis("v100_driver580"))
    torch = next(fact for fact in (*found.causes, *found.others) if fact.path == "torch")
    assert torch.after == "torch is not installed for /usr/bin/python3"


def test_packages_go_by_name() -> None:
    found = compare(diagnosis("rtx4090_healthy"), diagnosis("numpy2_torchvision_permissions"))
    paths = [fact.path for fact in (*found.causes, *found.others)]
    assert "packages.found.numpy" in paths


@pytest.mark.parametrize(("used", "judged"), [(1 << 20, False), (60 << 30, True)], ids=["a little", "too much"])
def test_what_changes_by_the_minute_counts_only_where_a_check_rests_on_it(used: int, *, judged: bool) -> None:
    one = diagnosis("rtx4090_healthy")
    assert isinstance(one.machine.memory, Memory)
    assert isinstance(one.machine.disk, Disk)
    memory = replace(one.machine.memory, available=one.machine.memory.available - used)
    later = replace(one, machine=replace(one.machine, memory=memory))
    if judged:
        low = diagnosis("debian_minimal")
        verdicts = tuple(
            there if here.rule.code == "STK08" else here for here, there in zip(one.verdicts, low.verdicts, strict=True)
        )
        later = replace(later, verdicts=verdicts)
    found = compare(one, later)
    assert found.is_empty is not judged
    assert [fact.path for fact in found.causes] == (["memory.available"] if judged else [])


@pytest.mark.parametrize(
    ("causes", "rules", "others"),
    [
        ((FactDifference("a", "1", "2", ("X",)),), (), ()),
        ((), (RuleDifference("X", "ok", "skip", "", ""),), ()),
        ((), (), (FactDifference("a", "1", "2"),)),
    ],
)
def test_any_difference_is_one(
    causes: tuple[FactDifference, ...], rules: tuple[RuleDifference, ...], others: tuple[FactDifference, ...]
) -> None:
    assert not Difference(causes, rules, others).is_empty
    assert Difference((), (), ()).is_empty


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        ((12, 8), {"p": "12.8"}),
        ((("numpy", "2.1"), ("torch", "2.9")), {"p.numpy": "2.1", "p.torch": "2.9"}),
        ((("sm_80", "sm_90", "x"),), {"p.0.0": "sm_80", "p.0.1": "sm_90", "p.0.2": "x"}),
        (((1, "a"),), {"p.0.0": "1", "p.0.1": "a"}),
        (("sm", "90"), {"p.0": "sm", "p.1": "90"}),
        (None, {"p": ""}),
    ],
)
def test_every_leaf_has_a_path(value: object, leaves: dict[str, str]) -> None:
    assert dict(_leaves(value, "p")) == leaves


def test_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(HEALTHY), str(CPU_TORCH)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"A is {HEALTHY}, B is {CPU_TORCH}"
    assert lines[1] == "facts behind a finding that only one of them has"
    at = next(number for number, line in enumerate(lines) if line.startswith("  torch.cuda  ["))
    assert lines[at + 1 : at + 3] == ["        A  13.0", "        B  nothing"]
    assert "  TOR02  ok → FAIL" in [line.replace("problem", "FAIL") for line in lines]


def test_no_difference_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(HEALTHY), str(HEALTHY), "--lang", "zh"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "没有差异"


def test_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(HEALTHY), str(CPU_TORCH), "--json", "--only", "TOR02"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [rule["code"] for rule in document["rules"]] == ["TOR02"]
    assert {cause["behind"][0] for cause in document["causes"]} == {"TOR02"}
    assert document["exit_code"] == 1


def test_this_machine_differs_from_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(MACHINES / "gh200_aarch64"), "live", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["after"] == "live"


@pytest.mark.parametrize("names", [[], ["live"], ["a", "b", "c"]])
def test_diff_takes_two(names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *names]) == 2
    assert "name two recordings" in capsys.readouterr().err
