"""The drawing of docs/deformable_attention.md: where an untrained layer looks, and what it reads."""

from __future__ import annotations

import torch

from docs.drawings.sheet import BLACK, BLUE, GREEN, GREY, HEADS, ORANGE, PINK, Panel, Sheet
from repro.models.attention import DeformableAttention
from repro.ops.reference import sampling_places
from repro.recipe import load_detr_recipe

IMAGE = (320, 480)  # rows and columns of the image in the drawing
LEVELS = ((40, 60), (20, 30), (10, 15), (5, 8))  # of that image at strides 8, 16, 32, 64
REFERENCE = (0.52, 0.45)
COLOURS = (BLUE, ORANGE, GREEN, PINK)
ZOOMED = 1  # the level that is drawn large


def draw() -> Sheet:
    """Return the drawing: places of one query in the image, in one level, and between four cells."""
    where = untrained_places()
    heads, levels, points = where.shape[:3]
    sheet = Sheet(900, 510, "Where one query looks: heads, levels, points, and the four cells around a place")
    draw_image(sheet, where, f"{heads} heads × {levels} levels × {points} points = {heads * levels * points} places")
    draw_level(sheet, where[:, ZOOMED])
    draw_cells(sheet, where[0, ZOOMED, 0])
    return sheet


def untrained_places() -> torch.Tensor:
    """Return the places [M, L, P, 2] in 0..1 at which a fresh layer of recipe `deformable_detr` looks."""
    model = load_detr_recipe("deformable_detr").model
    M, L, P, C = model.heads, model.neck.num_outs, model.encoder.points, model.embed_dims
    layer = DeformableAttention(channels=C, heads=M, levels=L, points=P)
    query = torch.zeros(1, 1, C)
    offsets = layer.sampling_offsets(query).detach().view(1, 1, M, L, P, 2)
    logits = layer.attention_weights(query).detach().view(1, 1, M, L * P)
    at = torch.tensor(REFERENCE).expand(1, 1, L, 2)
    return sampling_places(torch.zeros(1), LEVELS, at, offsets, logits)[0][0, 0]


def draw_image(sheet: Sheet, where: torch.Tensor, title: str) -> None:
    """Draw the places of all heads and levels over the image."""
    rows, columns = IMAGE
    panel = Panel(sheet=sheet, at=(24, 42), size=(400, 400), across=(-30, 530), down=(-140, 420), title=(title,))
    panel.rectangle((0, 0), (columns, rows), fill="#f2f4f7", stroke=GREY)
    panel.words((0, rows), f"image of {rows} × {columns} pixels", by=(6, -8), fill=GREY)
    pixels = where * torch.tensor([columns, rows])
    for level in reversed(range(len(LEVELS))):
        panel.dots(pixels[:, level].flatten(0, 1).tolist(), size=4 + 1.5 * level, colour=COLOURS[level])
        words = f"level {level}: {LEVELS[level][0]} × {LEVELS[level][1]}"
        x, y = 36 + 200 * (level % 2), 466 + 22 * (level // 2)
        sheet.dots([(x, y)], size=4 + 1.5 * level, colour=COLOURS[level])
        sheet.words((x + 12, y + 4), words)
    panel.cross((REFERENCE[0] * columns, REFERENCE[1] * rows))
    panel.words((columns / 2, -82), "places outside the image read zero", by=(0, 5), text_anchor="middle", fill=GREY)


def draw_level(sheet: Sheet, where: torch.Tensor) -> None:
    """Draw the places [M, P, 2] of all heads over the cells of one level."""
    rows, columns = LEVELS[ZOOMED]
    x, y = REFERENCE[0] * columns, REFERENCE[1] * rows
    title = f"Level {ZOOMED}: offsets count in its cells"
    panel = Panel(sheet=sheet, at=(462, 42), size=(240, 240), across=(10, 22), down=(3, 15), title=(title,))
    panel.grid((3, 15), (10, 22))
    for head, places in enumerate((where * torch.tensor([columns, rows])).tolist()):
        panel.line([(x, y), places[-1]], stroke=HEADS[head], stroke_width=0.8)
        panel.dots(places, size=7, colour=HEADS[head])
        sheet.dots([(724, 62 + 22 * head)], size=7, colour=HEADS[head])
        sheet.words((736, 66 + 22 * head), f"head {head}")
    panel.cross((x, y))
    sheet.words((718, 258), f"reference ({REFERENCE[0]}, {REFERENCE[1]})", f"= cell ({x:.1f}, {y:.1f})")


def draw_cells(sheet: Sheet, place: torch.Tensor) -> None:
    """Draw the four cells around one place, and how much of each is read: bilinear, between the cells' centres."""
    rows, columns = LEVELS[ZOOMED]
    x, y = (place * torch.tensor([columns, rows])).tolist()
    left, above = int(x - 0.5), int(y - 0.5)
    panel = Panel(sheet=sheet, at=(462, 350), size=(120, 120), across=(left, left + 2), down=(above, above + 2))
    sheet.words((462, 338), "What head 0 reads at its first point", font_weight="bold")
    shares = {}
    for row, column in ((above, left), (above, left + 1), (above + 1, left), (above + 1, left + 1)):
        share = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
        panel.rectangle((column, row), (column + 1, row + 1), fill=BLUE, fill_opacity=f"{0.1 + share:.2f}", stroke=GREY)
        panel.dots([(column + 0.5, row + 0.5)], size=4, colour=BLACK)
        shares[row, column] = f"{share:.2f} of cell ({column}, {row})"
    panel.dots([(x, y)], size=9, colour=ORANGE)
    sheet.words((602, 364), f"the place ({x:.1f}, {y:.1f}) lies between centres", *shares.values())
