"""The drawing of docs/temporal_memory.md: how the BEV is handed on, and read after the car has moved."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from docs.drawings.sheet import BLUE, GREEN, GREY, ORANGE, Panel, Sheet
from repro.models.bevformer.geometry import ego_shift, turn_history
from repro.recipe import Model, load_recipe

FORWARD_M, TURN = 6.0, 4.0  # metres straight on, then degrees to the left, between the two frames
CORNERS = ((-22.0, 4.0), (-22.0, 32.0), (14.0, 32.0))  # of a wall that stands still, metres in the older LiDAR frame


def draw() -> Sheet:
    """Return the drawing: the queue of a clip, and a wall in the history before and after the turn."""
    recipe = load_recipe("bevformer_tiny")
    model = recipe.model
    middle, upstream = centres(model)
    sheet = Sheet(900, 540, "The BEV of a frame is the history of the next one: turned, and read where the cell was")
    draw_queue(sheet, recipe.data.queue_length)
    history = marked(model, wall())
    maps = {
        "1. The history as it was made": history,
        f"2. Turned {TURN:.0f}° about ({middle[0]:.0f}, {middle[1]:.0f}), the car": turned(history, middle),
        f"3. Upstream: about ({upstream[0]:.0f}, {upstream[1]:.0f})": turned(history, upstream),
    }
    for number, (title, occupied) in enumerate(maps.items()):
        at, (rows, columns) = (24 + 292 * number, 196), occupied.shape
        panel = Panel(sheet=sheet, at=at, size=(268, 268), across=(0, columns), down=(rows, 0), title=(title,))
        panel.rectangle((0, 0), (columns, rows), stroke=GREY)
        y, x = occupied.nonzero().T
        panel.dots(torch.stack([x, y], 1).add(0.5).tolist(), size=5.4, colour=BLUE)
        panel.arrow([(columns / 2, rows / 2 - 2), (columns / 2, rows / 2 + 3)], stroke_width=1.5)
        if number:
            panel.dots(places_read(model).tolist(), size=2.6, colour=ORANGE)
    draw_legend(sheet, model)
    return sheet


def wall() -> Tensor:
    """Return points [W, 2] along the wall, at most a quarter of a metre apart, metres in the older LiDAR frame."""
    a, b, c = (torch.tensor(corner) for corner in CORNERS)
    part = torch.linspace(0, 1, 145)[:, None]
    return torch.cat([a + part * (b - a), b + part * (c - b)])


def now(points: Tensor) -> Tensor:
    """Return where points [W, 2] of the older LiDAR frame lie in the newer one."""
    x, y = (points - torch.tensor([0.0, FORWARD_M])).unbind(-1)
    a = math.radians(TURN)
    return torch.stack([x * math.cos(a) + y * math.sin(a), y * math.cos(a) - x * math.sin(a)], -1)


def in_cells(model: Model, points: Tensor) -> Tensor:
    """Return metric points [W, 2] in cells of the BEV."""
    low, high = torch.tensor(model.bev.range[:2]), torch.tensor(model.bev.range[3:5])
    return (points - low) / (high - low) * torch.tensor([model.bev.columns, model.bev.rows])


def marked(model: Model, points: Tensor) -> Tensor:
    """Return a map [Y, X] with ones where points lie."""
    occupied = torch.zeros(model.bev.rows, model.bev.columns)
    x, y = in_cells(model, points).long().unbind(-1)
    occupied[y, x] = 1.0
    return occupied


def turned(occupied: Tensor, center: tuple[float, float]) -> Tensor:
    """Return the map [Y, X] turned as the model turns its history."""
    rows, columns = occupied.shape
    flat = turn_history(occupied.view(1, -1, 1), torch.tensor([TURN]), size=(rows, columns), center=center)
    return flat.view(rows, columns)


def places_read(model: Model) -> Tensor:
    """Return where the cells at which the wall is now look into the history: cell + shift, [W, 2] in cells."""
    bev = model.bev
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, 0], can_bus[0, 16] = FORWARD_M, math.radians(TURN)  # along global x; the yaw was 0 and is now the turn
    shift = ego_shift(can_bus, bev_range=bev.range, rows=bev.rows, columns=bev.columns)[0].float()
    return in_cells(model, now(wall())) + shift * torch.tensor([bev.columns, bev.rows])


def centres(model: Model) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the middle of the map and the centre that upstream turns about, as (x, y) in cells."""
    upstream = model.quirks.rotate_center
    assert not isinstance(upstream, str)
    return (model.bev.columns / 2, model.bev.rows / 2), (upstream[0], upstream[1])


def draw_queue(sheet: Sheet, length: int) -> None:
    """Draw the frames of a training clip from the oldest to the one that is learnt from."""
    for step in range(length):
        x, back, last = 24 + 230 * step, length - 1 - step, step == length - 1
        frame = sheet.box((x, 20), (150, 44), f"frame t − {back}" if back else "frame t", "images, CAN bus")
        words = ("encode,", "with gradient") if last else ("encode,", "no gradient")
        encode = sheet.box((x, 96), (150, 44), *words, fill="#e3eef7" if last else "#ffffff")
        sheet.arrow([frame.bottom, encode.top])
        sheet.arrow([encode.right, (encode.right[0] + 80, encode.right[1])])
        sheet.words((encode.right[0] + 36, encode.right[1] - 8), "BEV", text_anchor="middle")
    sheet.box((24 + 230 * length, 96), (150, 44), "decode:", "boxes, losses", fill="#e3eef7")


def draw_legend(sheet: Sheet, model: Model) -> None:
    """Say what the marks are, and how far the two turns are apart."""
    middle, upstream = centres(model)
    cells = 2 * math.sin(math.radians(TURN) / 2) * math.dist(middle, upstream)
    metres = cells * (model.bev.range[3] - model.bev.range[0]) / model.bev.columns
    sheet.dots([(32, 492)], size=7, colour=BLUE)
    sheet.words((44, 496), "A wall that stands still, in the history")
    sheet.dots([(32, 514)], size=5, colour=ORANGE)
    sheet.words((44, 518), "Where the cells that hold the wall now read: cell + shift")
    moved = f"The car has gone {FORWARD_M:.0f} m ahead and turned {TURN:.0f}° to the left"
    sheet.words((440, 496), moved)
    sheet.words((440, 518), f"2 and 3 are {cells:.1f} cells apart, {metres:.1f} m", fill=GREEN)
