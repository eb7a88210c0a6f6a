"""What a look of the doctor costs, in units of PyTorch's own `collect_env` with the same interpreter.

Run `python -m repro.bench.doctor_speed [--json]`. Each pair runs one after the other, every second pair the other way
round, so that a machine that slows down slows both; the figure to quote is the median of the ratios, pair by pair.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

BOUND = 0.3  # what the issue allows
ROOT = Path(__file__).resolve().parents[2]
DOCTOR, COLLECT_ENV = ("doctor", "--json"), ("torch.utils.collect_env",)


def main() -> int:
    """Measure and print; return 0 within the bound, 1 outside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument("--pairs", type=int, default=7, help="how many pairs to time (default: %(default)s)")
    words = parser.parse_args()
    figures = measure(pairs=words.pairs)
    if words.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:<24} {value}\n")
    return 0 if figures["within_bound"] else 1


def measure(*, pairs: int) -> dict[str, object]:
    """Return medians in seconds and the ratio pair by pair, after one uncounted pair that fills the caches."""
    seconds(DOCTOR)
    seconds(COLLECT_ENV)
    rows = [_pair(doctor_first=number % 2 == 0) for number in range(pairs)]
    ratios = [doctor / collect_env for doctor, collect_env in rows]
    return {
        "what": "python -m doctor --json / python -m torch.utils.collect_env",
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "bound": BOUND,
        "within_bound": statistics.median(ratios) <= BOUND,
        "doctor_s_median": round(statistics.median(doctor for doctor, _ in rows), 3),
        "doctor_s_max": round(max(doctor for doctor, _ in rows), 3),
        "collect_env_s_median": round(statistics.median(collect_env for _, collect_env in rows), 3),
        "pairs": pairs,
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def seconds(words: tuple[str, ...]) -> float:
    """Return how long `python -m WORDS` takes. Raises RuntimeError where it prints nothing (no torch)."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, check=False)  # noqa: S603 — our own words
    took = time.perf_counter() - began
    if not done.stdout:
        raise RuntimeError(
            f"python -m {' '.join(words)} printed nothing: {done.stderr.decode(errors='replace')[-500:]}"
        )
    return took


def _pair(*, doctor_first: bool) -> tuple[float, float]:
    """Return the seconds of the doctor and of collect_env, run in this order or the other."""
    if doctor_first:
        doctor = seconds(DOCTOR)
        return doctor, seconds(COLLECT_ENV)
    collect_env = seconds(COLLECT_ENV)
    return seconds(DOCTOR), collect_env


if __name__ == "__main__":
    sys.exit(main())
