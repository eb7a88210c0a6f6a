"""The tests of the rules notice an edited rule: nearly every mutant of the judging code makes one of them fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
CAUGHT = 0.95


def equivalents() -> dict[str, str]:
    """Return the mutants that behave as the original does, each with the reason."""
    found: dict[str, str] = json.loads((HERE / "equivalent_mutants.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def hunted() -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.doctor.mutant_hunt"],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_tests_notice_nearly_every_edit_of_a_rule(hunted: Any) -> None:
    alive = [row for row in hunted["survivors"] if row["key"] not in equivalents()]
    counted = hunted["mutants"] - (len(hunted["survivors"]) - len(alive))
    listed = "\n".join(f"  line {row['line']:>3}  {row['key']}" for row in alive)
    caught = 1 - len(alive) / counted
    assert caught >= CAUGHT, f"{caught:.1%} of {counted} mutants caught; write tests that notice these:\n{listed}"


def test_no_mutant_is_excused_that_a_test_notices(hunted: Any) -> None:
    still_there = set(equivalents()) & set(hunted["keys"])
    assert sorted(still_there - {row["key"] for row in hunted["survivors"]}) == []


def test_every_excuse_has_a_reason() -> None:
    assert [key for key, reason in equivalents().items() if len(reason) < 20] == []


def test_there_is_something_to_hunt(hunted: Any) -> None:
    assert hunted["mutants"] > 500
