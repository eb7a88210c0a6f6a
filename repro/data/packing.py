"""The fast way from a JPEG to a training image: small uint8 pixels, and two numbers a channel for the device to apply.

differs from spec §B.1 and §C.4: images shrink before they are distorted and normalised, halves (quarters, eighths) are
decoded at that size, and pixels stay uint8. Brightness and contrast are exact, because they only change the two numbers
(but for pixels darker than the brightness that is taken away, which upstream's HSV turns bright again).
`repro/bench/data_loading.py` measures what it gains and what it changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from repro.data.augment import Distortion, reordered, turn_hue
from repro.data.images import check_size, jpeg_bytes, read_jpeg
from repro.tensors import Packing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.recipe import Images

DECODED_AT = {0.5: cv2.IMREAD_REDUCED_COLOR_2, 0.25: cv2.IMREAD_REDUCED_COLOR_4, 0.125: cv2.IMREAD_REDUCED_COLOR_8}
LEVELS = 255.0


def packed_images(paths: Sequence[Path], settings: Images, drawn: Sequence[Distortion]) -> tuple[torch.Tensor, Packing]:
    """Return pixels [1, N, h, w, 3] uint8 and how to unpack them, one distortion an image. Raises DataError."""
    images, gains, offsets = [], [], []
    for path, distortion in zip(paths, drawn, strict=True):
        pixels, step, lowest = _coloured(read_small(path, settings), distortion)
        order = distortion.order[::-1] if settings.to_rgb else distortion.order
        images.append(reordered(pixels, (order[0], order[1], order[2])))
        contrast = 1.0 if distortion.contrast is None else distortion.contrast
        deviation = np.array(settings.std)
        gains.append(contrast * step / deviation)
        offsets.append((contrast * (lowest + (distortion.brightness or 0.0)) - np.array(settings.mean)) / deviation)
    gain, offset = (torch.from_numpy(np.stack(rows)).float()[None] for rows in (gains, offsets))
    return torch.from_numpy(np.stack(images))[None], Packing(gain=gain, offset=offset, padded=settings.padded)


def read_small(path: Path, settings: Images) -> NDArray[np.uint8]:
    """Return the BGR pixels [h, w, 3] of a JPEG at the size that the model sees. Raises DataError as `read_jpeg`."""
    rows, columns = settings.resized
    whole = (round(rows / settings.scale), round(columns / settings.scale)) == settings.raw_size
    if settings.scale in DECODED_AT and whole:
        small: Any = cv2.imdecode(jpeg_bytes(path), DECODED_AT[settings.scale] | cv2.IMREAD_IGNORE_ORIENTATION)
        pixels = np.asarray(small)  # of no shape where OpenCV returned None
        if pixels.shape == (rows, columns, 3):
            return np.asarray(pixels, np.uint8)
    pixels = read_jpeg(path, settings.raw_size)  # names what is wrong with a bad file
    check_size(path, pixels, settings.raw_size)
    if (rows, columns) == settings.raw_size:
        return pixels
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def _coloured(pixels: NDArray[np.uint8], drawn: Distortion) -> tuple[NDArray[np.uint8], float, float]:
    """Return pixels with saturation and hue applied, and the (step, lowest) that turn them back into grey levels.

    Saturation above 1 pushes channels below zero: they are stored in wider steps instead of being clipped.
    """
    if drawn.saturation is None and drawn.hue is None:
        return pixels, 1.0, 0.0
    image = pixels.astype(np.float32)
    cv2.cvtColor(image, cv2.COLOR_BGR2HSV, dst=image)
    if drawn.saturation is not None:
        image[..., 1] *= drawn.saturation
    if drawn.hue is not None:
        turn_hue(image[..., 0], drawn.hue)
    cv2.cvtColor(image, cv2.COLOR_HSV2BGR, dst=image)
    lowest = min(float(image.min()), 0.0)
    step = (LEVELS - lowest) / LEVELS
    stored = cv2.convertScaleAbs(image, alpha=1 / step, beta=-lowest / step)
    return np.asarray(stored, np.uint8), step, lowest
