"""What the operators cost in the calls that real models make, as ratios of the grid_sample form and other baselines.

Run `python -m repro.bench.ops [--quick] [--json]`. Results are checked against float64 before anything is timed. All
ways of a call run in turn in one process; a ratio is the baseline's seconds over ours in the same round, and what is
printed is the median and the quartiles of these ratios. Memory is the peak above what the inputs take.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from repro.bench.calls import CALLS, LOCATIONS, QUICK, TARGET, inputs
from repro.bench.clock import interleaved, peak_extra_mib, spread
from repro.bench.exactness import errors
from repro.bench.ways import OURS, TWIN, narrowed, ways
from repro.machine import machine_facts
from repro.ops import IMPLEMENTATION, library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from repro.bench.calls import Call
    from repro.bench.ways import Way

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PASSES = ("forward", "forward+backward")
Row = dict[str, Any]


def main(words: Sequence[str] | None = None) -> int:
    """Check, measure and print; return 1 if a result is wrong, else 0."""
    asked = _parser().parse_args(words)
    torch.set_num_threads(asked.threads)
    rows = []
    for row in measure(asked):
        rows.append(row)
        sys.stderr.write(f"{_name(row)}: {_headline(row)}\n")
    document = {"implementation": _running(asked.device), "machine": _machine(asked.device), "summary": summary(rows)}
    if asked.json:
        sys.stdout.write(json.dumps(document | {"settings": _settings(asked), "rows": rows}, indent=1) + "\n")
    else:
        sys.stdout.write(table(document, rows))
    return 0 if all("ratios" in row for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m repro.bench.ops", description=__doc__)
    parser.add_argument("--shapes", type=_shapes, help=f"names or beginnings of names, of {', '.join(CALLS)}")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="default: %(default)s")
    parser.add_argument("--dtypes", type=_some_of(DTYPES), help="default: float32,bfloat16")
    parser.add_argument("--locations", type=_some_of(LOCATIONS), help="default: realistic,uniform")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 3")
    parser.add_argument("--window", type=float, help="seconds each way runs a round; default: 1, with --quick 0.1")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few shapes, realistic float32 only, short windows")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    return parser


def _some_of(names: Sequence[str] | dict[str, torch.dtype]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r}; expected some of {', '.join(names)}")
        return found

    return chosen


def _shapes(text: str) -> list[str]:
    found = [name for name in CALLS if any(name.startswith(word) for word in text.split(","))]
    if not found:
        raise argparse.ArgumentTypeError(f"no shape begins with {text!r}; there are {', '.join(CALLS)}")
    return found


def _settings(asked: argparse.Namespace) -> Row:
    """Return what is measured and how, defaults filled in."""
    return {
        "shapes": asked.shapes or (list(QUICK) if asked.quick else list(CALLS)),
        "dtypes": asked.dtypes or (["float32"] if asked.quick else ["float32", "bfloat16"]),
        "locations": asked.locations or (["realistic"] if asked.quick else list(LOCATIONS)),
        "rounds": asked.rounds or (3 if asked.quick else 5),
        "window_s": asked.window if asked.window is not None else (0.1 if asked.quick else 1.0),
        "threads": asked.threads,
    }


def measure(asked: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each shape, kind of locations, dtype and pass; of a wrong result only its errors."""
    settings = _settings(asked)
    for name in settings["shapes"]:
        for kind in settings["locations"]:
            tensors = inputs(CALLS[name], locations=kind, seed=0)
            for dtype in settings["dtypes"]:
                given = narrowed(tensors, DTYPES[dtype], asked.device)
                off = errors(CALLS[name], given)
                about = {"shape": name, "locations": kind, "dtype": dtype, "errors": [asdict(one) for one in off]}
                if not all(one.ok for one in off):
                    yield about
                    continue
                found = ways(CALLS[name], given)
                for what in PASSES:
                    yield about | {"pass": what} | timed(CALLS[name], found, what, settings, asked.device)


def timed(call: Call, found: dict[str, Way], what: str, settings: Row, device: torch.device) -> Row:
    """Return ratios, milliseconds and memory of one pass of every way."""
    works: dict[str, Callable[[], object]] = {
        name: way.forward if what == "forward" else _both(way) for name, way in found.items()
    }
    seconds = interleaved(works, rounds=settings["rounds"], window_s=settings["window_s"], device=device)
    memory = {name: peak_extra_mib(work, device) for name, work in works.items()}
    ratios = {
        name: spread([theirs / ours for theirs, ours in zip(seconds[name], seconds[OURS], strict=True)])
        for name in works
        if name != OURS
    }
    ours, twin = memory[OURS], memory[TWIN]
    return {
        "door": call.door,
        "ratios": ratios,
        "memory_ratio": round(ours / twin, 3) if ours is not None and twin else None,
        "milliseconds": {name: spread([1e3 * one for one in times]) for name, times in seconds.items()},
        "memory_mib": {name: None if mib is None else round(mib, 1) for name, mib in memory.items()},
    }


def _both(way: Way) -> Callable[[], object]:
    grad = torch.randn_like(way.forward())
    return lambda: way.both(grad)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return geometric means over the shapes that the targets name, where all were measured."""
    found = []
    for kind, dtype, what in sorted({(r["locations"], r["dtype"], r["pass"]) for r in rows if "ratios" in r}):
        of = [r for r in rows if (r["locations"], r["dtype"], r.get("pass")) == (kind, dtype, what)]
        of = [r for r in of if r["shape"] in TARGET]
        if len(of) == len(TARGET):
            memory = [r["memory_ratio"] for r in of if r["memory_ratio"]]
            found.append({
                "over": list(TARGET), "locations": kind, "dtype": dtype, "pass": what,
                "ratio": _mean([r["ratios"][TWIN]["median"] for r in of]),
                "memory_ratio": _mean(memory) if len(memory) == len(of) else None,
            })  # fmt: skip
    return found


def _mean(numbers: Sequence[float]) -> float:
    """Return the geometric mean, to three digits."""
    return float(f"{math.exp(sum(map(math.log, numbers)) / len(numbers)):.3g}")


def table(document: Row, rows: Sequence[Row]) -> str:
    """Return what a person reads: ratios first, then memory, then milliseconds."""
    lines = [f"implementation: {document['implementation']}", f"machine: {document['machine']['device_name']}"]
    lines += [f"{'shape':<20} {'locations':<10} {'dtype':<9} {'pass':<17} times faster than (quartiles); memory; ours"]
    lines += [f"{_name(row)} {_headline(row)}" for row in rows]
    for row in document["summary"]:
        memory = f", memory {row['memory_ratio']:.2f}×" if row["memory_ratio"] else ""
        lines.append(
            f"geometric mean over {', '.join(row['over'])} ({row['locations']}, {row['dtype']}, {row['pass']}): "
            f"{row['ratio']}× {TWIN}{memory}"
        )
    return "\n".join(lines) + "\n"


def _name(row: Row) -> str:
    return f"{row['shape']:<20} {row['locations']:<10} {row['dtype']:<9} {row.get('pass', ''):<17}"


def _headline(row: Row) -> str:
    if "ratios" not in row:
        wrong = [one for one in row["errors"] if not one["seen"] <= one["bound"]]
        return "WRONG, not timed: " + ", ".join(f"{e['name']} off by {e['seen']:.1e} > {e['bound']:.1e}" for e in wrong)
    ratios = [f"{name} {s['median']:.2f}× ({s['q1']:.2f}–{s['q3']:.2f})" for name, s in row["ratios"].items()]
    memory = "" if row["memory_ratio"] is None else f"; memory {row['memory_ratio']:.2f}×"
    return f"{', '.join(ratios)}{memory}; {row['milliseconds'][OURS]['median']:.4g} ms"


def _running(device: torch.device) -> str:
    """Return what computes "ours" on this device."""
    if library.serves(torch.empty(0, device=device)):
        return IMPLEMENTATION
    return f"{IMPLEMENTATION}; on {device.type} ours is the {TWIN} form itself"


def _machine(device: torch.device) -> Row:
    return asdict(
        machine_facts(device=str(device), precision="as in each row", op=IMPLEMENTATION, stack="", findings=())
    )


if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:  # read when torch is loaded, which is before this line
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.execv(sys.executable, [sys.executable, "-m", "repro.bench.ops", *sys.argv[1:]])  # noqa: S606 — itself
    sys.exit(main())
