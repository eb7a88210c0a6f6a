"""The parity run: which golden cases there are, which of them we cover, and what is printed."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from repro.parity import data_cases, detr_case, forward_case, module_cases, train_case, value_cases
from repro.parity.golden import Arrays, GoldenError, GoldenSet
from repro.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from repro.parity.check import CaseResult

SCHEMA_VERSION = 1
MODULE_CASES: tuple[tuple[str, Callable[[str, Arrays], CaseResult]], ...] = (  # longest fitting prefix counts
    ("msda", module_cases.attention_op),
    ("msda3d", module_cases.pillars),
    ("tsa", module_cases.temporal),
    ("sca", module_cases.spatial),
    ("dec_attn", module_cases.cross_attention),
    ("enc_layer", module_cases.encoder_layer),
    ("decoder", module_cases.decoder),
    ("learned_pos", module_cases.learned_positions),
    ("dcnv2", module_cases.deformable_convolution),
    ("geometry", value_cases.geometry),
    ("rotate", value_cases.rotation),
    ("bbox_codes", value_cases.box_codes),
    ("assigner", value_cases.assigner),
    ("focal_loss", value_cases.focal),
    ("l1_loss", value_cases.l1),
    ("head_loss", value_cases.head_loss),
    ("coder", value_cases.coder),
    ("grid_mask", data_cases.grid_mask_case),
    ("photometric", data_cases.photometric),
)
SET_CASES: dict[str, Callable[[str, GoldenSet], CaseResult]] = {
    "pipeline": data_cases.pipeline,
    "gt": data_cases.ground_truth_case,
    "format": data_cases.formatting,
    "tiny_forward": forward_case.forward,
    "small_forward": forward_case.forward,
    "base_forward": forward_case.forward,
    "tiny_train": train_case.train,
    **dict.fromkeys(detr_case.RECIPES, detr_case.deformable_detr),
}


def main(directory: Path, *, as_json: bool) -> int:
    """Run every covered case of a golden set; return 0 if all pass, 1 if one fails, 2 if the set cannot be read."""
    try:
        golden, names = GoldenSet(directory), find_cases(directory)
        results, uncovered = run_cases(golden, names, quiet=as_json)
    except GoldenError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    failed = [result.name for result in results if not result.ok]
    summary = f"{len(results) - len(failed)} of {len(results)} cases pass" + (
        f", failed: {', '.join(failed)}" if failed else ""
    )
    if as_json:
        sys.stdout.write(json.dumps(document_of(results, uncovered), indent=1, allow_nan=False) + "\n")
    else:
        if uncovered:
            sys.stdout.write(f"not covered: {', '.join(uncovered)}\n")
        sys.stdout.write(summary + "\n")
    return 1 if failed else 0


def find_cases(directory: Path) -> list[str]:
    """Return the names of the cases in a golden set: `tiny_forward`, `modules/tsa_b1_prev`, …; modules first."""
    modules = sorted(f"modules/{path.stem}" for path in directory.glob("modules/*.npz"))
    whole = sorted(path.stem for path in directory.glob("*.npz"))
    if not modules and not whole:
        raise GoldenError(
            f"{directory}: no golden case here; expected *.npz and modules/*.npz as in ../shared/golden/A"
        )
    return modules + whole


def run_cases(golden: GoldenSet, names: list[str], *, quiet: bool) -> tuple[list[CaseResult], list[str]]:
    """Run the covered ones of `names`; return their results and the names of the others."""
    covered = {name: run for name in names if (run := runner_of(golden, name))}
    results = []
    with progress("parity", len(covered)) as advance:
        for name, run in covered.items():
            began = time.monotonic()
            result = run()
            results.append(result)
            advance(1, name)
            if not quiet:
                sys.stdout.write(line_of(result, time.monotonic() - began) + "\n")
                sys.stdout.flush()
    return results, [name for name in names if name not in covered]


def runner_of(golden: GoldenSet, name: str) -> Callable[[], CaseResult] | None:
    """Return what runs a case, None where we do not cover it yet."""
    if not name.startswith("modules/"):
        case = SET_CASES.get(name)
        return (lambda: case(name, golden)) if case else None
    stem = name.removeprefix("modules/")
    fits = [(prefix, run) for prefix, run in MODULE_CASES if stem.startswith(prefix)]
    if not fits:
        return None
    _, run_module = max(fits, key=lambda fit: len(fit[0]))
    return lambda: run_module(stem, golden.arrays(name))


def document_of(results: list[CaseResult], uncovered: list[str]) -> dict[str, object]:
    """Return what `--json` prints; an error that is no number (shapes differ, NaN) is null, JSON has no infinity."""
    cases = [
        {
            "name": result.name,
            "ok": result.ok,
            "checks": [
                {key: None if value in {math.inf, -math.inf} else value for key, value in asdict(check).items()}
                for check in result.checks
            ],
        }
        for result in results
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": all(result.ok for result in results),
        "cases": cases,
        "not_covered": uncovered,
    }


def line_of(result: CaseResult, seconds: float) -> str:
    """Return one line: verdict, name, number of checks, and the worst of them."""
    if not result.checks:
        return f"FAIL  {result.name:<20}   0 checks: nothing was compared"
    worst = result.worst
    return (
        f"{'pass' if result.ok else 'FAIL'}  {result.name:<20} {len(result.checks):>3} checks  "
        f"abs {worst.worst_abs:8.2e}  rel {worst.worst_rel:8.2e}  {seconds:5.1f} s  "
        f"{worst.what} (allowed {worst.tolerance})"
    )
