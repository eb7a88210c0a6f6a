"""Box codes there and back, and the logit they are refined in."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import generalized_box_iou

from repro.models.boxes import (
    boxes_from_codes,
    codes_from_boxes,
    corners_of,
    generalised_iou,
    inverse_sigmoid,
    rounded_log,
)


def test_codes_stand_in_the_order_of_the_spec() -> None:
    box = torch.tensor([[1.0, 2.0, 3.0, math.e, 1.0, math.e**2, math.pi / 2, 4.0, 5.0]])
    expected = torch.tensor([[1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 1.0, 0.0, 4.0, 5.0]])
    torch.testing.assert_close(codes_from_boxes(box), expected)


@given(
    st.lists(st.floats(-60, 60), min_size=3, max_size=3),
    st.lists(st.floats(0.05, 30), min_size=3, max_size=3),
    st.floats(-3.1, 3.1),
    st.lists(st.floats(-20, 20), min_size=2, max_size=2),
)
def test_a_box_survives_the_round_trip(
    centre: list[float], size: list[float], yaw: float, velocity: list[float]
) -> None:
    box = torch.tensor([[*centre, *size, yaw, *velocity]], dtype=torch.float64)
    torch.testing.assert_close(boxes_from_codes(codes_from_boxes(box)), box)


def test_the_length_of_sine_and_cosine_does_not_matter() -> None:
    codes = torch.tensor([[0.0, 0, 0, 0, 0, 0, 3.0, 3.0, 0, 0]])
    assert math.isclose(float(boxes_from_codes(codes)[0, 6]), math.pi / 4, rel_tol=1e-6)


def test_the_logit_undoes_the_sigmoid() -> None:
    x = torch.linspace(-9, 9, 19, dtype=torch.float64)
    torch.testing.assert_close(inverse_sigmoid(x.sigmoid()), x)


def test_the_logit_stays_finite_at_and_beyond_the_ends() -> None:
    limit = math.log(1e5)
    seen = inverse_sigmoid(torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64))
    torch.testing.assert_close(seen, torch.tensor([-limit, -limit, limit, limit], dtype=torch.float64))


def test_the_log_is_the_float_nearest_to_the_truth() -> None:
    x = torch.rand(2000, generator=torch.Generator().manual_seed(0)) + 1e-12
    assert torch.equal(rounded_log(x).double(), torch.tensor([math.log(v) for v in x.tolist()]).double())


def test_corners_are_half_the_size_away_from_the_centre() -> None:
    assert corners_of(torch.tensor([5.0, 3.0, 4.0, 2.0])).tolist() == [3.0, 2.0, 7.0, 4.0]


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(1, 50)] * 2), min_size=2, max_size=5))
def test_generalised_iou_is_torchvisions_where_boxes_have_an_area(boxes: list[tuple[float, ...]]) -> None:
    corners = corners_of(torch.tensor(boxes, dtype=torch.float64))
    torch.testing.assert_close(generalised_iou(corners[:, None], corners[None]), generalized_box_iou(corners, corners))


def test_boxes_far_apart_overlap_less_than_neighbours() -> None:
    box, near, far = (torch.tensor([x, 0.0, x + 1, 1.0]) for x in (0, 2, 20))
    assert -1 < float(generalised_iou(box, far)) < float(generalised_iou(box, near)) < 0


# differs from torchvision's, which is NaN there: union and hull are at least 1e-6
def test_boxes_without_an_area_overlap_nothing_and_stay_finite() -> None:
    point = torch.tensor([1.0, 1.0, 1.0, 1.0]).requires_grad_()
    overlap = generalised_iou(point, torch.tensor([1.0, 1.0, 1.0, 1.0]))
    overlap.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert overlap.item() == 0
    assert point.grad is not None
    assert point.grad.isfinite().all()
