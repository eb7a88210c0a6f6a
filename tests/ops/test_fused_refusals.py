"""What the doors for raw offsets refuse, and the words they do it with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repro.ops import ms_deform_attn_from_offsets, spatial_cross_attn

LEVELS = ((3, 5), (2, 1))
TOKENS = 17
N, B, Q, M, E, L, P, D = 3, 2, 5, 2, 4, 2, 4, 2


def refused(**changes: Tensor) -> str:
    given = {
        "value": torch.zeros(B, TOKENS, M, E),
        "references": torch.zeros(B, Q, L, 2),
        "offsets": torch.zeros(B, Q, M, L, P, 2),
        "logits": torch.zeros(B, Q, M, L * P),
    } | changes
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is what each test looks at
        ms_deform_attn_from_offsets(given["value"], LEVELS, given["references"], given["offsets"], given["logits"])
    return str(caught.value)


def refused_by_cameras(**changes: Tensor) -> str:
    given = {
        "value": torch.zeros(N, B, TOKENS, M, E),
        "references": torch.zeros(N, B, Q, D, 2),
        "visible": torch.zeros(N, B, Q, D, dtype=torch.bool),
        "offsets": torch.zeros(B, Q, M, L, P, 2),
        "logits": torch.zeros(B, Q, M, L * P),
    } | changes
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is what each test looks at
        spatial_cross_attn(
            given["value"], LEVELS, given["references"], given["visible"], given["offsets"], given["logits"]
        )
    return str(caught.value)


def test_a_flat_value_is_refused() -> None:
    assert refused(value=torch.zeros(B, TOKENS, M * E)) == (
        "value is [2, 17, 8]; expected [batch, tokens, heads, channels]"
    )
    assert refused_by_cameras(value=torch.zeros(B, TOKENS, M, E)) == (
        "value is [2, 17, 2, 4]; expected [cameras, batch, tokens, heads, channels]"
    )


def test_offsets_without_points_are_refused() -> None:
    flat = torch.zeros(B, Q, M, L, P)
    expected = "offsets are [2, 5, 2, 2, 4]; expected [batch, queries, heads, levels, points, 2]"
    assert refused(offsets=flat) == expected
    assert refused_by_cameras(offsets=flat) == expected


def test_offsets_of_another_number_of_levels_are_refused() -> None:
    three = torch.zeros(B, Q, M, 3, P, 2)
    assert "offsets are [2, 5, 2, 3, 4, 2]; expected 2 items, 2 heads and 2 levels" in refused(offsets=three)
    assert "offsets are [2, 5, 2, 3, 4, 2]; expected [2, 5, 2, 2, 4, 2]" in refused_by_cameras(offsets=three)


def test_references_that_are_neither_points_nor_boxes_are_refused() -> None:
    assert refused(references=torch.zeros(B, Q, L, 3)) == (
        "references are [2, 5, 2, 3]; expected [2, 5, 2, 2] (points) or [2, 5, 2, 4] (boxes) to fit the offsets"
    )
    assert refused_by_cameras(references=torch.zeros(N, B, Q, D, 4)) == (
        "references are [3, 2, 5, 2, 4]; expected [cameras, batch, queries, anchors, 2]"
    )


def test_references_of_other_cameras_are_refused() -> None:
    assert refused_by_cameras(references=torch.zeros(4, B, Q, D, 2)) == (
        "references are [4, 2, 5, 2, 2]; expected [3, 2, 5, 2, 2] to fit value [3, 2, 17, 2, 4]"
    )


def test_logits_of_another_shape_are_refused() -> None:
    split = torch.zeros(B, Q, M, L, P)
    assert refused(logits=split) == "logits are [2, 5, 2, 2, 4]; expected [2, 5, 2, 8] to fit the offsets"
    assert refused_by_cameras(logits=split) == "logits are [2, 5, 2, 2, 4]; expected [2, 5, 2, 8] to fit the offsets"


def test_tokens_that_do_not_add_up_are_refused() -> None:
    expected = "value has 16 tokens but level sizes [(3, 5), (2, 1)] add up to 17"
    assert refused(value=torch.zeros(B, 16, M, E)).startswith(expected)
    assert refused_by_cameras(value=torch.zeros(N, B, 16, M, E)).startswith(expected)


def test_visibility_by_number_or_of_another_shape_is_refused() -> None:
    assert refused_by_cameras(visible=torch.ones(N, B, Q, D)) == "visible are torch.float32; expected torch.bool"
    whole = torch.ones(N, B, Q, dtype=torch.bool)
    assert refused_by_cameras(visible=whole) == ("visible are [3, 2, 5]; expected [3, 2, 5, 2] to fit the references")


def test_points_that_the_anchors_do_not_divide_are_refused() -> None:
    assert (
        refused_by_cameras(references=torch.zeros(N, B, Q, 3, 2), visible=torch.zeros(N, B, Q, 3, dtype=torch.bool))
        == "4 points for 3 anchors; expected as many points for every anchor"
    )


def test_coordinates_in_sixteen_bits_are_refused() -> None:
    narrow = {"value": torch.zeros(B, TOKENS, M, E, dtype=torch.bfloat16)}
    assert refused(**narrow, references=torch.zeros(B, Q, L, 2, dtype=torch.bfloat16)) == (
        "dtypes differ: references are torch.bfloat16; expected torch.float32 beside value torch.bfloat16"
    )


def test_offsets_and_logits_of_a_third_dtype_are_refused() -> None:
    assert refused(offsets=torch.zeros(B, Q, M, L, P, 2, dtype=torch.float64)) == (
        "dtypes differ: offsets are torch.float64; expected torch.float32 beside value torch.float32"
    )
    assert (
        refused(
            value=torch.zeros(B, TOKENS, M, E, dtype=torch.float16),
            logits=torch.zeros(B, Q, M, L * P, dtype=torch.float64),
        )
        == "dtypes differ: logits are torch.float64; expected torch.float32 or torch.float16 beside value torch.float16"
    )


def test_a_value_of_integers_is_refused() -> None:
    assert refused(value=torch.zeros(B, TOKENS, M, E, dtype=torch.int64)) == (
        "value is torch.int64; expected a floating-point tensor"
    )


def test_inputs_on_two_devices_are_refused() -> None:
    assert refused(logits=torch.zeros(B, Q, M, L * P, device="meta")) == "devices differ: value on cpu, logits on meta"
