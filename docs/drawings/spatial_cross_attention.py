"""The drawing of docs/spatial_cross_attention.md: which cameras see a pillar, and where its points land in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from docs.drawings.sheet import BLUE, GREEN, GREY, ORANGE, PALE, PINK, Panel, Point, Sheet
from repro.data.synth.rig import CAMERAS, LIDAR, Sensor
from repro.models.bevformer.geometry import pillar_references, project_pillars
from repro.models.bevformer.spatial import PillarAttention
from repro.recipe import Model, Recipe, load_recipe

CHOSEN = ((29, 26), (33, 20), (23, 34))  # rows and columns of the cells whose pillars are drawn
COLOURS = (GREEN, ORANGE, PINK)
ORDER = (2, 0, 1, 4, 3, 5)  # the cameras as they stand around the car: front left, front, front right, then the back
CAMERA, HEAD, SHOWN, STRIDE = 0, 0, 1, 32  # of the enlarged map: the front camera, the second of the cells
SEEN = ("#9aa1ab", "#dfe9f3", BLUE)  # of cells that no, one and two cameras see


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the cameras of a car see of a BEV: where [N, Q, D, 2] its pillars land, in pixels, and visible [N, Q, D]."""

    where: Tensor
    visible: Tensor
    metres: Tensor  # [Q, 2] of the cells
    columns: int
    filled: tuple[int, int]  # rows and columns of an image
    padded: tuple[int, int]

    @property
    def cameras(self) -> Tensor:
        """Return how many cameras see each cell, [Q]."""
        return self.visible.any(-1).sum(0)


def draw() -> Sheet:
    """Return the drawing: the BEV by number of cameras, six images with three pillars, and one head's places."""
    recipe = load_recipe("bevformer_tiny")
    view = seen_by_the_rig(recipe)
    sheet = Sheet(900, 600, "Pillars of three BEV cells, where they land in six cameras, and where one head looks")
    draw_map(sheet, view, recipe.model)
    for place, camera in enumerate(ORDER):
        draw_camera(sheet, (388 + 168 * (place % 3), 42 + 130 * (place // 3)), camera, view)
    draw_counts(sheet, view)
    draw_places(sheet, view, recipe.model)
    return sheet


def seen_by_the_rig(recipe: Recipe) -> View:
    """Return what the cameras of the synthetic data set's car see of a recipe's BEV, in its resized, padded images."""
    model, bev, images = recipe.model, recipe.model.bev, recipe.images
    rows, columns = (int(length * images.scale) for length in images.raw_size)
    height, width = (math.ceil(length / images.pad_divisor) * images.pad_divisor for length in (rows, columns))
    scaled = torch.diag(torch.tensor([images.scale, images.scale, 1, 1], dtype=torch.float64)) @ rig()
    pillars = pillar_references(
        bev.rows, bev.columns, model.encoder.pillar_points, bev.range[5] - bev.range[2], device=torch.device("cpu")
    )
    where, visible = project_pillars(pillars, scaled, bev.range, (height, width))
    low, high = torch.tensor(bev.range[:2]), torch.tensor(bev.range[3:5])
    return View(
        where=where[:, 0] * torch.tensor([width, height]),
        visible=visible[:, 0],
        metres=pillars[0, :, :2] * (high - low) + low,
        columns=bev.columns,
        filled=(rows, columns),
        padded=(height, width),
    )


def rig() -> Tensor:
    """Return the projections [1, 6, 4, 4] from LiDAR metres to raw pixels of the synthetic data set's car at rest."""
    projections = []
    for camera in CAMERAS:
        img_from_cam = np.eye(4)
        img_from_cam[:3, :3] = camera.intrinsic
        projections.append(img_from_cam @ np.linalg.inv(pose(camera)) @ pose(LIDAR))
    return torch.from_numpy(np.stack(projections))[None]


def pose(sensor: Sensor) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return ego_from_sensor [4, 4]."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = sensor.ego_from_sensor, sensor.translation
    return matrix


def draw_map(sheet: Sheet, view: View, model: Model) -> None:
    """Draw how many cameras see each cell, from above, and the three cells."""
    low, high = model.bev.range[0], model.bev.range[3]
    title = f"BEV of {model.bev.rows} × {model.bev.columns} cells, from above"
    panel = Panel(sheet=sheet, at=(24, 42), size=(330, 330), across=(low, high), down=(high, low), title=(title,))
    for cameras, colour in enumerate(SEEN):
        panel.dots(view.metres[view.cameras == cameras].tolist(), size=5, colour=colour)
        sheet.dots([(32 + 112 * cameras, 394)], size=9, colour=colour)
        sheet.words((42 + 112 * cameras, 398), ("no camera", "one camera", "two cameras")[cameras])
    for (row, column), colour in zip(CHOSEN, COLOURS, strict=True):
        panel.dots([view.metres[row * view.columns + column].tolist()], size=14, colour="#ffffff")
        panel.dots([view.metres[row * view.columns + column].tolist()], size=11, colour=colour)
    panel.arrow([(0, -4), (0, 7)], stroke_width=1.5)
    sheet.words((28, 420), f"{high - low:.1f} m × {high - low:.1f} m; the arrow is the car", fill=GREY)


def draw_camera(sheet: Sheet, at: Point, camera: int, view: View) -> None:
    """Draw the pillars of the three cells into the image of one camera that sees them, and the image's padding."""
    (rows, columns), (height, width) = view.filled, view.padded
    name = CAMERAS[camera].channel
    panel = Panel(sheet=sheet, at=at, size=(160, 96), across=(0, width), down=(0, height), title=(name,))
    panel.rectangle((0, 0), (width, height), fill="#d5d9e0", stroke=GREY)
    panel.rectangle((0, 0), (columns, rows), fill=PALE, stroke="none")
    for (row, column), colour in zip(CHOSEN, COLOURS, strict=True):
        cell = row * view.columns + column
        inside = view.visible[camera, cell]
        if not bool(inside.any()):
            continue
        points = view.where[camera, cell].tolist()
        panel.line(points, stroke=colour)
        for point, filled in zip(points, inside.tolist(), strict=True):
            panel.dots([point], size=9, colour=colour)
            if not filled:
                panel.dots([point], size=5, colour="#ffffff")


def draw_counts(sheet: Sheet, view: View) -> None:
    """Write how many cells each camera sees, and how few pairs of cell and camera there are."""
    hits = view.visible.any(-1)  # [N, Q]
    cameras, cells = hits.shape
    seen, points = hits.sum(1), view.visible.shape[2]
    sheet.words(
        (24, 462),
        f"A camera sees {int(seen.min())} to {int(seen.max())} of {cells} cells: {int(hits.sum())}",
        f"pairs of {cameras * cells}, {int(hits.sum()) / cells:.2f} cameras a cell. A camera that",
        f"sees one of a pillar's {points} points (filled dots)",
        f"reads around all {points}. The grey strip is padding,",
        "and counts as image.",
    )


def draw_places(sheet: Sheet, view: View, model: Model) -> None:
    """Draw where one head of an untrained layer looks in one camera's feature map: point p around anchor p mod D."""
    D, P, M = model.encoder.pillar_points, model.encoder.spatial_points, model.heads
    layer = PillarAttention(channels=model.embed_dims, heads=M, levels=1, points=P)
    offsets = layer.sampling_offsets(torch.zeros(model.embed_dims)).detach().view(M, P, 2)[HEAD]
    (height, width), (row, column), colour = view.padded, CHOSEN[SHOWN], COLOURS[SHOWN]
    anchors = view.where[CAMERA, row * view.columns + column] / STRIDE
    title = f"Head {HEAD} in {CAMERAS[CAMERA].channel}'s map of {height // STRIDE} × {width // STRIDE} cells"
    cells = {"across": (0, width // STRIDE), "down": (0, height // STRIDE)}
    panel = Panel(sheet=sheet, at=(388, 330), size=(425, 255), title=(title,), **cells)
    panel.grid((0, height // STRIDE), (0, width // STRIDE))
    for point, (offset, anchor) in enumerate(zip(offsets, anchors.repeat(P // D, 1), strict=True)):
        place = (anchor + offset).tolist()
        panel.line([anchor.tolist(), place], stroke=colour, stroke_width=0.8)
        panel.dots([place], size=8, colour=BLUE)
        panel.words(place, f"p{point}", by=(-7, -7), fill=BLUE)
    for number, anchor in enumerate(anchors.tolist()):
        panel.dots([anchor], size=11, colour=colour)
        panel.words(anchor, f"z{number}", by=(-10, 4), text_anchor="end", fill=colour)
