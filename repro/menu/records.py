"""The pages of the menu about records: check, diff and archive."""

from __future__ import annotations

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.words import passed_to, repro


@task(
    name="check",
    help={
        "run": "a run folder, or a record in it",
        "dataroot": "where the data set lies here, to have the stored results judged again",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(repro, "check")
def check_task(_: Context, run: str, dataroot: str = "", json: bool = False) -> None:
    """Verify the record of somebody's run without a GPU: hashes, figures, verdict; metrics where the data is here."""


@task(
    name="diff",
    help={"one": "a run folder", "other": "another", "json": "print one JSON document and nothing else"},
)
@passed_to(repro, "diff")
def diff_task(_: Context, one: str, other: str, json: bool = False) -> None:
    """Say what differs between two runs, the likeliest to have moved the metric first."""


@task(name="archive", help={"run": "a run folder", "to": "the zip to write"})
@passed_to(repro, "archive")
def archive_task(_: Context, run: str, to: str) -> None:
    """Write a run as an RO-Crate: one zip with its record and every file that it names."""
