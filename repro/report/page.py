"""The page: one HTML file that needs nothing else, written from the facts of a run and what there is to look at.

Every word from outside is escaped by the template engine; the page forbids itself scripts and styles but its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from repro.artifacts import CocoMetrics
from repro.report.charts import HEIGHT, WIDTH, Chart, line_chart
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
from repro.report.origin import file_rows, origin_rows, taken_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from repro.artifacts import AnyMetrics, PrecisionCurves
    from repro.recipe import AnyRecipe
    from repro.record.schema import Record
    from repro.report.look import Look

ASSETS = Path(__file__).resolve().parent / "assets"
SIGN = {"reproduced": "✓", "within noise": "≈", "better": "▲", "degraded": "▼", "not comparable": "⊘"}
NOT_LOSSES = {"iteration", "loss", "lr", "grad_norm", "seconds"}
LOSS_NAMES = {"cls": "classification", "bbox": "boxes (L1)", "iou": "boxes (GIoU)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """What the page draws beside the facts: rows of the loss log, the judge's curves, pictures, the run's record."""

    losses: Sequence[Mapping[str, float]]
    curves: PrecisionCurves | None
    look: Look
    record: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One figure beside the published one, as places in 0..100 along a scale, with its words."""

    name: str
    measured: str
    published: str
    difference: str
    tolerance: str
    band: tuple[float, float]
    place: float
    published_place: float


def page(recipe: AnyRecipe, facts: RunFacts, shows: Shows) -> str:
    """Return the report of one run as a whole HTML document."""
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=Markup(style),  # noqa: S704 — our own file
            script=Markup(script),  # noqa: S704 — as above
            style_hash=_hash(style),
            script_hash=_hash(script),
            width=WIDTH,
            height=HEIGHT,
            recipe=recipe,
            facts=facts,
            **_words(facts),
            **_drawings(facts, shows),
            **_recorded(facts, shows.record),
            look=shows.look,
            frames=[
                _without_pictures(shown) if place == 0 else asdict(shown)
                for place, shown in enumerate(shows.look.shown)
            ],
            highest=_round_up(max((score for shown in shows.look.shown for score in shown.scores), default=1.0)),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code_spans
    return environment


def _words(facts: RunFacts) -> dict[str, Any]:
    """Return the words and rows of the page."""
    return {
        "sign": SIGN[facts.verdict.outcome],
        "meaning": MEANING[facts.verdict.outcome],
        "metric_rows": metric_rows(facts),
        "metric_words": metric_words(facts),
        "class_table": class_table(facts.metrics),
        "training_words": training_words(facts.trained),
        "checkpoint_words": checkpoint_words(facts.trained),
        "data_rows": data_rows(facts.data),
        "machine_rows": machine_rows(facts.machine),
    }


def _drawings(facts: RunFacts, shows: Shows) -> dict[str, Any]:
    """Return the charts of the page."""
    return {
        "gauges": gauges(facts),
        "bars": bars(facts.metrics),
        "curves": precision_charts(shows.curves, facts.metrics),
        "losses": loss_charts(shows.losses),
    }


def _recorded(facts: RunFacts, record: Record | None) -> dict[str, Any]:
    """Return what the record says, and what is known without one."""
    if record is None:
        return {
            "times": time_rows(facts.seconds),
            "taken": [],
            "origin_rows": [],
            "file_rows": [],
            "doctor": None,
            "gates": (),
        }
    return {
        "times": [],
        "taken": taken_rows(record),
        "origin_rows": origin_rows(record),
        "file_rows": file_rows(record),
        "doctor": record.doctor,
        "gates": record.gates,
    }


def gauges(facts: RunFacts) -> list[Gauge]:
    """Return the headline figures, each with its place beside the published one and that one's tolerance."""
    compared = {comparison.metric: comparison for comparison in facts.verdict.comparisons}
    found = []
    for name, value in facts.metrics.headline.items():
        c = compared.get(name)
        allowed = 0.0 if c is None else c.tolerance + c.noise
        low, high = (value, value) if c is None else (c.published - allowed, c.published + allowed)
        start, end = min(low, value), max(high, value)
        margin = 0.12 * (end - start) or 0.5
        scale = 100 / (end - start + 2 * margin)
        found.append(
            Gauge(
                name=name,
                measured=f"{value:.3f}",
                published="" if c is None else f"{c.published:.3f}",
                difference="" if c is None else f"{c.difference:+.3f}",
                tolerance="" if c is None else f"±{c.tolerance:.3f}" + _more(c.noise),
                band=(round((low - start + margin) * scale, 2), round((high - low) * scale, 2)),
                place=round((value - start + margin) * scale, 2),
                published_place=round(((low + high) / 2 - start + margin) * scale, 2),
            )
        )
    return found


def _more(noise: float) -> str:
    return f" (and {noise:.3f} for its conditions)" if noise else ""


def bars(metrics: AnyMetrics) -> list[tuple[str, float]]:
    """Return the average precision of each class, the highest first; of COCO's those that are there to be found."""
    if isinstance(metrics, CocoMetrics):
        known = [(name, ap) for name, ap in metrics.classes.items() if ap is not None]
    else:
        known = [(name, row.ap) for name, row in metrics.classes.items()]
    return sorted(known, key=lambda row: (-row[1], row[0]))


def precision_charts(curves: PrecisionCurves | None, metrics: AnyMetrics) -> list[Chart]:
    """Return a chart of precision over recall for each class, those with the highest AP first."""
    if curves is None:
        return []
    order = {name: place for place, (name, _) in enumerate(bars(metrics))}
    classes = sorted(curves.classes, key=lambda name: order.get(name, -1))
    return [_precision_chart(name, curves.classes[name], curves.unit) for name in classes]


def _precision_chart(name: str, thresholds: Mapping[str, Sequence[float]], unit: str) -> Chart:
    named = {f"{word} {unit}" if unit == "m" else f"{unit} {word}": values for word, values in thresholds.items()}
    recalls = {
        word: [place / max(1, len(values) - 1) for place in range(len(values))] for word, values in named.items()
    }
    return line_chart(
        name,
        {word: list(zip(recalls[word], values, strict=True)) for word, values in named.items()},
        x_name="recall",
        y_name="precision",
        x_range=(0, 1),
        y_range=(0, 1),
        last={word: f"mean {sum(values) / max(1, len(values)):.3f}" for word, values in named.items()},
    )


def loss_charts(losses: Sequence[Mapping[str, float]]) -> list[Chart]:
    """Return charts over iterations: total loss, its parts summed over the decoder layers, learning rate, gradients."""
    if not losses:
        return []
    parts: dict[str, list[tuple[float, float]]] = {}
    for kind in dict.fromkeys(name.rpartition("loss_")[2] for name in losses[0] if name not in NOT_LOSSES):
        names = [name for name in losses[0] if name.rpartition("loss_")[2] == kind and name not in NOT_LOSSES]
        parts[LOSS_NAMES.get(kind, kind)] = [(row["iteration"], sum(row[name] for name in names)) for row in losses]
    drawn = {"Total loss": {"total": _column(losses, "loss")}, "Parts of the loss": parts}
    drawn["Learning rate"] = {"learning rate": _column(losses, "lr")}
    drawn["Norm of the gradients, before clipping"] = {"norm": _column(losses, "grad_norm")}
    return [
        line_chart(title, lines, x_name="iteration", y_name=title.partition(",")[0].lower())
        for title, lines in drawn.items()
        if any(lines.values())
    ]


def code_spans(words: str) -> Markup:
    """Return words as HTML, what stands between backticks as code."""
    pieces = re.split(r"`([^`]*)`", words)
    spans = (
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )
    return Markup("").join(spans)


def _column(losses: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    return [(row["iteration"], row[name]) for row in losses if name in row]


def _without_pictures(shown: Any) -> dict[str, Any]:
    """Return the first frame as values: its pictures stand in the page already."""
    table = asdict(shown)
    table["views"] = [{**view, "picture": ""} for view in table["views"]]
    return table


def _round_up(score: float) -> float:
    """Return the end of the score's slider: the next of 0.01, 0.02, 0.05, 0.1, …, 1."""
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if score <= end), 1.0)


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy names an inline script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
