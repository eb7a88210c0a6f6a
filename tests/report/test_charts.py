"""Charts keep their lines inside their axes, and say what they show to those who cannot see them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.report.charts import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, line_chart, thinned

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
LINES = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40)


@settings(max_examples=50)
@given(LINES)
def test_every_point_lies_inside_the_axes(line: list[tuple[float, float]]) -> None:
    chart = line_chart("a", {"b": line}, x_name="x", y_name="y")
    for x, y in chart.lines[0].points:
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM


def test_a_long_line_becomes_means_and_says_so() -> None:
    line = [(float(x), 1.0) for x in range(6 * MOST_POINTS)]
    chart = line_chart("a", {"b": line}, x_name="x", y_name="y")
    assert len(chart.lines[0].points) == MOST_POINTS
    assert chart.note == "Each point is the mean of about 6 rows."
    assert thinned(line)[0] == (2.5, 1.0)


def test_a_short_line_is_drawn_as_it_is_with_dots() -> None:
    chart = line_chart("a", {"b": [(0, 3.0), (1, 2.0), (2, 1.0)]}, x_name="x", y_name="y")
    (line,) = chart.lines
    heights = [y for _, y in line.points]
    assert heights == sorted(heights)  # falling values lie lower and lower
    assert line.has_dots
    assert not chart.note


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_left_out(value: float) -> None:
    chart = line_chart("a", {"b": [(0, 1.0), (1, value), (2, 2.0)], "c": [(0, value)]}, x_name="x", y_name="y")
    assert [(line.name, len(line.points)) for line in chart.lines] == [("b", 2)]


def test_one_point_alone_stands_in_the_middle() -> None:
    chart = line_chart("a", {"b": [(7, 3.0)]}, x_name="x", y_name="y")
    assert chart.lines[0].points[0][0] == pytest.approx((LEFT + WIDTH - RIGHT) / 2)


def test_small_numbers_are_told_in_a_power_of_ten() -> None:
    chart = line_chart("a", {"b": [(0, 2e-4), (9, 0.0)]}, x_name="x", y_name="learning rate")
    assert chart.y_name == "learning rate (×10⁻⁴)"
    assert [text for _, text in chart.y_ticks] == ["0", "0.5", "1", "1.5", "2"]


def test_the_summary_names_title_axes_and_last_values() -> None:
    chart = line_chart("Total loss", {"total": [(0, 9.0), (50, 8.5)]}, x_name="iteration", y_name="loss")
    assert chart.summary == "Total loss: loss over iteration. total: 8.5 at the end."
