"""Cells, pillars, cameras and ego motion, on values small enough to check by hand."""

from __future__ import annotations

import math

import torch

from repro.models.bevformer.geometry import bev_references, ego_shift, pillar_references, project_pillars, turn_history

CPU = torch.device("cpu")
RANGE = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)


def test_cells_are_row_major_with_x_first() -> None:
    cells = bev_references(2, 4, device=CPU)
    torch.testing.assert_close(cells[1], torch.tensor([3 / 8, 1 / 4]))
    torch.testing.assert_close(cells[4], torch.tensor([1 / 8, 3 / 4]))


def test_pillar_points_stand_half_a_metre_from_both_ends() -> None:
    heights = pillar_references(1, 1, 4, 8.0, device=CPU)[:, 0, 2]
    torch.testing.assert_close(heights, torch.tensor([0.5, 17 / 6, 31 / 6, 7.5]) / 8)


def test_a_point_ahead_is_seen_where_it_projects_and_one_behind_is_not() -> None:
    # 100×50 pixels, focal length 20 pixels, looking along +y: x right, y down is -z
    camera = torch.tensor([[20.0, 50, 0, 0], [0, 25, -20, 0], [0, 1, 0, 0], [0, 0, 0, 1]]).double()
    ahead, behind = [0.5 + 2 / 102.4, 0.5 + 10 / 102.4, 5 / 8], [0.5, 0.5 - 10 / 102.4, 5 / 8]
    pillars = torch.tensor([[ahead, behind]])  # one pillar point of two queries: (2, 10, 0) and (0, -10, 0) metres
    where, visible = project_pillars(pillars, camera.view(1, 1, 4, 4), RANGE, (50, 100))
    torch.testing.assert_close(where[0, 0, 0, 0], torch.tensor([(50 + 20 * 2 / 10) / 100, 0.5]))
    assert visible.flatten().tolist() == [True, False]


def test_the_image_border_itself_is_outside() -> None:
    camera = torch.eye(4, dtype=torch.float64)  # u = x/z, v = y/z of the metric point
    inside, border = [0.5 + 1 / 102.4, 0.5 + 1 / 102.4, 7 / 8], [0.5, 0.5 + 1 / 102.4, 7 / 8]
    _, visible = project_pillars(torch.tensor([[inside, border]]), camera.view(1, 1, 4, 4), RANGE, (1, 1))
    assert visible.flatten().tolist() == [True, False]


def test_forward_motion_shifts_the_bev_along_y() -> None:
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, :2] = torch.tensor([math.cos(0.7), math.sin(0.7)]) * 2.0  # two metres where the car looks
    can_bus[0, 16] = 0.7
    shift = ego_shift(can_bus, bev_range=RANGE, rows=50, columns=50)
    torch.testing.assert_close(shift, torch.tensor([[0.0, 2.0 / 102.4]], dtype=torch.float64))


def test_motion_to_the_left_shifts_along_minus_x() -> None:
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, 1] = 3.0  # the car looks along global x and slides to its left
    shift = ego_shift(can_bus, bev_range=RANGE, rows=50, columns=50)
    torch.testing.assert_close(shift, torch.tensor([[-3.0 / 102.4, 0.0]], dtype=torch.float64))


def test_a_quarter_turn_moves_whole_cells() -> None:
    cells = torch.arange(16.0).view(1, 16, 1)
    turned = turn_history(cells, torch.tensor([90.0]), size=(4, 4), center=(2, 2))
    assert torch.equal(turned.view(4, 4), torch.rot90(cells.view(4, 4)))


def test_no_turn_about_any_centre_changes_nothing() -> None:
    cells = torch.randn(1, 2500, 3)
    assert torch.equal(turn_history(cells, torch.tensor([0.0]), size=(50, 50), center=(100, 100)), cells)


def test_cells_from_outside_are_filled_with_zeros() -> None:
    turned = turn_history(torch.ones(1, 16, 1), torch.tensor([45.0]), size=(4, 4), center=(2, 2)).view(4, 4)
    assert float(turned[0, 0]) == 0
    assert float(turned[1, 1]) == 1


def test_each_item_turns_by_its_own_angle() -> None:
    cells = torch.arange(16.0).view(1, 16, 1).expand(2, -1, -1)
    turned = turn_history(cells, torch.tensor([0.0, 180.0]), size=(4, 4), center=(2, 2))
    assert torch.equal(turned[0], cells[0])
    assert torch.equal(turned[1], cells[1].flip(0))
