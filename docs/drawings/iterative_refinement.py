"""The drawing of docs/iterative_refinement.md: what a layer adds to its reference, and a box that six layers move."""

from __future__ import annotations

import torch

from docs.drawings.sheet import BLUE, GREEN, GREY, ORANGE, PALE, PINK, Panel, Sheet
from repro.models.boxes import inverse_sigmoid
from repro.models.deformable_detr.head import place
from repro.recipe import DetrModel, load_detr_recipe

FIRST, WANTED = (0.30, 0.68, 0.10, 0.14), (0.66, 0.40, 0.30, 0.44)  # (cx, cy, w, h) in parts of the image
SHARE = 0.5  # of what is missing, in logits, that each layer adds: made up for the drawing
NAMES, COLOURS = ("cx", "cy", "w", "h"), (BLUE, ORANGE, GREEN, PINK)


def draw() -> Sheet:
    """Return the drawing: one layer's step, the boxes layer by layer, and their four numbers."""
    model = load_detr_recipe("deformable_detr_refine").model
    boxes = refined(model.decoder.layers)
    sheet = Sheet(900, 540, "Each decoder layer adds to the logit of its reference; the next one starts there")
    draw_step(sheet, model)
    draw_boxes(sheet, boxes)
    draw_numbers(sheet, boxes)
    return sheet


def refined(layers: int) -> list[list[float]]:
    """Return the references before, between and after the layers, each (cx, cy, w, h)."""
    wanted, boxes = torch.tensor(WANTED), [torch.tensor(FIRST)]
    for _ in range(layers):
        told = SHARE * (inverse_sigmoid(wanted) - inverse_sigmoid(boxes[-1]))
        boxes.append(place(told, boxes[-1]))
    return [box.tolist() for box in boxes]


def draw_step(sheet: Sheet, model: DetrModel) -> None:
    """Draw how a layer makes its box, and where the gradient stops."""
    reference = sheet.box((24, 28), (150, 48), "reference r", f"[{model.decoder.queries}, 2 or 4]")
    state = sheet.box((24, 110), (150, 48), "query state", f"[{model.decoder.queries}, {model.embed_dims}]")
    layer = sheet.box((226, 110), (140, 48), "decoder layer", "looks around r")
    branch = sheet.box((418, 110), (140, 48), "box branch", "raw codes t")
    sheet.box((618, 66), (120, 48), "σ(t + logit r)", fill="#e3eef7", colour=BLUE)
    following = sheet.box((774, 28), (104, 48), "reference", "of the next")
    learnt = sheet.box((774, 110), (104, 48), "this layer's", "prediction")
    sheet.arrow([state.right, layer.left])
    sheet.arrow([layer.right, branch.left])
    sheet.arrow([branch.right, (588, branch.right[1]), (588, 98), (618, 98)])
    sheet.arrow([reference.right, (588, reference.right[1]), (588, 82), (618, 82)])
    sheet.arrow([(296, reference.right[1]), layer.top])
    sheet.arrow([(738, 82), (756, 82), (756, following.left[1]), following.left], stroke_dasharray="4 3")
    sheet.arrow([(738, 98), (756, 98), (756, learnt.left[1]), learnt.left])
    sheet.words((762, 20), "detached", fill=GREY)


def draw_boxes(sheet: Sheet, boxes: list[list[float]]) -> None:
    """Draw the boxes over an image, fainter the earlier."""
    panel = Panel(
        sheet=sheet,
        at=(24, 222),
        size=(400, 280),
        across=(0, 1),
        down=(0, 1),
        title=(f"References r0 to r{len(boxes) - 1}, the object dashed",),
    )
    panel.rectangle((0, 0), (1, 1), fill=PALE, stroke=GREY)
    for layer, (x, y, width, height) in enumerate(boxes):
        strength = f"{0.25 + 0.75 * layer / (len(boxes) - 1):.2f}"
        corners = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
        panel.rectangle(*corners, stroke=BLUE, stroke_opacity=strength, stroke_width=1.5)
        panel.dots([(x, y)], size=5, colour=BLUE)
    panel.words(boxes[0][:2], "r0", by=(6, 12), fill=BLUE)
    panel.words(boxes[1][:2], "r1", by=(6, 12), fill=BLUE)
    x, y, width, height = WANTED
    corners = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
    panel.rectangle(*corners, stroke=ORANGE, stroke_width=2, stroke_dasharray="6 4")


def draw_numbers(sheet: Sheet, boxes: list[list[float]]) -> None:
    """Draw the four numbers of the box over the layers, and those of the object."""
    layers = len(boxes) - 1
    panel = Panel(
        sheet=sheet,
        at=(500, 222),
        size=(330, 280),
        across=(0, layers),
        down=(0.8, 0),
        title=("The four numbers after each layer",),
    )
    for tenth in range(0, 9, 2):
        panel.line([(0, tenth / 10), (layers, tenth / 10)], stroke="#d5d9e0")
        panel.words((0, tenth / 10), f"{tenth / 10:.1f}", by=(-8, 5), text_anchor="end", fill=GREY)
    for layer in range(layers + 1):
        panel.words((layer, 0), f"r{layer}", by=(0, 18), text_anchor="middle", fill=GREY)
    for number, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        values = [(layer, box[number]) for layer, box in enumerate(boxes)]
        panel.line(values, stroke=colour, stroke_width=1.5)
        panel.dots(values, size=6, colour=colour)
        panel.line([(0, WANTED[number]), (layers, WANTED[number])], stroke=colour, stroke_dasharray="3 4")
        panel.words(values[-1], name, by=(8, 5), fill=colour)
