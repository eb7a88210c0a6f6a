"""Every rule that a recording can show fires on a recorded machine."""

from __future__ import annotations

import json
from pathlib import Path

from doctor.rules import ALL_RULES

RECORDED = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
ASKED_FOR = {"TOR01", "TOR08", "NET01", "NET02", "NET03", "NET04"}  # with --deep and --network, not when recorded


def test_every_rule_that_a_recording_can_show_has_a_machine() -> None:
    expected = [json.loads(path.read_text(encoding="utf-8")) for path in RECORDED.glob("*/expected.json")]
    on_machines = {code for machine in expected for code in machine["findings"]}
    assert sorted({rule.code for rule in ALL_RULES} - ASKED_FOR - on_machines) == []
