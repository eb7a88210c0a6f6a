"""The calls that the operators get in real models (sizes, levels, who looks where), and inputs for them to be timed on.

Sizes are those of BEVFormer tiny, small and base and of Deformable DETR at 800 × 1333; the pillars of spatial
cross-attention are projected into the six cameras of a real car, so as many queries see a camera as in the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from repro.data.synth.rig import CAMERAS, LIDAR
from repro.models.bevformer.geometry import bev_references, pillar_references, project_pillars

if TYPE_CHECKING:
    from torch import Tensor

HEADS, CHANNELS = 8, 32  # M and E of every call
ANCHORS, BEV_RANGE = 4, (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)
SPREAD_PX = 3.0  # standard deviation of realistic points around their reference, in pixels of each level
LOCATIONS = ("realistic", "uniform")

Sizes = tuple[tuple[int, int], ...]
BASE_LEVELS: Sizes = ((116, 200), (58, 100), (29, 50), (15, 25))
DETR_LEVELS: Sizes = ((100, 167), (50, 84), (25, 42), (13, 21))


@dataclass(frozen=True, slots=True)
class Rig:
    """Six cameras around `side` × `side` BEV queries: image size (H, W) as padded, and the scale of the photographs."""

    side: int
    image_size: tuple[int, int]
    scale: float


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `door` is "plain", "from_offsets" or "spatial"; `queries` says what looks.

    "cells" are those of the first level, "pixels" those of all levels, "objects" stand anywhere, and "pillars" are
    projected by `rig`.
    """

    name: str
    door: str
    items: int
    levels: Sizes
    points: int
    queries: str
    objects: int = 0
    rig: Rig | None = None

    @property
    def tokens(self) -> int:
        """S of one item."""
        return sum(height * width for height, width in self.levels)


RIGS = {
    "tiny": Rig(50, (480, 800), 0.5),
    "small": Rig(150, (736, 1280), 0.8),
    "base": Rig(200, (928, 1600), 1.0),
}
FEATURES: dict[str, Sizes] = {"tiny": ((15, 25),), "small": ((23, 40),), "base": BASE_LEVELS}


def _bevformer(size: str) -> list[Call]:
    rig, features = RIGS[size], FEATURES[size]
    bev = (rig.side, rig.side)
    return [
        Call(f"{size}-tsa", "plain", 2, (bev,), 4, "cells"),
        Call(f"{size}-tsa-fused", "from_offsets", 1, (bev, bev), 4, "cells"),
        Call(f"{size}-sca-padded", "plain", len(CAMERAS), features, 8, "pillars", rig=rig),
        Call(f"{size}-sca-visible", "spatial", 1, features, 8, "pillars", rig=rig),
        Call(f"{size}-decoder", "plain", 1, (bev,), 4, "objects", objects=900),
    ]


def _deformable_detr() -> list[Call]:
    calls = []
    for items, suffix in ((1, ""), (2, "-b2")):
        calls += [
            Call(f"detr-encoder{suffix}", "plain", items, DETR_LEVELS, 4, "pixels"),
            Call(f"detr-encoder-fused{suffix}", "from_offsets", items, DETR_LEVELS, 4, "pixels"),
            Call(f"detr-decoder{suffix}", "plain", items, DETR_LEVELS, 4, "objects", objects=300),
        ]
    return calls


CALLS = {call.name: call for call in [*(c for size in RIGS for c in _bevformer(size)), *_deformable_detr()]}
TARGET = ("tiny-tsa", "tiny-sca-padded", "small-tsa", "detr-encoder")  # what the CPU targets are means over
QUICK = (*TARGET, "tiny-tsa-fused", "tiny-sca-visible", "tiny-decoder")


def inputs(call: Call, *, locations: str, seed: int) -> tuple[Tensor, ...]:
    """Return what the call's door takes, without the level sizes, in float32 (`visible` bool) on the CPU.

    "realistic" points lie around their references, `SPREAD_PX` pixels of each level; "uniform" ones anywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    make = {"plain": _plain, "from_offsets": _from_offsets, "spatial": _spatial}[call.door]
    return make(call, realistic=locations == "realistic", generator=generator)


def _plain(call: Call, *, realistic: bool, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return value [B, S, M, E], locations [B, Q, M, L, P, 2] and weights [B, Q, M, L, P]."""
    value = torch.randn(call.items, call.tokens, HEADS, CHANNELS, generator=generator)
    at = _padded_pillars(call) if call.rig else _references(call, generator)[:, :, None, None, None].expand(
        -1, -1, -1, -1, call.points, -1
    )  # [B, Q, 1, 1, P, 2]  # fmt: skip
    B, Q = at.shape[:2]
    shape = (B, Q, HEADS, len(call.levels), call.points)
    if realistic:
        places = at + SPREAD_PX * torch.randn(*shape, 2, generator=generator) / _sizes_xy(call)
    else:
        places = torch.rand(*shape, 2, generator=generator)
    weights = torch.randn(shape, generator=generator).flatten(3).softmax(-1).view(shape)
    return value, places, weights


def _from_offsets(call: Call, *, realistic: bool, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return value, references [B, Q, L, 2], offsets [B, Q, M, L, P, 2] and logits [B, Q, M, L·P]."""
    value = torch.randn(call.items, call.tokens, HEADS, CHANNELS, generator=generator)
    L, P = len(call.levels), call.points
    at = _references(call, generator)[:, :, None].expand(-1, -1, L, -1).contiguous()
    B, Q = at.shape[:2]
    offsets = _offsets(call, (B, Q, HEADS, L, P, 2), realistic=realistic, generator=generator)
    logits = torch.randn(B, Q, HEADS, L * P, generator=generator)
    return value, at if realistic else torch.full_like(at, 0.5), offsets, logits


def _spatial(call: Call, *, realistic: bool, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return value [N, B, S, M, E], references [N, B, Q, D, 2], visible [N, B, Q, D], offsets and logits."""
    assert call.rig, f"{call.name} has no cameras"
    at, visible = pillars(call.rig)
    N, B, Q = at.shape[:3]
    L, P = len(call.levels), call.points
    value = torch.randn(N, B, call.tokens, HEADS, CHANNELS, generator=generator)
    offsets = _offsets(call, (B, Q, HEADS, L, P, 2), realistic=realistic, generator=generator)
    logits = torch.randn(B, Q, HEADS, L * P, generator=generator)
    return value, at if realistic else torch.full_like(at, 0.5), visible, offsets, logits


def _offsets(call: Call, shape: tuple[int, ...], *, realistic: bool, generator: torch.Generator) -> Tensor:
    """Return offsets in pixels: near their reference, or all over the map around a reference in its middle."""
    if realistic:
        return SPREAD_PX * torch.randn(shape, generator=generator)
    return (torch.rand(shape, generator=generator) - 0.5) * _sizes_xy(call)


def _references(call: Call, generator: torch.Generator) -> Tensor:
    """Return where the queries stand, [B, Q, 2]."""
    cpu = torch.device("cpu")
    if call.queries == "objects":
        return torch.rand(call.items, call.objects, 2, generator=generator)
    levels = call.levels[:1] if call.queries == "cells" else call.levels
    return torch.cat([bev_references(*size, device=cpu) for size in levels]).expand(call.items, -1, -1)


def pillars(rig: Rig) -> tuple[Tensor, Tensor]:
    """Return where pillar points land, [6, 1, Q, D, 2] in image fractions, and which are inside, [6, 1, Q, D] bool."""
    height = BEV_RANGE[5] - BEV_RANGE[2]
    points = pillar_references(rig.side, rig.side, ANCHORS, height, device=torch.device("cpu"))
    return project_pillars(points, _img_from_lidar(rig.scale), BEV_RANGE, rig.image_size)


def _padded_pillars(call: Call) -> Tensor:
    """Return the references of the visible queries of each camera, padded with zeros: [6, K, 1, 1, P, 2]."""
    assert call.rig, f"{call.name} has no cameras"
    at, visible = pillars(call.rig)
    seen = visible.any(-1)[:, 0]  # [6, Q]
    rows = torch.nn.utils.rnn.pad_sequence(
        [camera[hit] for camera, hit in zip(at[:, 0], seen, strict=True)], batch_first=True
    )  # [6, K, D, 2]
    return rows.repeat(1, 1, call.points // ANCHORS, 1)[:, :, None, None]  # point p belongs to anchor p mod D


def _img_from_lidar(scale: float) -> Tensor:
    """Return the six cameras' [1, 6, 4, 4]."""
    ego_from_lidar = _rigid(LIDAR.ego_from_sensor, LIDAR.translation)
    matrices = []
    for camera in CAMERAS:
        pixels = np.eye(4)
        pixels[:3, :3] = np.diag([scale, scale, 1.0]) @ np.array(camera.intrinsic)
        matrices.append(pixels @ np.linalg.inv(_rigid(camera.ego_from_sensor, camera.translation)) @ ego_from_lidar)
    return torch.from_numpy(np.stack(matrices))[None]


def _rigid(rotation: np.ndarray, translation: tuple[float, float, float]) -> np.ndarray:  # type: ignore[type-arg]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


def _sizes_xy(call: Call) -> Tensor:
    """Return the levels' (width, height) as [L, 1, 2]."""
    return torch.tensor([[(width, height)] for height, width in call.levels], dtype=torch.float32)
