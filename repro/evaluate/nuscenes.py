"""The official nuScenes detection score of a result file, through the devkit's own `DetectionEval` (spec §F.4)."""

from __future__ import annotations

import io
import json
import math
import time
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.utils.splits import create_splits_scenes

from repro.artifacts import TP_ERRORS, ClassMetrics, Metrics, PrecisionCurves
from repro.data.tables import open_tables
from repro.evaluate.curves import write_curves
from repro.evaluate.formatting import EvaluationError, ResultBox

if TYPE_CHECKING:
    from collections.abc import Collection

    from nuscenes.eval.detection.data_classes import DetectionMetricDataList
    from nuscenes.nuscenes import NuScenes

AGAIN = "delete the run's evaluate.json to write it again"
PROTOCOL = "detection_cvpr_2019"
VERSION_OF_SPLIT = {"train": "trainval", "val": "trainval", "mini_train": "mini", "mini_val": "mini"}


def evaluate(results: Path, dataroot: Path, version: str, eval_set: str, *, curves: Path | None = None) -> Metrics:
    """Return the official metrics of a result file over the samples of `eval_set` that it names.

    `curves` is where to leave the precision-recall curves behind them.

    The benchmark wants every sample of the split. A file with fewer (a smoke run, a data set with part of a split)
    is scored on those it has, with ground truth and predictions restricted alike: `samples` of `samples_in_split`
    says so. Raises EvaluationError for a file that is damaged, empty or of another split, DataError for bad tables.
    """
    began = time.monotonic()
    _check_split(eval_set, version)
    document = _read(results)
    tables = open_tables(dataroot, version)
    split = split_tokens(tables, eval_set)
    evaluated = _tokens_of(document, split, results, eval_set)
    detections = sum(len(document["results"][token]) for token in evaluated)
    _check_truth(tables, split, eval_set)
    with TemporaryDirectory() as scratch:
        path = results
        if len(evaluated) < len(split) or detections == 0:
            path = Path(scratch) / "padded.json"
            path.write_text(json.dumps(_padded(document, split)), encoding="utf-8")
        del document  # gigabytes for a full split, and the devkit reads its own
        summary, drawn = _score(tables, path, eval_set, evaluated, scratch=scratch, named=results)
    if curves is not None:
        write_curves(curves, drawn)
    return _metrics(
        summary,
        eval_set=eval_set,
        samples=len(evaluated),
        samples_in_split=len(split),
        detections=detections,
        results=results.name,
        seconds=time.monotonic() - began,
    )


def _score(
    tables: NuScenes, path: Path, eval_set: str, tokens: Collection[str], *, scratch: str, named: Path
) -> tuple[dict[str, Any], PrecisionCurves]:
    """Return `DetectionEval`'s summary and curves of a file that holds the whole split, computed on `tokens` only."""
    with redirect_stderr(io.StringIO()):  # the devkit's progress bars ignore verbose=False
        try:
            evaluation = DetectionEval(
                tables,
                config=config_factory(PROTOCOL),
                result_path=str(path),
                eval_set=eval_set,
                output_dir=scratch,
                verbose=False,
            )
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"{named}: the nuScenes evaluator refuses it ({type(error).__name__}: {error}); {AGAIN}"
            ) from error
        evaluation.gt_boxes = _restricted(evaluation.gt_boxes, tokens)
        evaluation.pred_boxes = _restricted(evaluation.pred_boxes, tokens)
        metrics, behind = evaluation.evaluate()
    summary: dict[str, Any] = metrics.serialize()
    return summary, _curves(behind, evaluation.gt_boxes)


def split_tokens(tables: NuScenes, eval_set: str) -> list[str]:
    """Return the sample tokens of a split that the tables hold, in the tables' order."""
    scenes = set(create_splits_scenes()[eval_set])
    names = {scene["token"]: scene["name"] for scene in tables.scene}
    return [sample["token"] for sample in tables.sample if names[sample["scene_token"]] in scenes]


def _check_split(eval_set: str, version: str) -> None:
    wanted = VERSION_OF_SPLIT.get(eval_set)
    if wanted is None:
        raise EvaluationError(f"no eval set {eval_set!r}; there are {', '.join(VERSION_OF_SPLIT)}")
    if not version.endswith(wanted):
        raise EvaluationError(
            f"eval set {eval_set!r} belongs to v1.0-{wanted}, not to {version}; "
            f"choose {' or '.join(name for name, kind in VERSION_OF_SPLIT.items() if version.endswith(kind))}"
        )


def _read(results: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(results.read_bytes())
    except FileNotFoundError as error:
        raise EvaluationError(f"{results}: no such file; {AGAIN}") from error
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{results}: damaged ({error}); {AGAIN}") from error
    whole = isinstance(document, dict) and {"meta", "results"} <= document.keys()
    if not whole or not isinstance(document["results"], dict):
        raise EvaluationError(f"{results}: not a nuScenes result file (meta and results by sample token); {AGAIN}")
    return {"meta": document["meta"], "results": document["results"]}


def _tokens_of(document: dict[str, Any], split: Collection[str], results: Path, eval_set: str) -> set[str]:
    """Return the tokens to score. Raises EvaluationError for none, or for some that the split does not have."""
    named = set(document["results"])
    strangers = sorted(named - set(split))
    if strangers:
        raise EvaluationError(
            f"{results}: {len(strangers)} of {len(named)} samples are not in {eval_set} of this data set "
            f"(the first is {strangers[0]}); name the data set it was made on with --dataroot"
        )
    if not named:
        raise EvaluationError(
            f"{results}: names no sample, and {eval_set} has {len(split)} here; evaluate at least one frame"
        )
    return named


def _check_truth(tables: NuScenes, split: Collection[str], eval_set: str) -> None:
    """Raise EvaluationError when there is nothing to find: the devkit would fail with a bare Exception."""
    names = (
        tables.get("sample_annotation", annotation)["category_name"]
        for token in split
        for annotation in tables.get("sample", token)["anns"]
    )
    if not any(category_to_detection_name(name) for name in names):
        raise EvaluationError(
            f"no annotated box of the ten classes in {eval_set} of {tables.dataroot}; choose another split or data set"
        )


def _padded(document: dict[str, Any], split: Collection[str]) -> dict[str, Any]:
    """Return the document with every sample of the split, and with at least one box.

    The devkit raises a bare Exception when a file has no box at all, so such a file gets one that its own range
    filter drops: a car with score 0, a million metres away.
    """
    results = {token: document["results"].get(token, []) for token in split}
    if not any(results.values()):
        token = next(iter(split))
        results[token] = [
            ResultBox(
                sample_token=token,
                translation=[1e6, 1e6, 0.0],
                size=[1.0, 1.0, 1.0],
                rotation=[1.0, 0.0, 0.0, 0.0],
                velocity=[0.0, 0.0],
                detection_name="car",
                detection_score=0.0,
                attribute_name="",
            )
        ]
    return {"meta": document["meta"], "results": results}


def _restricted(boxes: EvalBoxes, tokens: Collection[str]) -> EvalBoxes:
    kept = EvalBoxes()
    for token in boxes.sample_tokens:
        if token in tokens:
            kept.add_boxes(token, boxes[token])
    return kept


def _curves(behind: DetectionMetricDataList, truth: EvalBoxes) -> PrecisionCurves:
    """Return precision [101] by class and distance, of the classes that are there to be found."""
    there = {box.detection_name for box in truth.all}
    classes: dict[str, dict[str, tuple[float, ...]]] = {name: {} for name, _ in behind.md if name in there}
    for (name, distance), values in behind.md.items():
        if name in there:
            classes[name][str(float(distance))] = tuple(values.precision.tolist())
    return PrecisionCurves(unit="m", classes=classes)


def _metrics(summary: dict[str, Any], **counts: Any) -> Metrics:
    """Return the devkit's summary as our frozen value; an error that it does not define (NaN) becomes None."""
    classes = {
        name: ClassMetrics(
            ap=float(summary["mean_dist_aps"][name]),
            ap_at={str(float(distance)): float(ap) for distance, ap in summary["label_aps"][name].items()},
            errors={
                error: None if math.isnan(value) else float(value)
                for error, value in summary["label_tp_errors"][name].items()
            },
        )
        for name in summary["label_aps"]
    }
    return Metrics(
        nds=float(summary["nd_score"]),
        mean_ap=float(summary["mean_ap"]),
        errors={name: float(summary["tp_errors"][name]) for name in TP_ERRORS},
        classes=classes,
        **counts,
    )
