"""The drawing of docs/temporal_self_attention.md: one cell looks into the turned history and into the present."""

from __future__ import annotations

import torch
from torch import Tensor

from docs.drawings.sheet import BLUE, GREY, HEADS, ORANGE, Panel, Sheet
from repro.models.bevformer.geometry import bev_references, ego_shift
from repro.models.bevformer.temporal import QUEUE, TemporalSelfAttention
from repro.ops.reference import sampling_places
from repro.recipe import Model, load_recipe

FORWARD_M = 6.0  # metres that the car drives straight on between the two frames of the drawing
CELL = (27, 24)  # row and column of the cell whose query looks
ROWS, COLUMNS = (19, 37), (15, 33)  # the part of the map that is drawn


def draw() -> Sheet:
    """Return the drawing: the places in both halves, and how the numbers flow."""
    model = load_recipe("bevformer_tiny").model
    references, where = untrained_places(model)
    sheet = Sheet(900, 600, "One BEV cell looks into the history and into the present")
    for half, name in enumerate(("History, turned: around cell + shift", "Present: around the cell")):
        panel = Panel(
            sheet=sheet, at=(24 + 350 * half, 42), size=(320, 320), across=COLUMNS, down=ROWS[::-1], title=(name,)
        )
        draw_half(panel, references[half], where[:, half])
    sheet.words((720, 60), f"{FORWARD_M:.0f} m straight on are", f"{float(references[0, 1] - CELL[0] - 0.5):.2f} cells")
    for head, colour in enumerate(HEADS[: model.heads]):
        sheet.dots([(726, 112 + 22 * head)], size=7, colour=colour)
        sheet.words((738, 116 + 22 * head), f"head {head}")
    sheet.put("rect", x=719, y=309, width=14, height=14, fill=ORANGE, fill_opacity="0.35", stroke=ORANGE)
    sheet.words((738, 320), "the cell")
    Panel(sheet=sheet, at=(719, 331), size=(14, 14), across=(0, 2), down=(0, 2)).cross((1, 1))
    sheet.words((738, 342), "the reference")
    draw_flow(sheet, model)
    return sheet


def untrained_places(model: Model) -> tuple[Tensor, Tensor]:
    """Return the references [2, 2] and places [M, 2, P, 2], history first, of the cell in a fresh layer, in cells."""
    rows, columns = model.bev.rows, model.bev.columns
    M, P, C = model.heads, model.encoder.temporal_points, model.embed_dims
    layer = TemporalSelfAttention(channels=C, heads=M, points=P, rows="upstream")
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, 0] = FORWARD_M  # along global x, and a yaw of 0 looks along global x
    shift = ego_shift(can_bus, bev_range=model.bev.range, rows=rows, columns=columns)[0].float()
    cell = bev_references(rows, columns, device=shift.device)[CELL[0] * columns + CELL[1]]
    references = torch.stack([cell + shift, cell])
    both = torch.zeros(1, 1, QUEUE * C)
    offsets = layer.sampling_offsets(both).detach().view(1, 1, M, QUEUE, P, 2)
    logits = layer.attention_weights(both).detach().view(1, 1, M, QUEUE * P)
    where, _ = sampling_places(torch.zeros(1), [(rows, columns)] * QUEUE, references[None, None], offsets, logits)
    size = torch.tensor([columns, rows])
    return references * size, where[0, 0] * size


def draw_half(panel: Panel, reference: Tensor, where: Tensor) -> None:
    """Draw the cell, the reference [2] and the places [M, P, 2] of all heads over the cells of one map."""
    panel.grid(ROWS, COLUMNS)
    row, column = CELL
    panel.rectangle((column, row), (column + 1, row + 1), fill=ORANGE, fill_opacity="0.35", stroke=ORANGE)
    for head, places in enumerate(where.tolist()):
        panel.line([reference.tolist(), places[-1]], stroke=HEADS[head], stroke_width=0.8)
        panel.dots(places, size=7, colour=HEADS[head])
    panel.cross(reference.tolist())
    panel.arrow([(COLUMNS[1] - 1.2, ROWS[0] + 0.6), (COLUMNS[1] - 1.2, ROWS[0] + 3.4)])
    panel.words((COLUMNS[1] - 1.6, ROWS[0] + 1), "ahead", text_anchor="end", fill=GREY)


def draw_flow(sheet: Sheet, model: Model) -> None:
    """Draw which tensors of one item make the result, with their shapes."""
    Q, C, M, P = model.bev.rows * model.bev.columns, model.embed_dims, model.heads, model.encoder.temporal_points
    history = sheet.box((24, 392), (150, 48), "history, turned", f"[{Q}, {C}]")
    query = sheet.box((24, 456), (150, 48), "query + position", f"[{Q}, {C}]")
    pairs = sheet.box((24, 530), (150, 48), "history, present", f"[{QUEUE}, {Q}, {C}]")
    beside = sheet.box((222, 424), (140, 48), "side by side", f"[{Q}, {QUEUE * C}]")
    offsets = sheet.box((410, 392), (150, 48), "offsets", f"[{Q}, {M}, {QUEUE}, {P}, 2]")
    weights = sheet.box((410, 456), (150, 48), "weights, Σ = 1 a half", f"[{Q}, {M}, {QUEUE}, {P}]")
    value = sheet.box((410, 530), (150, 48), "values", f"[{QUEUE}, {Q}, {M}, {C // M}]")
    read = sheet.box((608, 424), (110, 80), "read, weigh,", "mean of the", "two halves")
    result = sheet.box((766, 440), (110, 48), "result", f"[{Q}, {C}]", fill="#e3eef7", colour=BLUE)
    for start, end in ((history, beside), (query, beside), (beside, offsets), (beside, weights)):
        sheet.arrow([start.right, end.left])
    sheet.arrow([pairs.right, value.left])
    for start in (offsets, weights, value):
        sheet.arrow([start.right, read.left])
    sheet.arrow([read.right, result.left])
    sheet.words((222, 548), "value_proj")
