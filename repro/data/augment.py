"""Training-time augmentation with upstream's order of random draws (spec §C.4, §C.5); every generator is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from repro.recipe.schema import GridMask, Photometric


def distort(
    images: Sequence[NDArray[np.float32]], settings: Photometric, rng: np.random.RandomState
) -> list[NDArray[np.float32]]:
    """Return the BGR images [h, w, 3], 0..255, each with its own brightness, contrast, colour; nothing is clipped."""
    return [_distort_one(image, settings, rng) for image in images]


def _distort_one(image: NDArray[np.float32], settings: Photometric, rng: np.random.RandomState) -> NDArray[np.float32]:
    image = image.copy()
    if rng.randint(2):
        image += rng.uniform(-settings.brightness_delta, settings.brightness_delta)
    contrast_first = rng.randint(2) == 1
    if contrast_first and rng.randint(2):
        image *= rng.uniform(*settings.contrast)
    image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), np.float32)
    if rng.randint(2):
        image[..., 1] *= rng.uniform(*settings.saturation)
    if rng.randint(2):
        image[..., 0] += rng.uniform(-settings.hue_delta, settings.hue_delta)
        image[..., 0][image[..., 0] > 360] -= 360
        image[..., 0][image[..., 0] < 0] += 360
    image = np.asarray(cv2.cvtColor(image, cv2.COLOR_HSV2BGR), np.float32)
    if not contrast_first and rng.randint(2):
        image *= rng.uniform(*settings.contrast)
    if rng.randint(2):
        image = np.ascontiguousarray(image[..., rng.permutation(3)])
    return image


def grid_mask(height: int, width: int, settings: GridMask, rng: np.random.RandomState) -> NDArray[np.float32] | None:
    """Return a mask [height, width] of zeros and ones for a whole batch, None when the draw leaves images alone.

    Kept are the pixels in a row stripe or in a column stripe.
    """
    if rng.rand() > settings.probability:
        return None
    tall, wide = int(1.5 * height), int(1.5 * width)
    period = rng.randint(2, height)
    stripe = min(max(int(period * settings.ratio + 0.5), 1), period - 1)
    first_row, first_column = rng.randint(period), rng.randint(period)
    rng.randint(1)  # upstream draws a rotation of 0..0 degrees
    kept = np.zeros((tall, wide), np.float32)
    for i in range(tall // period):
        start = period * i + first_row
        kept[start : min(start + stripe, tall)] = 1
    for i in range(wide // period):
        start = period * i + first_column
        kept[:, start : min(start + stripe, wide)] = 1
    top, left = (tall - height) // 2, (wide - width) // 2
    return kept[top : top + height, left : left + width]
