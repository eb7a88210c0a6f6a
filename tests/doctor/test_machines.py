"""Recorded machines: each is judged as its expected.json says, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from doctor.__main__ import main
from doctor.rules import ALL_RULES

MACHINES = sorted((Path(__file__).resolve().parents[1] / "fixtures" / "machines").iterdir())


def expected_of(machine: Path) -> Any:
    return json.loads((machine / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_a_recorded_machine_is_judged_as_expected(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = expected_of(machine)
    code = main(["--replay", str(machine), "--json", "--for", expected["goal"]])
    judged = json.loads(capsys.readouterr().out)
    found = {finding["code"]: finding["severity"] for finding in judged["findings"]}
    assert (found, judged["advice"]["stack"], code) == (expected["findings"], expected["stack"], expected["exit_code"])


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_a_recorded_machine_says_where_it_comes_from(machine: Path) -> None:
    document = json.loads((machine / "machine.json").read_text(encoding="utf-8"))
    assert len(document["provenance"]) > 20


def test_there_are_enough_machines() -> None:
    assert len(MACHINES) >= 12


def test_every_problem_that_only_a_driver_shows_has_a_machine() -> None:
    on_machines = {code for machine in MACHINES for code in expected_of(machine)["findings"]}
    of_the_driver = {rule.code for rule in ALL_RULES if rule.category in {"driver", "secure-boot"}}
    plain_facts_only = {"DRV04", "DRV08", "DRV09", "TOR08"}  # held by test_rules_driver.py and test_rules_torch.py
    assert of_the_driver - plain_facts_only <= on_machines


def test_every_rule_on_packages_and_extensions_has_a_machine() -> None:
    on_machines = {code for machine in MACHINES for code in expected_of(machine)["findings"]}
    codes = {rule.code for rule in ALL_RULES if rule.code[:3] in {"PKG", "EXT", "TOR"}}
    only_by_trying = {"TOR01", "TOR08"}  # `--deep` is not recorded
    assert codes - only_by_trying <= on_machines


def test_what_a_machine_says_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    machine = next(path for path in MACHINES if path.name == "rtx4090_library_mismatch")
    assert main(["--replay", str(machine), "--only", "DRV02,DRV03,STK01,TOR04"]) == 2
    assert capsys.readouterr().out.splitlines()[-11:] == [
        "  ok    DRV02  nouveau does not hold the GPU",
        "  FAIL  DRV03  the driver's library and kernel module have the same version",
        "        saw    the loaded kernel module is 570.172.08, the library is 570.195.03",
        "        want   one version of both",
        "        do     sudo reboot",
        "        do     later: sudo apt-mark hold nvidia-driver-* so that updates wait for you",
        "  skip  STK01  NVML says 18: library and kernel module have different versions",
        "  skip  TOR04  torch is not installed for /usr/bin/python3",
        "1 problem.",
        "stack: cu128 (torch 2.9.1), for 1 GPU",
        "next:  ./bevready repro --recipe bevformer_tiny --data synth --smoke",
    ]
