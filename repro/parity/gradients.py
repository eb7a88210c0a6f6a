"""What the training cases of both models share: a model without dropout, and its gradients beside the golden ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from repro.parity.check import EXACT, Check, Tolerance, compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from repro.parity.golden import Arrays

GRADIENT_NORM = Tolerance(absolute=3e-3)
# Bilinear sampling has a kink at every pixel border: a location there takes the slope of either side, and rounding
# decides which. Only the offsets' own gradients see it.
OFFSET_GRADIENT_NORM = Tolerance(absolute=1e-2)
GRADIENT_SUM = Tolerance(absolute=1e-2)
MEDIAN = Tolerance(absolute=1e-4)


def train_without_dropout(model: nn.Module) -> None:
    """Put a model into training mode with every dropout at zero, as the golden training cases ran."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0


def gradient_norms(ours: Mapping[str, nn.Parameter], arrays: Arrays, prefix: str) -> list[Check]:
    """Compare which parameters (by upstream's name) have a gradient, and the norm and sum of each.

    The golden arrays are `{prefix}grad_param_names`, `{prefix}grad_l2` and `{prefix}grad_sum`: equal norms do not see
    a sign, equal sums do.
    """
    names, golden = arrays[f"{prefix}grad_param_names"].tolist(), arrays[f"{prefix}grad_l2"]
    same = sorted(ours) == sorted(names)
    checks = [compare("parameters with a gradient", float(same), 1.0, EXACT)]
    if not same:
        return checks
    norms = np.array([float(grad_of(ours[name]).norm()) for name in names])
    relative = norms / np.maximum(golden, 1e-12)
    relative[golden == 0] = 1.0 + norms[golden == 0]
    offsets = np.array(["sampling_offsets" in name for name in names])
    for what, rows, limit in (
        ("gradient norms, ours / golden", ~offsets, GRADIENT_NORM),
        ("gradient norms of offsets, ours / golden", offsets, OFFSET_GRADIENT_NORM),
    ):
        checks.append(compare(what, relative[rows], np.ones(rows.sum()), limit))
    median = float(np.median(np.abs(relative - 1)))
    checks.append(compare("gradient norms, median error", median, 0.0, MEDIAN))
    sums = np.array([float(grad_of(ours[name]).sum(dtype=torch.float64)) for name in names])
    length = golden * np.array([ours[name].numel() ** 0.5 for name in names])  # no sum is further from zero
    off = (sums - arrays[f"{prefix}grad_sum"]) / np.maximum(length, 1e-12)
    return [*checks, compare("gradient sums, error per largest sum", off, np.zeros(len(off)), GRADIENT_SUM)]


def grad_of(parameter: Tensor) -> Tensor:
    """Return a parameter's gradient, zeros where it has none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
