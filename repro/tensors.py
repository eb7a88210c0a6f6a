"""The nouns that the data path hands to the models and the models hand back, with their shapes.

Only values live here: no loading, no arithmetic. Shape legend, used in every comment of `repro`:

    B  items in a batch           T  time steps in a clip        N  cameras
    H  image rows (padded)        W  image columns (padded)      L  feature levels
    Y  BEV rows (along LiDAR +y)  X  BEV columns (along +x)      Q  BEV queries, Q = Y·X, row-major y·X + x
    C  embedding channels         M  attention heads             D  pillar points
    P  sampling points            K  object queries              S  classes
    G  ground-truth boxes         R  detections kept

A transform is named `dst_from_src` and is 4×4: `img_from_lidar @ point_lidar`. Boxes are nine columns

    x, y, z (GRAVITY centre, m), w, l, h (m), yaw (rad), vx, vy (m/s)

in the LiDAR frame of nuScenes (x right, y forward, z up) with the yaw of mmdet3d 0.17, `-yaw_nuscenes - π/2`
(spec §E.3): released checkpoints are bound to that convention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BOX_COLUMNS = 9
CAN_BUS_SLOTS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One time step of B vehicles: what the model sees.

    images          [B, N, 3, H, W] float32, normalised and padded (spec §B.1)
    img_from_lidar  [B, N, 4, 4] float64, after the image resize (spec §F.2)
    can_bus         [B, 18] float64, position and yaw slots relative to the previous step (spec §C)
    has_history     [B] bool: False where the previous step belongs to another scene (or does not exist)
    tokens          B sample tokens
    """

    images: Tensor
    img_from_lidar: Tensor
    can_bus: Tensor
    has_history: Tensor
    tokens: tuple[str, ...]

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the padded images."""
        return self.images.shape[-2], self.images.shape[-1]

    def to(self, device: str) -> Frame:
        """Return the frame with its tensors on `device`."""
        return Frame(
            images=self.images.to(device, non_blocking=True),
            img_from_lidar=self.img_from_lidar.to(device, non_blocking=True),
            can_bus=self.can_bus.to(device, non_blocking=True),
            has_history=self.has_history.to(device, non_blocking=True),
            tokens=self.tokens,
        )


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The annotated boxes of one item: boxes [G, 9] float32, labels [G] int64 (index in the class list)."""

    boxes: Tensor
    labels: Tensor

    def to(self, device: str) -> GroundTruth:
        """Return the ground truth with its tensors on `device`."""
        return GroundTruth(self.boxes.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Clip:
    """A training example: T frames, oldest first, and the ground truth of the last one, one entry per item."""

    frames: tuple[Frame, ...]
    truth: tuple[GroundTruth, ...]

    def to(self, device: str) -> Clip:
        """Return the clip with its tensors on `device`."""
        return Clip(tuple(f.to(device) for f in self.frames), tuple(t.to(device) for t in self.truth))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the model returns for one frame, every decoder layer included (L here counts decoder layers).

    bev         [B, Q, C]: also the history of the next frame
    cls_logits  [L, B, K, S]
    box_codes   [L, B, K, 10]: cx, cy, log w, log l, cz, log h, sin yaw, cos yaw, vx, vy in m and m/s (spec §B.9)
    references  [L + 1, B, K, 3] in 0..1: initial reference points, then the refined ones after each layer
    """

    bev: Tensor
    cls_logits: Tensor
    box_codes: Tensor
    references: Tensor


@dataclass(frozen=True, slots=True)
class Detections:
    """The decoded boxes of one item, best first: boxes [R, 9], scores [R] in 0..1, labels [R] int64."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
