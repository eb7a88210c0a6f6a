"""The records as typed: check one, compare two, archive one. Words in, one call, print; judges nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from repro.record.check import check_run
from repro.record.crate import write_crate
from repro.record.differ import differ, figures
from repro.record.schema import RecordError, read_record
from repro.record.write import newest_record

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


def diff(one: Path, other: Path, *, as_json: bool) -> int:
    """Print what two runs disagree on, the likeliest to have moved the metric first; return 0, or 2 for no record."""
    try:
        left, right = (read_record(newest_record(run)) for run in (one, other))
    except RecordError as error:
        sys.stderr.write(f"{error}\n")
        return REJECTED
    found, headline = differ(left, right), figures(left, right)
    if as_json:
        document = {"schema_version": 1, "one": str(one), "other": str(other), "figures": headline}
        sys.stdout.write(json.dumps({**document, "differences": [*map(asdict, found)]}, indent=1) + "\n")
        return HOLDS
    for name, (mine, theirs) in headline.items():
        apart = "" if mine is None or theirs is None else f" ({theirs - mine:+.4f})"
        sys.stdout.write(f"{name} {_figure(mine)} → {_figure(theirs)}{apart}\n")
    if not found:
        sys.stdout.write("the runs differ in nothing but their times\n")
        return HOLDS
    table = Table("likely effect", "what", str(one), str(other), "why", box=None)
    for row in found:
        table.add_row(row.likely, row.name, row.one, row.other, row.why)
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)
    return HOLDS


def archive(run: Path, to: Path) -> int:
    """Write the run as an RO-Crate; return 0, or 2 for a run that cannot be archived."""
    try:
        count = write_crate(run, to)
    except RecordError as error:
        sys.stderr.write(f"{error}\n")
        return REJECTED
    sys.stdout.write(f"{to}: {count} files\n")
    return HOLDS


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
