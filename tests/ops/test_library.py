"""Which implementation runs, how it says so, and what the extension's operators refuse themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from repro.ops import IMPLEMENTATION
from tests.ops.samples import LEVELS, OPERATORS, OURS, attend, made, needs_extension, stored

ROOT = Path(__file__).resolve().parents[2]
FLAT = [size for pair in LEVELS for size in pair]
SHOW = "from repro.ops import IMPLEMENTATION; print(IMPLEMENTATION)"
EXACT = """
import json, torch
from tests.ops.samples import *
print(torch.ops.bevready.cpu_instructions())
found = {}
for operator in OPERATORS:
    given = made(operator, channels=45, points=6, columns=4)
    given = {name: t.float().double() if name != "visible" else t for name, t in given.items()}
    truth = everything(TWINS, operator, stored(given, torch.float64))
    for dtype in (torch.float32, torch.float64):
        seen = everything(OURS, operator, stored(given, dtype))
        found |= {f"{operator} {dtype} {name}": error(seen[name], truth[name]) for name in truth}
print(json.dumps(found))
"""


def answer(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )


def test_no_extension_can_be_asked_for() -> None:
    seen = answer(SHOW, BEVREADY_EXTENSION="none").stdout
    assert seen.startswith("reference (plain torch, grid_sample)")
    assert "BEVREADY_EXTENSION" in seen


def test_an_extension_that_is_asked_for_and_does_not_load_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "bevready_ops.so"
    broken.write_bytes(b"not a library")
    seen = answer(SHOW, BEVREADY_EXTENSION=str(broken))
    assert seen.returncode
    assert f"RuntimeError: BEVREADY_EXTENSION is {broken}, which does not load" in seen.stderr


@needs_extension
@pytest.mark.parametrize("instructions", ["plain", "avx2", "avx512"])
def test_every_set_of_instructions_computes_the_same(instructions: str) -> None:
    seen = answer(EXACT, BEVREADY_CPU=instructions)
    assert not seen.returncode, seen.stderr
    ran, errors = seen.stdout.splitlines()
    if not ran.startswith(instructions):
        pytest.skip(f"this processor has no {instructions}: {ran} ran")
    assert all(error <= (2e-6 if "float32" in name else 1e-13) for name, error in json.loads(errors).items()), errors


@needs_extension
def test_the_implementation_names_its_instructions() -> None:
    assert f"cpu {torch.ops.bevready.cpu_instructions()}" in IMPLEMENTATION


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_place_that_is_no_number_is_refused_by_its_index(operator: str) -> None:
    given = {name: tensor.detach() for name, tensor in stored(made(operator, items=1), torch.float32).items()}
    name = "locations" if operator == "ms_deform_attn" else "offsets"
    if "visible" in given:
        given["visible"][0, 0, 3] = True
    given[name][0, 3, 1, 2, 1, 0] = torch.nan
    with pytest.raises(ValueError, match=rf"{name} are NaN at \[0, 3, 1, 2, 1, 0\] \(1 of \d+ numbers\); expected"):
        attend(OURS, operator, given)


def test_what_no_camera_sees_may_be_no_number() -> None:
    given = {name: t.detach() for name, t in stored(made("spatial_cross_attn"), torch.float32).items()}
    given["visible"][1, 0, 3] = False
    wanted = attend(OURS, "spatial_cross_attn", given)
    given["references"][1, 0, 3] = torch.nan
    assert torch.equal(attend(OURS, "spatial_cross_attn", given), wanted)


def wrong(operator: str, **changes: Tensor) -> str:
    """Return what the operator itself says, without a door before it."""
    given = {name: t.detach() for name, t in stored(made(operator), torch.float32).items()} | changes
    value, *others = given.values()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is what each test looks at
        getattr(torch.ops.bevready, operator)(value, FLAT, *others)
    return str(caught.value)


@needs_extension
@pytest.mark.parametrize(
    ("operator", "changes", "words"),
    [
        ("ms_deform_attn", {"value": (2, 86, 16)}, "value is [2, 86, 16]; expected [batch, tokens, heads, channels]"),
        ("ms_deform_attn", {"value": (2, 85, 2, 8)}, "value has 85 tokens but level sizes [7, 9, 4, 5, 1, 3] add up"),
        ("ms_deform_attn", {"value": (2, 86, 2, 257)}, "value has 257 channels a head; expected 1 to 256"),
        ("ms_deform_attn", {"weights": (2, 11, 2, 3, 5)}, "weights are [2, 11, 2, 3, 5]; expected [2, 11, 2, 3, 4]"),
        ("ms_deform_attn_from_offsets", {"references": (2, 11, 3, 3)}, "references are [2, 11, 3, 3]; expected"),
        ("ms_deform_attn_from_offsets", {"logits": (2, 11, 2, 11)}, "logits are [2, 11, 2, 11]; expected [2, 11, 2"),
        ("spatial_cross_attn", {"offsets": (2, 11, 2, 3, 5, 2)}, "2 anchors and offsets 5 points; expected a multiple"),
        ("spatial_cross_attn", {"visible": (3, 2, 11, 2)}, "visible is Float; expected bool"),
    ],
)
def test_the_operators_say_what_they_saw_and_expected(
    operator: str, changes: dict[str, tuple[int, ...]], words: str
) -> None:
    given: dict[str, Any] = {name: torch.zeros(shape) for name, shape in changes.items()}
    if "offsets" in given:
        given["logits"] = torch.zeros(2, 11, 2, 15)
    assert words in wrong(operator, **given)


@needs_extension
def test_the_operators_refuse_other_dtypes_and_devices() -> None:
    assert "locations are Double; expected Float" in wrong(
        "ms_deform_attn", locations=torch.zeros(2, 11, 2, 3, 4, 2).double()
    )
    assert "value is Int; expected float32, float64, float16 or bfloat16" in wrong(
        "ms_deform_attn", value=torch.zeros(2, 86, 2, 8, dtype=torch.int32)
    )
