"""Where BEV queries are and where their pillar points land in the images; ego motion and the turn of the history.

Everything here is float32 arithmetic in upstream's order of operations, because visibility is a strict inequality and
the turn is a nearest-neighbour lookup: a last-bit difference moves whole cells (spec §I, numerics).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from repro.models.precision import full_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_DEPTH = 1e-5  # metres; nearer or behind is not visible (spec §B.7)


def bev_references(rows: int, columns: int, *, device: torch.device) -> Tensor:
    """Return the cell centres as [Q, 2], (x, y) in 0..1, row-major (spec §B.7)."""
    y = torch.linspace(0.5, rows - 0.5, rows, device=device) / rows
    x = torch.linspace(0.5, columns - 0.5, columns, device=device) / columns
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], -1).reshape(-1, 2)


def pillar_references(rows: int, columns: int, points: int, height_m: float, *, device: torch.device) -> Tensor:
    """Return the pillar points as [D, Q, 3], (x, y, z) in 0..1 of the BEV range (spec §B.7)."""
    z = torch.linspace(0.5, height_m - 0.5, points, device=device) / height_m
    xy = bev_references(rows, columns, device=device).expand(points, -1, -1)
    return torch.cat([xy, z[:, None, None].expand(-1, rows * columns, 1)], -1)


def project_pillars(
    pillars: Tensor, img_from_lidar: Tensor, bev_range: Sequence[float], image_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return where pillar points land, [N, B, Q, D, 2] in image fractions, and whether inside, [N, B, Q, D] bool.

    pillars [D, Q, 3] in 0..1; img_from_lidar [B, N, 4, 4]; image_size (H, W) of the padded image (quirk 11).
    Points behind a camera are not clamped: they land far outside and read zero padding.
    """
    D, Q, _ = pillars.shape
    B, N, _, _ = img_from_lidar.shape
    low, high = pillars.new_tensor(bev_range[:3]), pillars.new_tensor(bev_range[3:])
    metric = pillars * (high - low) + low  # [D, Q, 3] metres
    point = torch.cat([metric, torch.ones_like(metric[..., :1])], -1).view(1, D, 1, Q, 4, 1)
    matrix = img_from_lidar.to(torch.float32).view(B, 1, N, 1, 4, 4)
    with full_precision(point.device):
        projected = torch.matmul(matrix, point).squeeze(-1)  # [B, D, N, Q, 4]
    depth = projected[..., 2:3]
    uv = projected[..., :2] / depth.clamp(min=MIN_DEPTH)
    height, width = image_size
    uv = uv / uv.new_tensor([width, height])
    inside = (depth > MIN_DEPTH).squeeze(-1) & ((uv > 0) & (uv < 1)).all(-1)
    return uv.permute(2, 0, 3, 1, 4), inside.permute(2, 0, 3, 1)


def ego_shift(can_bus: Tensor, *, bev_range: Sequence[float], rows: int, columns: int) -> Tensor:
    """Return how far the ego moved since the history, [B, 2] as (x, y) fractions of the BEV, float64 (spec §B.5).

    can_bus [B, 18] float64: slots 0, 1 the global displacement in metres, slot 16 the current yaw in radians.
    """
    cell_y = (bev_range[4] - bev_range[1]) / rows
    cell_x = (bev_range[3] - bev_range[0]) / columns
    dx, dy, yaw = can_bus[:, 0], can_bus[:, 1], can_bus[:, 16]
    length = torch.sqrt(dx**2 + dy**2)
    heading = torch.atan2(dy, dx) / math.pi * 180
    angle = (yaw / math.pi * 180 - heading) / 180 * math.pi
    return torch.stack([length * torch.sin(angle) / cell_x / columns, length * torch.cos(angle) / cell_y / rows], -1)


def turn_history(history: Tensor, degrees: Tensor, *, size: tuple[int, int], center: tuple[float, float]) -> Tensor:
    """Return the history [B, Q, C] turned by `degrees` [B] about pixel `center` (x, y): nearest cell, zero outside.

    The arithmetic of torchvision 0.10's tensor `rotate` (spec §B.5).
    """
    rows, columns = size
    B, Q, C = history.shape
    turned = [
        grid_sample(
            item.T.reshape(1, C, rows, columns),
            turn_grid(float(angle), size=size, center=center, like=history),
            mode="nearest",
            padding_mode="zeros",
            align_corners=False,
        )
        for item, angle in zip(history, degrees, strict=True)
    ]
    return torch.cat(turned).reshape(B, C, Q).transpose(1, 2)


def turn_grid(degrees: float, *, size: tuple[int, int], center: tuple[float, float], like: Tensor) -> Tensor:
    """Return the [1, Y, X, 2] sampling grid of a turn, in grid_sample's -1..1 coordinates."""
    rows, columns = size
    cx, cy = center[0] - columns * 0.5, center[1] - rows * 0.5
    r = math.radians(-degrees)
    a, b, c, d = math.cos(r), math.sin(r), -math.sin(r), math.cos(r)
    theta = like.new_tensor([[a, b, a * -cx + b * -cy + cx], [c, d, c * -cx + d * -cy + cy]])
    half = like.new_tensor([0.5 * columns, 0.5 * rows])
    x = torch.linspace(-columns * 0.5 + 0.5, columns * 0.5 + 0.5 - 1, columns, dtype=like.dtype, device=like.device)
    y = torch.linspace(-rows * 0.5 + 0.5, rows * 0.5 + 0.5 - 1, rows, dtype=like.dtype, device=like.device)
    base = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns), torch.ones_like(x).expand(rows, -1)], -1)
    with full_precision(base.device):
        return (base.view(1, rows * columns, 3) @ (theta.T / half)).view(1, rows, columns, 2)
