"""The drawing of docs/two_stage.md: which tokens may propose a box, how large, and how a proposal becomes a query."""

from __future__ import annotations

import torch

from docs.drawings.sheet import BLUE, GREEN, GREY, ORANGE, Panel, Sheet
from repro.models.deformable_detr.positions import Tokens, tokens_of
from repro.models.deformable_detr.proposals import MARGIN, anchor_logits
from repro.recipe import DetrRecipe, load_detr_recipe

IMAGE, EMPTY_COLUMNS = (320, 544), 96  # rows and columns of the padded image, and how many columns are padding
LEVELS = ((40, 68), (20, 34), (10, 17), (5, 9))  # of that image at strides 8, 16, 32, 64


def draw() -> Sheet:
    """Return the drawing: the tokens of each level with one box, and the way from memory to queries."""
    recipe = load_detr_recipe("deformable_detr_twostage")
    tokens = padded_tokens()
    counts = anchor_logits(tokens)[0].isfinite().all(-1).tolist()
    sheet = Sheet(900, 470, "Tokens propose boxes; the best of them become the queries")
    total = sum(rows * columns for rows, columns in LEVELS)
    sheet.words(
        (24, 200),
        f"{sum(counts)} of {total} tokens propose a box (green). The others (grey) lie in the padding, or a number of",
        f"their box (x, y, width, height) is within {MARGIN} of 0 or 1. Orange: the box of one token of each level.",
    )
    for level in range(len(LEVELS)):
        draw_level(sheet, level, tokens)
    draw_flow(sheet, recipe, total)
    return sheet


def padded_tokens() -> Tokens:
    """Return the tokens of one empty image whose last `EMPTY_COLUMNS` pixel columns are padding."""
    padding = torch.zeros(1, *IMAGE, dtype=torch.bool)
    padding[:, :, -EMPTY_COLUMNS:] = True
    return tokens_of([torch.zeros(1, 4, *size) for size in LEVELS], padding, torch.zeros(len(LEVELS), 4))


def draw_level(sheet: Sheet, level: int, tokens: Tokens) -> None:
    """Draw the tokens of a level, those that count in green, and the box around one in the middle."""
    rows, columns = LEVELS[level]
    anchors = torch.split(anchor_logits(tokens)[0], [r * c for r, c in LEVELS])[level]
    counts = anchors.isfinite().all(-1).view(rows, columns)
    title = f"Level {level}: {int(counts.sum())} of {rows * columns}"
    at, size = (24 + 218 * level, 42), (198, 116)
    panel = Panel(sheet=sheet, at=at, size=size, across=(0, columns), down=(0, rows), title=(title,))
    width, height = tokens.valid_sizes[0, level].tolist()
    panel.rectangle((0, 0), (columns, rows), fill="#e5e8ed", stroke=GREY)
    panel.rectangle((0, 0), (width, height), fill="#ffffff", stroke="none")
    dot = (2, 3, 5, 7)[level]
    for mask, colour in ((counts, GREEN), (~counts, "#9aa1ab")):
        y, x = mask.nonzero().T
        panel.dots(torch.stack([x, y], 1).add(0.5).tolist(), size=dot, colour=colour)
    chosen = rows // 2 * columns + int(width) // 2
    x, y, w, h = (anchors[chosen].sigmoid() * torch.tensor([width, height, width, height])).tolist()
    panel.rectangle((x - w / 2, y - h / 2), (x + w / 2, y + h / 2), stroke=ORANGE, stroke_width=2)
    panel.dots([(x, y)], size=dot + 2, colour=ORANGE)


def draw_flow(sheet: Sheet, recipe: DetrRecipe, total: int) -> None:
    """Draw the way from the encoder's memory to the queries of the decoder."""
    C, K, S = recipe.model.embed_dims, recipe.model.decoder.queries, recipe.data.classes
    memory = sheet.box((24, 312), (130, 48), "memory", f"[{total}, {C}]")
    states = sheet.box((190, 312), (130, 48), "linear, LayerNorm", f"[{total}, {C}]")
    scores = sheet.box((355, 270), (150, 48), "class scores", f"[{total}, {S}]")
    boxes = sheet.box((355, 354), (150, 48), "token's box + codes", f"[{total}, 4]")
    best = sheet.box((540, 312), (150, 48), f"the {K} best", "by class 0")
    references = sheet.box((730, 270), (146, 48), "references", f"σ, [{K}, 4]", fill="#e3eef7", colour=BLUE)
    sines = sheet.box((540, 400), (150, 48), "sines of 4 numbers", f"[{K}, {2 * C}]")
    queries = sheet.box((730, 400), (146, 48), "position, content", f"[{K}, {C}] each", fill="#e3eef7", colour=BLUE)
    for start, end in ((memory, states), (states, scores), (states, boxes), (scores, best), (boxes, best)):
        sheet.arrow([start.right, end.left])
    sheet.arrow([best.right, references.left], stroke_dasharray="4 3")
    sheet.arrow([best.bottom, sines.top], stroke_dasharray="4 3")
    sheet.arrow([sines.right, queries.left])
    sheet.words((624, 384), "detached", fill=GREY)
