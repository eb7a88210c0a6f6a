"""From detections to the official number.

In: `Detections` and the records they belong to. Out: the benchmark's result file and `Metrics`. Scores are computed by
the nuScenes devkit, never here.
"""

from repro.evaluate.format import format_detections, write_results
from repro.evaluate.nuscenes import EvaluationError, evaluate

__all__ = ["EvaluationError", "evaluate", "format_detections", "write_results"]
