"""Where half precision is used in the forward pass, and where it never is (spec §G.1)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from typing import Literal

    Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


def half_precision(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Return the context in which a model of this precision runs on `device` ("cpu", "cuda:0").

    Weights stay float32, matrix products and convolutions are taken in 16 bits: float16 on a GPU under "16-mixed",
    bfloat16 otherwise (a CPU has no float16 arithmetic to speak of; Lightning Fabric chooses the same).
    """
    if precision == "32-true":
        return nullcontext()
    kind = device.split(":", 1)[0]
    dtype = torch.float16 if precision == "16-mixed" and kind != "cpu" else torch.bfloat16
    return torch.autocast(kind, dtype=dtype)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return the context that geometry runs in: a 16-bit product moves a projected point by pixels."""
    return torch.autocast(device.type, enabled=False)
