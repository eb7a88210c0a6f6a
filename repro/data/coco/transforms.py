"""Training and test geometry of COCO images: resize, crop, flip, with their boxes (spec §B); generators are passed in.

Boxes are [G, 4] float32, x1, y1, x2, y2 in pixels of the image beside them. Images are BGR uint8 [h, w, 3].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from repro.recipe.deformable_detr import CocoAugment, Crop

How = Literal["cv2", "pil"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """An image with its boxes; `scale` [4] float32 is (x, y, x, y) from the pixels before the last resize."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scale: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns, _ = self.pixels.shape
        return rows, columns


def resized_size(size: tuple[int, int], *, short: int, long: int, how: How) -> tuple[int, int]:
    """Return rows and columns after a resize to a short side of `short`, the long side at most `long` (0: no cap).

    "cv2" rounds both sides of one factor (spec §B.1); "pil" sets the short side and truncates the other (spec §J.1).
    """
    rows, columns = size
    if how == "cv2":
        factor = short / min(size) if not long else min(long / max(size), short / min(size))
        return int(rows * factor + 0.5), int(columns * factor + 0.5)
    if long and max(size) / min(size) * short > long:
        short = round(long * min(size) / max(size))
    if min(size) == short:
        return size
    other = int(short * max(size) / min(size))
    return (short, other) if rows <= columns else (other, short)


def resize(image: Annotated, *, short: int, long: int, how: How) -> Annotated:
    """Return the image at the new size; boxes are scaled in float32, and with "cv2" clipped to it (spec §B.2.3)."""
    return resized_to(image, resized_size(image.size, short=short, long=long, how=how), how)


def resized_to(image: Annotated, size: tuple[int, int], how: How) -> Annotated:
    """Return the image at a given size (rows, columns), with its boxes; as `resize`."""
    rows, columns = image.size
    new_rows, new_columns = size
    factors = (new_columns / columns, new_rows / rows)
    scale = np.array([*factors, *factors], np.float32)
    boxes = image.boxes * scale
    if how == "cv2":
        boxes = clipped(boxes, size)
    return replace(image, pixels=resized_pixels(image.pixels, size, how), boxes=boxes, scale=scale)


def resized_pixels(pixels: NDArray[np.uint8], size: tuple[int, int], how: How) -> NDArray[np.uint8]:
    """Return pixels [*size, 3]: OpenCV's bilinear of uint8, or PIL's, which averages what it shrinks (spec §J.1)."""
    if pixels.shape[:2] == size:
        return pixels
    rows, columns = size
    if how == "cv2":
        return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR), np.uint8)


def clipped(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the boxes inside an image of `size` rows, columns."""
    rows, columns = size
    return np.clip(boxes, 0, np.array([columns, rows, columns, rows], np.float32))


def flip(image: Annotated) -> Annotated:
    """Return the mirror image, left for right (spec §B.2.2)."""
    columns = image.size[1]
    boxes = image.boxes.copy()
    boxes[:, [0, 2]] = columns - image.boxes[:, [2, 0]]
    return replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1]), boxes=boxes)


def crop(image: Annotated, settings: Crop, rng: np.random.RandomState) -> Annotated:
    """Return a window of random size and place; boxes left without extent go, and none may stay (spec §B.2.3b)."""
    rows, columns = image.size
    least, greatest = settings.sizes
    crop_rows = rng.randint(min(rows, least), min(rows, greatest) + 1)
    crop_columns = rng.randint(min(columns, least), min(columns, greatest) + 1)
    top = rng.randint(0, rows - crop_rows + 1)
    left = rng.randint(0, columns - crop_columns + 1)
    boxes = clipped(image.boxes - np.array([left, top, left, top], np.float32), (crop_rows, crop_columns))
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return replace(
        image,
        pixels=image.pixels[top : top + crop_rows, left : left + crop_columns],
        boxes=boxes[kept],
        labels=image.labels[kept],
    )


def augment(image: Annotated, settings: CocoAugment, how: How, rng: np.random.RandomState) -> Annotated:
    """Return the image as training sees it, with upstream's order of draws: flip, policy, sizes (spec §B.2)."""
    if rng.rand() < settings.flip:
        image = flip(image)
    if settings.crop is not None and rng.rand() < settings.crop.probability:
        short = _drawn(settings.crop.short_sides, rng)
        image = resize(image, short=short, long=settings.crop.long_side, how=how)
        image = crop(image, settings.crop, rng)
    return resize(image, short=_drawn(settings.short_sides, rng), long=settings.long_side, how=how)


def _drawn(sizes: tuple[int, ...], rng: np.random.RandomState) -> int:
    return sizes[rng.randint(len(sizes))]
