"""Precision-recall curves on disk: left by the judge beside the result file, drawn by the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from repro.artifacts import PrecisionCurves
from repro.atomic import write_json

if TYPE_CHECKING:
    from pathlib import Path

CURVES = "curves.json"
_CURVES = TypeAdapter(PrecisionCurves)
DIGITS = 5


def write_curves(path: Path, curves: PrecisionCurves) -> None:
    """Write curves as JSON, whole or not at all, to five decimals: they are looked at, not read."""
    table = _CURVES.dump_python(curves, mode="json")
    for by_threshold in table["classes"].values():
        for threshold, values in by_threshold.items():
            by_threshold[threshold] = [round(value, DIGITS) for value in values]
    write_json(path, table)


def read_curves(path: Path) -> PrecisionCurves | None:
    """Return the curves in a file; None for one that is missing or damaged, which costs a drawing and no figure."""
    try:
        return _CURVES.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
