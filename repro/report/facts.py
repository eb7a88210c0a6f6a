"""What a report says, as values and rows of words: read by the Markdown and by the page alike.

Words between `backticks` are names of files, splits or hashes.
"""

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
    from collections.abc import Mapping

SYNTHETIC = "synthetic: not comparable with published numbers"
ERROR_NAMES = dict(zip(TP_ERRORS, ("mATE (m)", "mASE", "mAOE (rad)", "mAVE (m/s)", "mAAE"), strict=True))
MEANING = {
    "reproduced": "the published number reproduces within its tolerance",
    "within noise": "off by more than the tolerance, and by no more than the run's conditions explain",
    "better": "above the published number by more than its tolerance",
    "degraded": "below the published number by more than its tolerance",
    "not comparable": "this run must not be compared with the published number",
}
Row = tuple[str, ...]


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

    @property
    def label(self) -> str:
        """What stands behind every heading over figures of synthetic data; empty for real data."""
        return f" ({SYNTHETIC})" if self.data.synthetic else ""


def metric_rows(facts: RunFacts) -> list[Row]:
    """Return name, this run, published, difference, tolerance: the headline first, then what else the judge says."""
    published = {
        c.metric: (f"{c.published:.3f}", f"{c.difference:+.4f}", f"±{c.tolerance:.3f}")
        for c in facts.verdict.comparisons
    }
    headline = facts.metrics.headline.items()
    rows: list[Row] = [(name, f"{value:.4f}", *published.get(name, ("", "", ""))) for name, value in headline]
    return rows + [(words, value, "", "", "") for words, value in _other_figures(facts.metrics)]


def _other_figures(metrics: AnyMetrics) -> list[tuple[str, str]]:
    """Return what an evaluator says besides its headline: errors, or precision and recall by size."""
    if isinstance(metrics, Metrics):
        return [(words, f"{metrics.errors[key]:.4f}") for key, words in ERROR_NAMES.items()]
    return [(name, figure(value, 4)) for name, value in metrics.figures.items() if name != "AP"]


def metric_words(facts: RunFacts) -> str:
    """Return who judged what, and where the published figure stands."""
    metrics = facts.metrics
    evaluator, unit = ("COCO's", "images") if isinstance(metrics, CocoMetrics) else ("Official nuScenes", "samples")
    return (
        f"{evaluator} evaluator on `{metrics.eval_set}`: {metrics.samples} of {metrics.samples_in_split} "
        f"{unit}, {metrics.detections} boxes. Published: {facts.verdict.source}."
    )


def class_table(metrics: AnyMetrics) -> tuple[Row, list[Row]]:
    """Return header and rows of the figures by class."""
    if isinstance(metrics, CocoMetrics):
        return ("class", "AP"), [(name, figure(ap, 3)) for name, ap in metrics.classes.items() if ap is not None]
    thresholds = next(iter(metrics.classes.values())).ap_at if metrics.classes else {}
    header = ("class", "AP", *(f"AP at {t} m" for t in thresholds))
    header += tuple(key.removesuffix("_err") for key in TP_ERRORS)
    return header, [(name, *_class_cells(row)) for name, row in metrics.classes.items()]


def _class_cells(row: ClassMetrics) -> list[str]:
    errors = [row.errors.get(key) for key in TP_ERRORS]
    return [f"{v:.3f}" for v in (row.ap, *row.ap_at.values())] + [figure(e, 3) for e in errors]


def training_words(trained: Trained) -> str:
    """Return in a sentence how the checkpoint came about."""
    if trained.iterations == 0:
        return f"No training: {trained.init}."
    return (
        f"{trained.iterations} iterations of {trained.iterations_per_epoch * trained.epochs} "
        f"({trained.epochs} epochs of {trained.iterations_per_epoch}) in {duration_words(trained.seconds)}, "
        + (f"{trained.batch} {trained.items} each, " if trained.batch else "")
        + f"started from {trained.init}; total loss {_loss(trained.first_loss)} at the first logged iteration, "
        f"{_loss(trained.last_loss)} at the last (`train/losses.csv`, `train/tensorboard`)."
    )


def checkpoint_words(trained: Trained) -> str:
    """Return which checkpoint was judged."""
    return f"Checkpoint `{trained.checkpoint}`, SHA-256 `{trained.sha256}`."


def data_rows(data: DataReady) -> list[Row]:
    """Return what the data set was, as names and values."""
    return [
        ("data set", f"{data.dataset} {data.version}" + (f" ({SYNTHETIC})" if data.synthetic else "")),
        ("folder", f"`{data.dataroot}`"),
        ("boxes", str(data.boxes)) if data.scenes is None else ("scenes, boxes", f"{data.scenes}, {data.boxes}"),
        (f"training split `{data.train_split}`", f"{data.train_samples} samples"),
        (f"evaluation split `{data.eval_split}`", f"{data.eval_samples} samples"),
        ("fingerprint", f"`{data.fingerprint}`"),
    ]


def machine_rows(machine: Machine) -> list[Row]:
    """Return what the run ran on, as names and values."""
    tf32 = "on" if machine.tf32 else "off"
    return [
        ("bevready", f"{machine.bevready}, source `{machine.source}`"),
        ("stack", machine.stack),
        ("Python, PyTorch", f"{machine.python}, {machine.torch}"),
        ("device", f"{machine.device_name} (`{machine.device}`), precision {machine.precision}, TF32 {tf32}"),
        ("deformable attention", machine.op),
        ("cores, threads, memory", f"{machine.cores}, {machine.threads}, {machine.memory_gib:.0f} GiB"),
    ]


def time_rows(seconds: Mapping[str, float | None]) -> list[Row]:
    """Return each stage and how long it took."""
    return [(stage, "not run" if s is None else duration_words(s)) for stage, s in seconds.items()]


def figure(value: float | None, digits: int) -> str:
    """Return a figure with so many decimals; a dash where it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _loss(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
