"""The proof of a built extension, run as a script in a child process: does it compute what the reference computes?

    python prove.py FILE [sm_90,compute_90]

It loads the file, compares every operator, forward and backward, with its slow twin in float64, on the CPU and on each
GPU that the device code is for, and prints one JSON document. Exit 1: some number is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # the checkout instead of this folder
    os.environ["BEVREADY_EXTENSION"] = sys.argv[1]  # `repro.ops` loads this file, and not the build before it

import torch

from repro.ops import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

LEVELS = [(7, 5), (4, 3)]
FLAT = [size for level in LEVELS for size in level]
# ‖out - ref‖ / ‖ref‖ of the output and of each gradient; for half precision, that of rounding once, doubled
LIMITS = {torch.float32: (5e-6, 2e-5), torch.bfloat16: (4e-3, 8e-3), torch.float16: (5e-4, 1e-3)}
CHANNELS = (32, 20)  # a width with a kernel of its own, and one for the general kernel
Case = dict[str, "Tensor"]


def sampling_case(E: int, seed: torch.Generator) -> Case:
    """Return inputs of ms_deform_attn, some of whose points lie outside."""
    B, Q, M, L, P = 2, 13, 4, len(LEVELS), 4
    return {
        "value": _normal(seed, B, _tokens(), M, E),
        "locations": torch.rand(B, Q, M, L, P, 2, generator=seed) * 1.2 - 0.1,
        "weights": torch.rand(B, Q, M, L, P, generator=seed) / (L * P),
    }


def offsets_case(E: int, seed: torch.Generator) -> Case:
    """Return inputs of ms_deform_attn_from_offsets."""
    B, Q, M, L, P = 2, 13, 4, len(LEVELS), 4
    return {
        "value": _normal(seed, B, _tokens(), M, E),
        "references": torch.rand(B, Q, L, 2, generator=seed),
        "offsets": _normal(seed, B, Q, M, L, P, 2) * 2,
        "logits": _normal(seed, B, Q, M, L * P),
    }


def cameras_case(E: int, seed: torch.Generator) -> Case:
    """Return inputs of spatial_cross_attn; some queries are seen by no camera."""
    N, B, Q, D, M, L, P = 3, 2, 13, 2, 4, len(LEVELS), 4
    return {
        "value": _normal(seed, N, B, _tokens(), M, E),
        "references": torch.rand(N, B, Q, D, 2, generator=seed),
        "visible": torch.rand(N, B, Q, D, generator=seed) < 0.3,
        "offsets": _normal(seed, B, Q, M, L, P, 2) * 2,
        "logits": _normal(seed, B, Q, M, L * P),
    }


OPERATORS: dict[str, tuple[Callable[[int, torch.Generator], Case], tuple[str, ...]]] = {
    "ms_deform_attn": (sampling_case, ("ms_deform_attn_reference",)),
    "ms_deform_attn_from_offsets": (offsets_case, ("ms_deform_attn_from_offsets_reference",)),
    "spatial_cross_attn": (cameras_case, ("spatial_cross_attn_reference", "spatial_cross_attention_reference")),
}
COORDINATES = frozenset({"locations", "references"})  # float32 whatever the storage


def prove(file: str, archs: tuple[str, ...]) -> dict[str, Any]:
    """Load the extension and compare it on every device; return what was measured and what is wrong."""
    torch.ops.load_library(file)  # type: ignore[no-untyped-call] # torch gives it no types
    measured: list[dict[str, Any]] = []
    lines, failures = [], []
    devices, passed_over = _devices(archs)
    for device in devices:
        begun = len(measured)
        for name in OPERATORS:
            failures += _judge(name, device, measured)
        worst = max((row["error"] / row["limit"] for row in measured[begun:]), default=0.0)
        lines.append(f"proven on {device}: {len(measured) - begun} comparisons, worst {worst:.2f} of what is allowed")
    return {"failures": failures, "lines": [*lines, *passed_over], "measured": measured}


def _judge(name: str, device: str, measured: list[dict[str, Any]]) -> list[str]:
    """Compare one operator on one device in every dtype and width; return what is wrong, in words."""
    make, twins = OPERATORS[name]
    twin = next((getattr(reference, twin) for twin in twins if hasattr(reference, twin)), None)
    if twin is None:
        return [f"{name} has no reference to compare with (expected {' or '.join(twins)} in repro/ops/reference.py)"]
    if not hasattr(torch.ops.bevready, name):
        return [f"the file has no operator bevready::{name}"]
    wrong = []
    for dtype, (forward_limit, backward_limit) in LIMITS.items():
        for E in CHANNELS:
            case = make(E, torch.Generator().manual_seed(E))
            for what, error in _errors(name, twin, case, dtype, device).items():
                limit = forward_limit if what == "output" else backward_limit
                row = {"op": name, "device": device, "dtype": str(dtype), "channels": E, "what": what}
                measured.append({**row, "error": error, "limit": limit})
                if not error <= limit:  # NaN is wrong too
                    wrong.append(f"{name} on {device}, {dtype}, {E} channels: {what} is off by {error:.1e} > {limit:g}")
    return wrong


def _errors(name: str, twin: Callable[..., Tensor], case: Case, dtype: torch.dtype, device: str) -> dict[str, float]:
    """Return ‖out - ref‖ / ‖ref‖ of the output and of each gradient, by the input's name."""
    inputs = {key: _stored(key, tensor, dtype).to(device) for key, tensor in case.items()}
    exact = {
        key: tensor.double().cpu() if tensor.is_floating_point() else tensor.cpu() for key, tensor in inputs.items()
    }
    wanted = [key for key, tensor in exact.items() if tensor.is_floating_point()]
    for key in wanted:
        exact[key].requires_grad_()
    words, exact_words = list(inputs.values()), list(exact.values())
    expected = twin(exact_words[0], LEVELS, *exact_words[1:])
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    gradients = torch.autograd.grad(expected, [exact[key] for key in wanted], grad.double())
    forward, backward = getattr(torch.ops.bevready, name), getattr(torch.ops.bevready, f"{name}_backward")
    found = {"output": (forward(words[0], FLAT, *words[1:]), expected.detach())}
    answers = backward(grad.to(device), words[0], FLAT, *words[1:], False)
    for key, answer, gradient in zip(wanted, answers, gradients, strict=True):
        found[f"gradient of {key}"] = answer, gradient
    return {what: _distance(*pair) for what, pair in found.items()}


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() and key not in COORDINATES else tensor


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found.double().cpu() - expected).norm() / expected.norm())


def _devices(archs: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the devices to prove on, and a line for each GPU that the device code is not for."""
    devices, lines = ["cpu"], []
    for index in range(torch.cuda.device_count()) if archs else ():
        capability = torch.cuda.get_device_capability(index)
        if _covers(archs, capability):
            devices.append(f"cuda:{index}")
        else:
            name = torch.cuda.get_device_name(index)
            lines.append(f"not proven on cuda:{index} ({name}, sm_{capability[0]}{capability[1]}): no code for it")
    return devices, lines


def _covers(archs: tuple[str, ...], capability: tuple[int, int]) -> bool:
    """Return whether a GPU runs one of the cubins (same major, not newer) or can compile the PTX."""
    own = capability[0] * 10 + capability[1]
    targets = [(kind, int(number)) for kind, _, number in (arch.partition("_") for arch in archs)]
    return any(number <= own and (kind == "compute" or number // 10 == capability[0]) for kind, number in targets)


def _tokens() -> int:
    return sum(height * width for height, width in LEVELS)


def _normal(seed: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=seed)


def main(words: list[str]) -> int:
    """Prove one file; print what was measured; return the exit code."""
    archs = tuple(filter(None, words[1].split(","))) if len(words) > 1 else ()
    told = prove(words[0], archs)
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if told["failures"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
