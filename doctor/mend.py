"""`--fix` as typed: print the plan, run it step by step, stop at the first that fails. What may be run: `fix.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.fix import pip_settings
from doctor.shell import LiveHost, run_in_sight

if TYPE_CHECKING:
    from collections.abc import Callable

    from doctor.fix import Plan, Step

PIP_CONFIG_TIMEOUT_S = 20.0


def mend(plan: Plan, told: Callable[[str], None]) -> Step | None:
    """Run every step of the plan, naming each before; return the one that failed, None where none did."""
    for step in plan.steps:
        told(f"{step.code}  {step}")
        if _run(step.words):
            return step
    return None


def _run(words: tuple[str, ...]) -> int:
    if words[0] == "mv":
        Path(words[-2]).replace(words[-1])
        return 0
    if "pip" not in words:
        return run_in_sight(words, {})
    listed = LiveHost().run(words[0], "-I", "-m", "pip", "config", "list", timeout_s=PIP_CONFIG_TIMEOUT_S)
    ours = {name for name in os.environ if name.startswith("PIP_")}
    variables = {**pip_settings(listed.out), "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return run_in_sight(words, variables, without=ours)
