"""Whether a way computes the right thing before anybody asks how fast: its errors against the twin in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from repro.bench.ways import DOORS, TWINS, Way, through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from repro.bench.calls import Call

OUTPUT, GRADIENT = 5e-6, 2e-5  # what float32 may be off, as ‖seen − exact‖ / ‖exact‖
QUERIES = 512  # how many of a call's queries are checked, evenly spread
LEFT_OUT = 0.01  # of the numbers of a gradient with respect to places, the worst
PLACES = ("locations", "offsets")
GRADIENTS = {
    "plain": ("value", "locations", "weights"),
    "from_offsets": ("value", "offsets", "logits"),
    "spatial": ("value", "offsets", "logits"),
}


@dataclass(frozen=True, slots=True)
class Error:
    """How far one result is off, how far it may be, and how far the grid_sample form is off on the same input."""

    name: str
    seen: float
    bound: float
    twin: float

    @property
    def ok(self) -> bool:
        """Within the bound; NaN is not."""
        return self.seen <= self.bound


def errors(call: Call, tensors: Sequence[Tensor], door: Callable[..., Tensor] | None = None) -> list[Error]:
    """Return the errors of the output and of each gradient of the call's door, on some of the queries.

    In float32 the bounds are `OUTPUT` and `GRADIENT`, in 16 bits twice what rounding the exact result costs; being
    as exact as the grid_sample form is enough. Bilinear sampling has a kink at every pixel border, and float32 may put
    a point on its other side: the worst hundredth of a gradient with respect to places is left out.
    """
    few = thinned(call, tensors)
    exact_way = through(TWINS[call.door], call, [t.double() if t.is_floating_point() else t for t in few])
    grad = _grad(exact_way, few[0])
    exact = _results(exact_way, grad.double())
    seen = _results(through(door or DOORS[call.door], call, few), grad)
    twin = _results(through(TWINS[call.door], call, few), grad)
    found = []
    for name, right, ours, theirs in zip(("output", *GRADIENTS[call.door]), exact, seen, twin, strict=True):
        least = OUTPUT if name == "output" else GRADIENT
        rounding = relative(right.to(ours.dtype), right)
        off = relative(theirs, right, trim=name in PLACES)
        bound = max(least, 2 * rounding, off)
        found.append(Error(name, relative(ours, right, trim=name in PLACES), bound, off))
    return found


def thinned(call: Call, tensors: Sequence[Tensor], most: int = QUERIES) -> list[Tensor]:
    """Return the call's inputs with at most so many queries, evenly spread."""
    value, *others = tensors
    queries = others[-1].shape[1]
    kept = torch.linspace(0, queries - 1, min(most, queries), device=value.device).long()
    by_camera = {0, 1} if call.door == "spatial" else set()  # references and visible: [N, B, Q, D, …]
    return [value, *(t.index_select(2 if n in by_camera else 1, kept) for n, t in enumerate(others))]


def relative(seen: Tensor, exact: Tensor, *, trim: bool = False) -> float:
    """Return ‖seen − exact‖ / ‖exact‖ in float64; 0 where both are zero."""
    off = (seen.double() - exact.double()).abs().flatten()
    if trim:
        off = off.sort().values[: max(1, round(off.numel() * (1 - LEFT_OUT)))]
    size = exact.double().norm()
    return float(off.norm() / size) if size else float(off.norm())


def _grad(way: Way, like: Tensor) -> Tensor:
    """Return a gradient of the output to go backward with, in the dtype of a value."""
    shape = way.forward().shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(like.device, like.dtype)


def _results(way: Way, grad: Tensor) -> list[Tensor]:
    return [way.forward(), *way.both(grad)]
