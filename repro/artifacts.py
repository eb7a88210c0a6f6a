"""What each stage leaves behind: frozen values that a run folder stores as JSON and the report reads back.

Only the types live here; `rundir.py` writes and reads them, the stages fill them in. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["reproduced", "within noise", "better", "degraded", "not comparable"]
GateOutcome = Literal["passed", "failed", "not possible"]
STAGES = ("data", "train", "evaluate", "compare", "record", "report")
STORED = STAGES[:4]  # leave a value that a later call loads
GATES = ("released", "golden", "short", "full")  # of the ladder, lowest first
COCO_FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
TP_ERRORS = ("trans_err", "scale_err", "orient_err", "vel_err", "attr_err")  # the devkit's names; mATE … mAAE


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the run ran on. Units: cores, GiB."""

    bevready: str
    source: str
    python: str
    torch: str
    device: str
    device_name: str
    cores: int
    memory_gib: float
    threads: int
    precision: str
    tf32: bool
    op: str
    stack: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReady:
    """A data set that was checked and indexed. Counts are samples, scenes and boxes found on disk."""

    dataset: str
    dataroot: str
    version: str
    synthetic: bool
    fingerprint: str
    train_split: str
    eval_split: str
    train_samples: int
    eval_samples: int
    scenes: int | None  # None: images of their own, no scenes
    boxes: int
    warnings: tuple[str, ...]
    infos: str | None = None  # the folder of upstream's info files that frames were read from, None: the tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A checkpoint and how it came about. `checkpoint` is relative to the run folder unless it came from outside."""

    checkpoint: str
    sha256: str
    init: str
    epochs: int
    iterations: int
    iterations_per_epoch: int
    first_loss: float | None
    last_loss: float | None
    seconds: float
    notes: tuple[str, ...]
    batch: int | None = None  # items an iteration, all processes together; None without training
    items: str = "clips"  # what a batch is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """Average precision of one class by distance threshold (metres, as text), and its true-positive errors.

    An error that the benchmark does not define for the class (a cone's orientation) is None.
    """

    ap: float
    ap_at: dict[str, float]
    errors: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the official nuScenes evaluator said (spec §F.4): all values in 0..1 except errors (m, rad, m/s)."""

    nds: float
    mean_ap: float
    errors: dict[str, float]
    classes: dict[str, ClassMetrics]
    eval_set: str
    samples: int
    samples_in_split: int
    detections: int
    results: str
    seconds: float
    processes: int = 1  # among which the frames were shared

    @property
    def headline(self) -> dict[str, float]:
        """The figures that published tables print, by name."""
        return {"NDS": self.nds, "mAP": self.mean_ap}


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoMetrics:
    """What COCO's evaluator said of boxes (Deformable DETR spec §H), in 0..1; None where there is nothing to find.

    `figures` by the names in `COCO_FIGURES` (s, m, l: areas under 32², under 96², above), `classes` is AP by category.
    """

    figures: dict[str, float | None]
    classes: dict[str, float | None]
    eval_set: str
    samples: int
    samples_in_split: int
    detections: int
    results: str
    seconds: float
    processes: int = 1  # among which the images were shared

    @property
    def headline(self) -> dict[str, float]:
        """The figure that published tables print, by name."""
        return {"box AP": self.figures["AP"] or 0.0}


AnyMetrics = Metrics | CocoMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionCurves:
    """Precision at evenly spaced recalls from 0 to 1, as the evaluator interpolates it, by class and threshold.

    `unit` is what thresholds mean: "m" (centre distance) or "IoU". A class without ground truth has no curve.
    """

    unit: str
    classes: dict[str, dict[str, tuple[float, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something about the run that is not as in the published one, and what it is known to do to the metric.

    `allows` widens the tolerance to both sides, in the metric's unit (0..1); 0.0 where nobody measured the effect.
    """

    name: str
    published: str
    here: str
    allows: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One published figure beside ours; `noise` is what the run's conditions allow beyond `tolerance`."""

    metric: str
    published: float
    measured: float
    tolerance: float
    noise: float = 0.0

    @property
    def difference(self) -> float:
        """Measured minus published."""
        return self.measured - self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A known way of going wrong that figures look like: what was seen, the likely cause, what to check.

    `source` says where it was seen before.
    """

    name: str
    saw: str
    cause: str
    check: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the run compares with the recipe's published number, and why that is (or is not) a fair comparison.

    `diagnoses` is empty for figures that look healthy, `conditions` for a run like the published one.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    source: str
    diagnoses: tuple[Diagnosis, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What one gate of the ladder (released, golden, short, full) said; `run` is the folder it left, if any."""

    gate: str
    outcome: GateOutcome
    reasons: tuple[str, ...]
    run: str | None = None
