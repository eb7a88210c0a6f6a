"""The records as typed: check one. Words in, one call, print; judges nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from repro.record.check import check_run

if TYPE_CHECKING:
    from pathlib import Path

HOLDS, REJECTED = 0, 2
SIGNS = {"holds": "holds", "fails": "FAILS", "not looked at": "–"}


def check(run: Path, *, dataroot: Path | None, as_json: bool) -> int:
    """Print what became of each thing that a record says; return 0 if nothing fails, 2 if something does."""
    findings = check_run(run, dataroot=dataroot)
    failed = [finding for finding in findings if finding.state == "fails"]
    unseen = [finding for finding in findings if finding.state == "not looked at"]
    if as_json:
        document = {"schema_version": 1, "run": str(run), "accepted": not failed, "checks": [*map(asdict, findings)]}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return REJECTED if failed else HOLDS
    for finding in findings:
        sys.stdout.write(f"{SIGNS[finding.state]:<6} {finding.name}: {finding.words}\n")
    hold = len(findings) - len(failed) - len(unseen)
    counts = f"{hold} checks hold, {len(failed)} fail, {len(unseen)} were not looked at"
    sys.stdout.write(f"{'rejected' if failed else 'accepted'}: {counts}\n")
    return REJECTED if failed else HOLDS
