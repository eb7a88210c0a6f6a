"""The report as Markdown: for a terminal, a diff, an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.report.facts import (
    MEANING,
    RunFacts,
    checkpoint_words,
    class_table,
    data_rows,
    machine_rows,
    metric_rows,
    metric_words,
    time_rows,
    training_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from repro.artifacts import DataReady, Machine, Trained, Verdict
    from repro.recipe import AnyRecipe


def report(recipe: AnyRecipe, facts: RunFacts) -> str:
    """Return the report of one run as Markdown."""
    sections = (
        _head(recipe, facts),
        _diagnoses(facts.verdict),
        _metrics(facts),
        [f"## By class{facts.label}", "", *_table(*class_table(facts.metrics))],
        _shortened(facts),
        _training(facts.trained),
        _data(facts.data),
        _machine(facts.machine),
        ["## Time by stage", "", *_table(("stage", "wall time"), time_rows(facts.seconds))],
        ["## Run it again", "", "```sh", facts.command, "```"],
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _head(recipe: AnyRecipe, facts: RunFacts) -> list[str]:
    verdict = facts.verdict
    lines = [f"# {recipe.title}", "", f"**{verdict.outcome.upper()}**: {MEANING[verdict.outcome]}.", ""]
    lines += [f"- {reason}" for reason in verdict.reasons]
    if facts.data.warnings:
        lines += [f"- note: {warning}" for warning in facts.data.warnings]
    return lines


def _diagnoses(verdict: Verdict) -> list[str]:
    lines = ["## What this looks like"]
    for diagnosis in verdict.diagnoses:
        lines += ["", f"**{diagnosis.name}** ({diagnosis.source})", ""]
        rows = (("seen", diagnosis.saw), ("likely cause", diagnosis.cause), ("check", diagnosis.check))
        lines += [f"- {name}: {words}" for name, words in rows]
    return lines if verdict.diagnoses else []


def _metrics(facts: RunFacts) -> list[str]:
    headline = len(facts.metrics.headline)
    rows = [
        (name, f"**{value}**" if place < headline else value, *rest)
        for place, (name, value, *rest) in enumerate(metric_rows(facts))
    ]
    header = ("metric", "this run", "published", "difference", "tolerance")
    return [f"## Result{facts.label}", "", *_table(header, rows), "", metric_words(facts)]


def _shortened(facts: RunFacts) -> list[str]:
    if not facts.shortened:
        return []
    return ["## Shortened by --smoke", "", *(f"- {words}" for words in facts.shortened)]


def _training(trained: Trained) -> list[str]:
    notes = [f"- {note}" for note in trained.notes]
    gap = [""] if notes else []
    return ["## Training", "", training_words(trained), *gap, *notes, "", checkpoint_words(trained)]


def _data(data: DataReady) -> list[str]:
    return ["## Data", "", *_table(("", ""), data_rows(data))]


def _machine(machine: Machine) -> list[str]:
    doctor = [f"- {line}" for line in machine.findings] or ["- nothing to report"]
    return ["## Machine", "", *_table(("", ""), machine_rows(machine)), "", "The doctor said:", "", *doctor]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
