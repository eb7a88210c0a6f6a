"""How far two arrays are apart, and whether that is near enough. No golden data is known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Allowed error of each element: absolute + of_max · max|golden| + relative · |golden|; p99 of errors likewise."""

    absolute: float = 0.0
    of_max: float = 0.0
    relative: float = 0.0
    p99: float | None = None

    def __str__(self) -> str:
        terms = [
            f"{value:g}{words}"
            for value, words in ((self.absolute, ""), (self.of_max, " of max"), (self.relative, " rel"))
            if value
        ]
        return " + ".join(terms or ["exact"]) + (f", p99 {self.p99:g}" if self.p99 is not None else "")


# Tolerances of ../shared/golden/README.md, section "Float noise"
MODULE = Tolerance(relative=1e-5, of_max=1e-6)
EXACT = Tolerance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One compared array: worst absolute error, worst error relative to the golden maximum, and the judgement."""

    what: str
    worst_abs: float
    worst_rel: float
    tolerance: str
    ok: bool


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All checks of one golden case."""

    name: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds; a case that compared nothing proves nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def worst(self) -> Check:
        """The check to show: a failing one if there is any, else the one with the largest relative error."""
        return max(self.checks, key=lambda check: (not check.ok, check.worst_rel))


def compare(what: str, ours: ArrayLike | torch.Tensor, golden: ArrayLike, tolerance: Tolerance) -> Check:
    """Compare two arrays of the same shape; NaN matches only NaN, infinity only the same infinity."""
    a, b = _array(ours), _array(golden)
    if a.shape != b.shape:
        words = f"shape {list(a.shape)}, golden {list(b.shape)}"
        return Check(what=f"{what}: {words}", worst_abs=np.inf, worst_rel=np.inf, tolerance=str(tolerance), ok=False)
    if a.size == 0:
        return Check(what=what, worst_abs=0.0, worst_rel=0.0, tolerance=str(tolerance), ok=True)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(a - b))
    error = np.nan_to_num(error, nan=np.inf, posinf=np.inf)
    finite = np.abs(b[np.isfinite(b)])
    largest = float(finite.max()) if finite.size else 0.0
    allowed = (
        tolerance.absolute + tolerance.of_max * largest + tolerance.relative * np.nan_to_num(np.abs(b), posinf=0.0)
    )
    ok = bool((error <= allowed).all())
    if tolerance.p99 is not None:
        ok = ok and float(np.quantile(error, 0.99)) <= tolerance.p99
    worst = float(error.max())
    relative = worst / (largest or 1.0)
    return Check(what=what, worst_abs=worst, worst_rel=relative, tolerance=str(tolerance), ok=ok)


def count_different(what: str, ours: ArrayLike | torch.Tensor, golden: ArrayLike, *, allowed: int) -> Check:
    """Compare whole numbers; at most `allowed` of them may differ (near ties)."""
    a, b = _array(ours), _array(golden)
    different = int((a != b).sum()) if a.shape == b.shape else max(a.size, b.size)
    words = f"at most {allowed} differ" if allowed else "exact"
    share = different / max(b.size, 1)
    return Check(what=what, worst_abs=float(different), worst_rel=share, tolerance=words, ok=different <= allowed)


def _array(values: ArrayLike | torch.Tensor) -> NDArray[np.float64]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
