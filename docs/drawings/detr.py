"""Drawings of what Deformable DETR adds: sampling over levels, boxes refined layer by layer, proposals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from matplotlib.patches import Rectangle

from docs.drawings.canvas import BLUE, GREEN, GREY, HEADS, ORANGE, cells, panels
from repro.models.attention import DeformableAttention
from repro.models.boxes import inverse_sigmoid
from repro.models.deformable_detr.head import place
from repro.models.deformable_detr.positions import tokens_of
from repro.models.deformable_detr.proposals import anchor_logits
from repro.ops.reference import sampling_places
from repro.recipe import load_any_recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from repro.models.deformable_detr.positions import Tokens

LEVELS = ((40, 60), (20, 30), (10, 15), (5, 8))  # rows and columns of a 320 × 480 image at strides 8, 16, 32, 64
EMPTY_COLUMNS = 96  # pixels of padding at the right of that image


def deformable_attention() -> Figure:
    """Draw where an untrained layer of recipe `deformable_detr` looks from one query, level by level."""
    model = load_any_recipe("deformable_detr").model
    heads, points, levels = model.heads, model.encoder.points, len(LEVELS)
    layer = DeformableAttention(channels=model.embed_dims, heads=heads, levels=levels, points=points)
    at = torch.tensor([0.52, 0.45])
    offsets = layer.sampling_offsets(torch.zeros(1, 1, model.embed_dims)).view(1, 1, heads, levels, points, 2)
    logits = layer.attention_weights(torch.zeros(1, 1, model.embed_dims)).view(1, 1, heads, levels * points)
    where, _ = sampling_places(torch.zeros(1), LEVELS, at.expand(1, 1, levels, 2), offsets.detach(), logits.detach())
    figure, axes = panels(levels, rows=2, width=4.4, height=3.1)
    for level, ((rows, columns), panel) in enumerate(zip(LEVELS, axes, strict=True)):
        cells(panel, rows, columns)
        for head in range(heads):
            x, y = (where[0, 0, head, level] * torch.tensor([columns, rows])).T.tolist()
            panel.plot(x, y, ".", color=HEADS[head], markersize=5, label=f"head {head}")
        panel.plot(at[0] * columns, at[1] * rows, "+", color="black", markersize=9, label="reference")
        panel.set_title(f"level {level}: {rows} × {columns} tokens")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def iterative_refinement() -> Figure:
    """Draw a box that each of six layers moves half of what is missing, in logits."""
    wanted = torch.tensor([0.66, 0.40, 0.30, 0.44])
    boxes = [torch.tensor([0.35, 0.65, 0.12, 0.12])]
    for _ in range(load_any_recipe("deformable_detr_refine").model.decoder.layers):
        boxes.append(place(0.5 * (inverse_sigmoid(wanted) - inverse_sigmoid(boxes[-1])), boxes[-1]))
    figure, (picture, curve) = panels(2, width=4.2, height=3.4)
    picture.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", xlabel="x of image width", ylabel="y of image height")
    for layer, box in enumerate(boxes):
        outline(picture, box, color=BLUE, alpha=0.25 + 0.12 * layer, linewidth=1.2)
        picture.annotate(f"r{layer}", (float(box[0]), float(box[1])), color=BLUE, fontsize=7)
    outline(picture, wanted, color=ORANGE, linewidth=1.5, linestyle="--")
    picture.set_title("references r0 … r6; dashed: the object")
    for number, (name, colour) in enumerate(zip(("cx", "cy", "w", "h"), HEADS, strict=False)):
        curve.plot([float(box[number]) for box in boxes], ".-", color=colour, label=name)
        curve.axhline(float(wanted[number]), color=colour, linewidth=0.6, linestyle="--")
    curve.set(xlabel="decoder layers passed", ylim=(0, 1), title="the four numbers of the box")
    curve.legend(loc="upper right", ncols=4)
    return figure


def two_stage() -> Figure:
    """Draw the box that tokens of each level start from, and which tokens may propose one."""
    tokens = padded_tokens()
    anchors = anchor_logits(tokens)[0].split([rows * columns for rows, columns in LEVELS])
    figure, axes = panels(len(LEVELS), rows=2, width=4.4, height=3.1)
    for level, (panel, numbers) in enumerate(zip(axes, anchors, strict=True)):
        rows, columns = LEVELS[level]
        width, height = (float(size) for size in tokens.valid_sizes[0, level])
        cells(panel, rows, columns)
        panel.add_patch(Rectangle((width, 0), columns - width, rows, facecolor="#eeeeee", hatch="//", edgecolor=GREY))
        counts = numbers.isfinite().all(-1)
        boxes = numbers.sigmoid() * torch.tensor([width, height, width, height])
        panel.plot(*boxes[counts, :2].T.tolist(), ".", color=GREEN, markersize=2)
        outline(panel, boxes[int(counts.nonzero()[len(counts.nonzero()) // 2])], color=ORANGE, linewidth=1.5)
        panel.set_title(f"level {level}: {int(counts.sum())} of {rows * columns} tokens count")
    return figure


def padded_tokens() -> Tokens:
    """Return the tokens of one empty 320 × 480 image whose last `EMPTY_COLUMNS` pixel columns are padding."""
    padding = torch.zeros(1, 320, 480, dtype=torch.bool)
    padding[:, :, -EMPTY_COLUMNS:] = True
    return tokens_of([torch.zeros(1, 4, *size) for size in LEVELS], padding, torch.zeros(len(LEVELS), 4))


def outline(axes: Axes, box: Tensor, **style: object) -> None:
    """Draw the rectangle of a box (cx, cy, w, h) in the panel's units."""
    x, y, width, height = box.tolist()
    assert math.isfinite(x + y + width + height)
    axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, fill=False, **style))
