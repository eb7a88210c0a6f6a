"""The nouns that the data path hands to the models and the models hand back, with their shapes.

Only values live here: no loading, and no arithmetic but unpacking pixels on their device. Shape legend, used in every
comment of `repro`:

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
class Packing:
    """How packed pixels become images: `pixel · gain + offset` per camera and channel, then zeros right and bottom.

    gain, offset  [B, N, 3] float32: brightness, contrast, mean and deviation in one (spec §B.1, §C.4)
    padded        rows and columns of the images
    """

    gain: Tensor
    offset: Tensor
    padded: tuple[int, int]

    def to(self, device: str) -> Packing:
        """Return the packing with its tensors on `device`."""
        gain, offset = (tensor.to(device, non_blocking=True) for tensor in (self.gain, self.offset))
        return Packing(gain=gain, offset=offset, padded=self.padded)

    def unpacked(self, pixels: Tensor) -> Tensor:
        """Return images [B, N, 3, H, W] float32, channels last in memory, of pixels [B, N, h, w, 3] uint8."""
        B, N, rows, columns, _ = pixels.shape
        images = pixels.new_zeros((B, N, self.padded[0], self.padded[1] * 3), dtype=self.gain.dtype)
        gain, offset = (tensor.repeat(1, 1, columns)[:, :, None] for tensor in (self.gain, self.offset))  # a row's
        inside = images[:, :, :rows, : columns * 3]
        inside.copy_(pixels.flatten(3)).mul_(gain).add_(offset)
        return images.view(B, N, *self.padded, 3).permute(0, 1, 4, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One time step of B vehicles: what the model sees.

    images          [B, N, 3, H, W] float32, normalised and padded (spec §B.1); with a packing [B, N, h, w, 3] uint8
    img_from_lidar  [B, N, 4, 4] float64, after the image resize (spec §F.2)
    can_bus         [B, 18] float64, position and yaw slots relative to the previous step (spec §C)
    has_history     [B] bool: False where the previous step belongs to another scene (or does not exist)
    tokens          B sample tokens
    packing         how to unpack `images`; `to(device)` does, so a frame on its device has none
    """

    images: Tensor
    img_from_lidar: Tensor
    can_bus: Tensor
    has_history: Tensor
    tokens: tuple[str, ...]
    packing: Packing | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the padded images."""
        if self.packing is not None:
            return self.packing.padded
        return self.images.shape[-2], self.images.shape[-1]

    def to(self, device: str) -> Frame:
        """Return the frame with its tensors on `device`; packed pixels travel packed and are unpacked there."""
        images = self.images.to(device, non_blocking=True)
        return Frame(
            images=images if self.packing is None else self.packing.to(device).unpacked(images),
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
