"""Drawings of what BEVFormer adds: the BEV looks at its history, into the cameras, and turns with the car."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from docs.drawings.canvas import BLUE, GREY, HEADS, ORANGE, cells, panels
from repro.data.synth.rig import CAMERAS, IMAGE_SIZE, LIDAR
from repro.models.bevformer.geometry import (
    bev_references,
    ego_shift,
    pillar_references,
    project_pillars,
    turn_history,
)
from repro.models.bevformer.temporal import QUEUE, TemporalSelfAttention
from repro.ops.reference import sampling_places
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from repro.recipe import Model

CPU = torch.device("cpu")
FORWARD_M = 6.0  # metres the car drives straight on between the two frames of the drawing
TURN = 4.0  # degrees the car turns between the two frames of the drawing


def tiny() -> Model:
    """Return the model of recipe `bevformer_tiny`, whose numbers all drawings here use."""
    return load_recipe("bevformer_tiny").model


def temporal_self_attention() -> Figure:
    """Draw where an untrained layer looks from one cell, in the history and in the current map."""
    model = tiny()
    rows, columns, heads, points = model.bev.rows, model.bev.columns, model.heads, model.encoder.temporal_points
    layer = TemporalSelfAttention(channels=model.embed_dims, heads=heads, points=points, rows="upstream")
    offsets = layer.sampling_offsets(torch.zeros(1, 1, 2 * model.embed_dims)).view(1, 1, heads, QUEUE, points, 2)
    can_bus = torch.zeros(1, 18, dtype=torch.float64)
    can_bus[0, 0] = FORWARD_M  # east, and the yaw is 0: east is straight on
    shift = ego_shift(can_bus, bev_range=model.bev.range, rows=rows, columns=columns)[0].float()
    cell = bev_references(rows, columns, device=CPU)[20 * columns + 24]
    at = torch.stack([cell + shift, cell])[None, None]
    logits = torch.zeros(1, 1, heads, QUEUE * points)
    where, _ = sampling_places(torch.zeros(1), [(rows, columns)] * QUEUE, at, offsets.detach(), logits)
    figure, axes = panels(QUEUE, height=4.3)
    for half, (panel, name) in enumerate(zip(axes, ("history: cell + shift", "current: the cell itself"), strict=True)):
        cells(panel, rows, columns)
        for head in range(heads):
            x, y = (where[0, 0, head, half] * torch.tensor([columns, rows])).T.tolist()
            panel.plot(x, y, ".", color=HEADS[head], markersize=6, label=f"head {head}")
        x, y = (at[0, 0, half] * torch.tensor([columns, rows])).tolist()
        panel.plot(x, y, "+", color="black", markersize=10, label="reference")
        panel.set(xlim=(14, 35), ylim=(12, 33), title=name)  # y grows forward
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def spatial_cross_attention() -> Figure:
    """Draw how many cameras see each pillar, and where one pillar lands in the camera that looks at it."""
    model = tiny()
    bev, points, rows = model.bev, model.encoder.pillar_points, 25  # every second cell: the drawing stays small
    height, low, high = bev.range[5] - bev.range[2], bev.range[0], bev.range[3]
    pillars = pillar_references(rows, rows, points, height, device=CPU)
    where, visible = project_pillars(pillars, rig(), bev.range, IMAGE_SIZE)
    metres = pillars[0, :, :2] * (high - low) + low
    count = visible[:, 0].any(-1).sum(0)
    figure, (top, image) = panels(2, width=4.6, height=4.2)
    for cameras, colour in ((0, "#dddddd"), (1, BLUE), (2, ORANGE)):
        x, y = metres[count == cameras].T.tolist()
        top.plot(x, y, "s", color=colour, markersize=5, label=f"{cameras} cameras" if cameras != 1 else "1 camera")
    chosen = [(17, 12), (20, 11), (23, 14)]
    image.set(xlim=(0, IMAGE_SIZE[1]), ylim=(IMAGE_SIZE[0], 0), aspect="equal", xlabel="pixels", title=CAMERAS[0].channel)
    for (row, column), colour in zip(chosen, HEADS[2:], strict=False):
        cell = row * rows + column
        at = where[0, 0, cell] * torch.tensor([IMAGE_SIZE[1], IMAGE_SIZE[0]])
        image.plot(*at.T.tolist(), "o-", color=colour, markersize=5, label=f"{float(metres[cell, 1]):.0f} m ahead")
        top.plot(*metres[cell].tolist(), "*", color=colour, markersize=9, markeredgecolor="white")
    image.legend(loc="upper right")
    top.set(aspect="equal", xlabel="x, metres to the right", ylabel="y, metres ahead", title="cameras that see a pillar")
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def rig() -> Tensor:
    """Return the projections [1, 6, 4, 4] from LiDAR metres to pixels of the synthetic data set's car at rest."""
    ego_from_lidar = np.eye(4)
    ego_from_lidar[:3, :3], ego_from_lidar[:3, 3] = LIDAR.ego_from_sensor, LIDAR.translation
    projections = []
    for camera in CAMERAS:
        ego_from_camera, intrinsic = np.eye(4), np.eye(4)
        ego_from_camera[:3, :3], ego_from_camera[:3, 3] = camera.ego_from_sensor, camera.translation
        intrinsic[:3, :3] = camera.intrinsic
        projections.append(intrinsic @ np.linalg.inv(ego_from_camera) @ ego_from_lidar)
    return torch.from_numpy(np.stack(projections))[None]


def temporal_memory() -> Figure:
    """Draw one history before a turn of the car, turned about the middle, and about upstream's centre."""
    model = tiny()
    rows, columns, quirk = model.bev.rows, model.bev.columns, model.quirks.rotate_center
    assert quirk != "middle"
    history = torch.zeros(1, rows * columns, 1)
    history.view(rows, columns)[25:45, 24:27] = 1.0
    history.view(rows, columns)[38:41, 27:36] = 1.0
    figure, axes = panels(3, width=3.2, height=3.5)
    mark(axes[0], history.view(rows, columns), f"history {rows} × {columns}, before")
    for panel, center, name in ((axes[1], (columns / 2, rows / 2), "the middle"), (axes[2], quirk, "upstream's centre")):
        turned = turn_history(history, torch.tensor([TURN]), size=(rows, columns), center=center)
        place = f"({center[0]:.0f}, {center[1]:.0f})"
        mark(panel, turned.view(rows, columns), f"turned {TURN:.0f}° about {place},\n{name}")
    return figure


def mark(axes: Axes, occupied: Tensor, title: str) -> None:
    """Draw the cells of a map [Y, X] that are not zero, row 0 (the rear) at the bottom, the car in the middle."""
    rows, columns = occupied.shape
    y, x = occupied.nonzero().T.tolist()
    axes.plot(np.add(x, 0.5), np.add(y, 0.5), "s", color=BLUE, markersize=2.5)
    axes.plot(columns / 2, rows / 2, "^", color=ORANGE, markersize=7)
    axes.plot([0, columns, columns, 0, 0], [0, 0, rows, rows, 0], color=GREY, linewidth=0.8)
    axes.set(xlim=(0, columns), ylim=(0, rows), aspect="equal", xticks=[], yticks=[], title=title)
    assert math.isfinite(float(occupied.sum()))
