"""The report: Markdown drawn from what the stages left behind, and from nothing else. It measures nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.artifacts import (
    TP_ERRORS,
    AnyMetrics,
    ClassMetrics,
    CocoMetrics,
    DataReady,
    Machine,
    Metrics,
    Trained,
    Verdict,
)
from repro.progress import duration_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from repro.recipe import AnyRecipe

SYNTHETIC = "synthetic: not comparable with published numbers"
ERROR_NAMES = dict(zip(TP_ERRORS, ("mATE (m)", "mASE", "mAOE (rad)", "mAVE (m/s)", "mAAE"), strict=True))
MEANING = {
    "reproduced": "the published number reproduces within its tolerance",
    "better": "above the published number by more than its tolerance",
    "degraded": "below the published number by more than its tolerance",
    "not comparable": "this run must not be compared with the published number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything the report draws from."""

    machine: Machine
    data: DataReady
    trained: Trained
    metrics: AnyMetrics
    verdict: Verdict
    seconds: Mapping[str, float | None]
    shortened: tuple[str, ...]
    command: str


def report(recipe: AnyRecipe, facts: RunFacts) -> str:
    """Return the report of one run as Markdown."""
    sections = (
        _head(recipe, facts),
        _diagnoses(facts.verdict),
        _metrics(facts),
        _classes(facts),
        _shortened(facts),
        _training(facts.trained),
        _data(facts.data),
        _machine(facts.machine),
        _times(facts.seconds),
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
    metrics, verdict = facts.metrics, facts.verdict
    label = f" ({SYNTHETIC})" if facts.data.synthetic else ""
    published = {
        c.metric: (f"{c.published:.3f}", f"{c.difference:+.4f}", f"±{c.tolerance:.3f}") for c in verdict.comparisons
    }
    rows = [(name, f"**{value:.4f}**", *published.get(name, ("", "", ""))) for name, value in metrics.headline.items()]
    rows += [(words, value, "", "", "") for words, value in _other_figures(metrics)]
    evaluator, unit = ("COCO's", "images") if isinstance(metrics, CocoMetrics) else ("Official nuScenes", "samples")
    return [
        f"## Result{label}",
        "",
        *_table(("metric", "this run", "published", "difference", "tolerance"), rows),
        "",
        (
            f"{evaluator} evaluator on `{metrics.eval_set}`: {metrics.samples} of {metrics.samples_in_split} "
            f"{unit}, {metrics.detections} boxes. Published: {verdict.source}."
        ),
    ]


def _other_figures(metrics: AnyMetrics) -> list[tuple[str, str]]:
    """Return what an evaluator says besides its headline: errors, or precision and recall by size."""
    if isinstance(metrics, Metrics):
        return [(words, f"{metrics.errors[key]:.4f}") for key, words in ERROR_NAMES.items()]
    return [(name, _cell(value, 4)) for name, value in metrics.figures.items() if name != "AP"]


def _classes(facts: RunFacts) -> list[str]:
    header: tuple[str, ...] = ("class", "AP")
    rows: list[tuple[str, ...]]
    if isinstance(facts.metrics, CocoMetrics):
        rows = [(name, _cell(ap, 3)) for name, ap in facts.metrics.classes.items() if ap is not None]
    else:
        rows = [(name, *_class_cells(row)) for name, row in facts.metrics.classes.items()]
        thresholds = next(iter(facts.metrics.classes.values())).ap_at if facts.metrics.classes else {}
        header += tuple(f"AP at {t} m" for t in thresholds)
        header += tuple(key.removesuffix("_err") for key in TP_ERRORS)
    label = f" ({SYNTHETIC})" if facts.data.synthetic else ""
    return [f"## By class{label}", "", *_table(header, rows)]


def _class_cells(row: ClassMetrics) -> list[str]:
    errors = [row.errors.get(key) for key in TP_ERRORS]
    return [f"{v:.3f}" for v in (row.ap, *row.ap_at.values())] + [_cell(e, 3) for e in errors]


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _shortened(facts: RunFacts) -> list[str]:
    if not facts.shortened:
        return []
    return ["## Shortened by --smoke", "", *(f"- {words}" for words in facts.shortened)]


def _training(trained: Trained) -> list[str]:
    if trained.iterations == 0:
        how = f"No training: {trained.init}."
    else:
        how = (
            f"{trained.iterations} iterations of {trained.iterations_per_epoch * trained.epochs} "
            f"({trained.epochs} epochs of {trained.iterations_per_epoch}) in {duration_words(trained.seconds)}, "
            + (f"{trained.batch} {trained.items} each, " if trained.batch else "")
            + f"started from {trained.init}; total loss {_number(trained.first_loss)} at the first logged iteration, "
            f"{_number(trained.last_loss)} at the last (`train/losses.csv`, `train/tensorboard`)."
        )
    notes = [f"- {note}" for note in trained.notes]
    return [
        "## Training",
        "",
        how,
        *([""] if notes else []),
        *notes,
        "",
        f"Checkpoint `{trained.checkpoint}`, SHA-256 `{trained.sha256}`.",
    ]


def _data(data: DataReady) -> list[str]:
    rows = [
        ("data set", f"{data.dataset} {data.version}" + (f" ({SYNTHETIC})" if data.synthetic else "")),
        ("folder", f"`{data.dataroot}`"),
        ("boxes", str(data.boxes)) if data.scenes is None else ("scenes, boxes", f"{data.scenes}, {data.boxes}"),
        (f"training split `{data.train_split}`", f"{data.train_samples} samples"),
        (f"evaluation split `{data.eval_split}`", f"{data.eval_samples} samples"),
        ("fingerprint", f"`{data.fingerprint}`"),
    ]
    return ["## Data", "", *_table(("", ""), rows)]


def _machine(machine: Machine) -> list[str]:
    tf32 = "on" if machine.tf32 else "off"
    rows = [
        ("bevready", f"{machine.bevready}, source `{machine.source}`"),
        ("stack", machine.stack),
        ("Python, PyTorch", f"{machine.python}, {machine.torch}"),
        (
            "device",
            f"{machine.device_name} (`{machine.device}`), precision {machine.precision}, TF32 {tf32}",
        ),
        ("deformable attention", machine.op),
        ("cores, threads, memory", f"{machine.cores}, {machine.threads}, {machine.memory_gib:.0f} GiB"),
    ]
    doctor = [f"- {line}" for line in machine.findings] or ["- nothing to report"]
    return ["## Machine", "", *_table(("", ""), rows), "", "The doctor said:", "", *doctor]


def _times(seconds: Mapping[str, float | None]) -> list[str]:
    rows = [(stage, "not run" if s is None else duration_words(s)) for stage, s in seconds.items()]
    return ["## Time by stage", "", *_table(("stage", "wall time"), rows)]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
