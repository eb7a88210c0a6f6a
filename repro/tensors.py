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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBatch:
    """B images of different sizes, padded right and bottom to one: what a detector of single images sees.

    images          [B, 3, H, W] float32, normalised, zero where padded (Deformable DETR spec §B.1)
    padding         [B, H, W] bool, True where there is no image
    sizes           [B, 2] int64, rows and columns of each image as it lies in the batch
    original_sizes  [B, 2] int64, rows and columns of each image file
    scales          [B, 4] float32, (x, y, x, y) factors from the file to the batch (spec §B.1)
    ids             B image ids of the data set
    """

    images: Tensor
    padding: Tensor
    sizes: Tensor
    original_sizes: Tensor
    scales: Tensor
    ids: tuple[int, ...]

    def to(self, device: str) -> ImageBatch:
        """Return the batch with its tensors on `device`."""
        return ImageBatch(
            images=self.images.to(device, non_blocking=True),
            padding=self.padding.to(device, non_blocking=True),
            sizes=self.sizes.to(device, non_blocking=True),
            original_sizes=self.original_sizes.to(device, non_blocking=True),
            scales=self.scales.to(device, non_blocking=True),
            ids=self.ids,
        )


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """The annotated boxes of one image: boxes [G, 4] float32, centre x, y, width, height in 0..1; labels [G] int64."""

    boxes: Tensor
    labels: Tensor

    def to(self, device: str) -> ImageTruth:
        """Return the ground truth with its tensors on `device`."""
        return ImageTruth(self.boxes.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """What the two-stage encoder proposes, for each of its T tokens (Deformable DETR spec §E.2).

    class_logits  [B, T, S]: class 0 is "there is an object"
    boxes         [B, T, 4] in 0..1, centre x, y, width, height; 1.0 where a token proposes nothing
    chosen        [B, K] int64, the tokens whose boxes the object queries start from, best first
    """

    class_logits: Tensor
    boxes: Tensor
    chosen: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePrediction:
    """What Deformable DETR returns for a batch, every decoder layer included (L here counts decoder layers).

    class_logits  [L, B, K, S]
    boxes         [L, B, K, 4] in 0..1 of the unpadded image: centre x, y, width, height
    references    L + 1 of [B, K, 2 or 4] in 0..1: where the queries start, then where they are after each layer
    proposals     of the encoder, None unless the model is two-stage
    """

    class_logits: Tensor
    boxes: Tensor
    references: tuple[Tensor, ...]
    proposals: Proposals | None


@dataclass(frozen=True, slots=True)
class ImageDetections:
    """The decoded boxes of one image, best first: boxes [R, 4] as x1, y1, x2, y2 in pixels of the image file.

    scores [R] in 0..1, labels [R] int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
