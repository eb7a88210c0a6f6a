"""The official nuScenes detection evaluator, run on a results file (spec §F.4). It computes; we only translate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.loaders import add_center_dist, filter_eval_boxes, load_gt, load_prediction
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.detection.evaluate import DetectionEval

from repro.artifacts import TP_ERRORS, ClassMetrics

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from nuscenes.nuscenes import NuScenes


class PartialDetectionEval(DetectionEval):  # type: ignore[misc] # the devkit has no types
    """The official evaluator on some samples of a split: its own loaders and filters, with fewer ground truths.

    The devkit's constructor insists on every sample of the split; its arithmetic is inherited as it is.
    """

    def __init__(
        self, tables: NuScenes, *, protocol: str, results: Path, eval_set: str, output: Path, tokens: Collection[str]
    ) -> None:
        self.nusc, self.result_path, self.eval_set = tables, str(results), eval_set
        self.output_dir, self.verbose, self.cfg = str(output), False, config_factory(protocol)
        self.plot_dir = str(output / "plots")
        ranges = self.cfg.class_range
        predicted, self.meta = load_prediction(
            self.result_path, self.cfg.max_boxes_per_sample, DetectionBox, verbose=False
        )
        everything = load_gt(tables, eval_set, DetectionBox, verbose=False)
        truth = EvalBoxes()
        for token in tokens:
            truth.add_boxes(token, everything[token])
        assert set(predicted.sample_tokens) == set(tokens), "the results file is of other samples"
        self.pred_boxes = filter_eval_boxes(tables, add_center_dist(tables, predicted), ranges, verbose=False)
        self.gt_boxes = filter_eval_boxes(tables, add_center_dist(tables, truth), ranges, verbose=False)
        self.sample_tokens = self.gt_boxes.sample_tokens


def evaluate_results(
    tables: NuScenes, *, protocol: str, results: Path, eval_set: str, output: Path, tokens: Collection[str]
) -> tuple[float, float, dict[str, float], dict[str, ClassMetrics]]:
    """Return NDS, mAP, the five mean errors and each class's metrics on the samples `tokens`."""
    evaluator = PartialDetectionEval(
        tables, protocol=protocol, results=results, eval_set=eval_set, output=output, tokens=tokens
    )
    metrics, _ = evaluator.evaluate()
    said: dict[str, Any] = metrics.serialize()
    classes = {
        name: ClassMetrics(
            ap=said["mean_dist_aps"][name],
            ap_at={str(distance): ap for distance, ap in said["label_aps"][name].items()},
            errors={key: _number(said["label_tp_errors"][name][key]) for key in TP_ERRORS},
        )
        for name in said["mean_dist_aps"]
    }
    return said["nd_score"], said["mean_ap"], {key: said["tp_errors"][key] for key in TP_ERRORS}, classes


def _number(value: float) -> float | None:
    """Return None for NaN: the benchmark does not define this error for the class."""
    return None if value != value else float(value)  # noqa: PLR0124 — only NaN differs from itself
