"""Box codes of both directions and the logit they are refined in; no losses, no decoding of scores."""

from __future__ import annotations

import torch
from torch import Tensor

CODE_SIZE = 10


def inverse_sigmoid(p: Tensor, eps: float = 1e-5) -> Tensor:
    """Return ln(p / (1 - p)) with p clamped to 0..1 and both parts to at least `eps` (spec §B.9)."""
    p = p.clamp(0.0, 1.0)
    return torch.log(p.clamp(min=eps) / (1.0 - p).clamp(min=eps))


def rounded_log(x: Tensor) -> Tensor:
    """Return ln x, rounded correctly: taken in float64.

    Ties in the matching are decided by the last bit, and the log of upstream's torch rounds correctly; today's float32
    log does not (1 in 20 costs of the golden case `assigner` is off by one bit with it, none this way).
    """
    return x.double().log().to(x.dtype)


def corners_of(boxes: Tensor) -> Tensor:
    """Return [..., 4] x1, y1, x2, y2 of [..., 4] centre x, y, width, height."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def generalised_iou(a: Tensor, b: Tensor, eps: float = 1e-6) -> Tensor:
    """Return the generalised IoU (arXiv 1902.09630) of corner boxes [..., 4], broadcast against each other.

    Union and enclosing area are at least `eps` in the boxes' unit squared (Deformable DETR spec §G).
    """
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b))
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union, hull = (area_a + area_b - inner).clamp(min=eps), outer.clamp(min=eps)
    return inner / union - (hull - union) / hull


def codes_from_boxes(boxes: Tensor) -> Tensor:
    """Return [..., 10] codes cx, cy, ln w, ln l, cz, ln h, sin yaw, cos yaw, vx, vy of [..., 9] boxes (spec §D)."""
    x, y, z, w, l, h, yaw, vx, vy = boxes.unbind(-1)
    w, l, h = rounded_log(w), rounded_log(l), rounded_log(h)
    return torch.stack([x, y, w, l, z, h, yaw.sin(), yaw.cos(), vx, vy], -1)


def boxes_from_codes(codes: Tensor) -> Tensor:
    """Return the [..., 9] boxes (gravity centre) of [..., 10] codes; the yaw is atan2(sin, cos) (spec §E.1)."""
    x, y, log_w, log_l, z, log_h, sin, cos, vx, vy = codes.unbind(-1)
    return torch.stack([x, y, z, log_w.exp(), log_l.exp(), log_h.exp(), torch.atan2(sin, cos), vx, vy], -1)
