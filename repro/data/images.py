"""From a JPEG to the array that the backbone sees, in upstream's order of operations (spec §B.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg

from repro.data.records import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.recipe import Images
    from repro.recipe.tables import Triple

END_OF_IMAGE = b"\xff\xd9"
AGAIN = "extract the archive that holds it again"


class Colours(Protocol):
    """How channels become numbers around zero: the [images] table of either model."""

    @property
    def mean(self) -> Triple:
        """Taken away from each channel."""

    @property
    def std(self) -> Triple:
        """What each channel is divided by."""

    @property
    def to_rgb(self) -> bool:
        """Whether the channels turn from BGR to RGB first."""


def read_jpeg(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the BGR pixels [H, W, 3] of a JPEG of `size` (rows, columns); EXIF is ignored.

    torchvision's decoder gives OpenCV's bits in about two thirds of its time. Raises DataError when the file is
    missing, cut short, no JPEG, or of another size.
    """
    data = jpeg_bytes(path)
    try:
        rgb = decode_jpeg(torch.from_numpy(data), mode=ImageReadMode.UNCHANGED)  # [C, H, W], channels last in memory
    except RuntimeError as error:
        raise DataError(f"{path}: not a readable JPEG ({len(data)} bytes); {AGAIN}") from error
    pixels = rgb.permute(1, 2, 0).numpy()
    check_size(path, pixels, size)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)


def check_size(path: Path, pixels: NDArray[np.uint8], size: tuple[int, int]) -> None:
    """Raise DataError unless pixels are [*size, 3]."""
    if pixels.shape != (*size, 3):
        raise DataError(f"{path}: {list(pixels.shape)} pixels; the recipe expects {[*size, 3]} ([images] raw_size)")


def jpeg_bytes(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of a JPEG file, whole. Raises DataError when it is missing or cut short."""
    try:
        data = bytearray(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; {AGAIN}") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {AGAIN}") from error
    if not data.rstrip(b"\0").endswith(END_OF_IMAGE):
        raise DataError(f"{path}: cut short after {len(data)} bytes (no end-of-image marker); {AGAIN}")
    return np.frombuffer(data, np.uint8)


def prepare_image(pixels: NDArray[np.uint8] | NDArray[np.float32], settings: Images) -> NDArray[np.float32]:
    """Return [3, H, W] float32, normalised, then resized, then padded with zeros, of BGR pixels [h, w, 3]."""
    image = normalised(pixels, settings)
    rows, columns = settings.resized
    if (rows, columns) != image.shape[:2]:
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    padded = np.zeros((3, *settings.padded), np.float32)
    for channel, plane in enumerate(cv2.split(image)):  # a fifth of the time of one strided copy
        padded[channel, :rows, :columns] = plane
    return padded


def normalised(pixels: NDArray[np.uint8] | NDArray[np.float32], settings: Colours) -> NDArray[np.float32]:
    """Return [h, w, 3] float32, (pixel − mean) / std per channel, of BGR pixels [h, w, 3]."""
    channels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if settings.to_rgb else pixels
    if pixels.dtype != np.uint8:
        return _normalised(np.asarray(channels, np.float32), settings)
    # 256 levels looked up: the same bits in half the time (124 ms, not 273, a frame)
    levels = np.tile(np.arange(256, dtype=np.float32)[None, :, None], (1, 1, 3))
    return np.asarray(cv2.LUT(channels, _normalised(levels, settings)), np.float32)


def _normalised(image: NDArray[np.float32], settings: Colours) -> NDArray[np.float32]:
    """Return (image − mean) / std per channel, in OpenCV's float32 arithmetic."""
    mean = np.array(settings.mean, np.float32).astype(np.float64).reshape(1, -1)
    scale = 1 / np.array(settings.std, np.float32).astype(np.float64).reshape(1, -1)
    image = np.array(image, order="C")  # OpenCV works in place only on packed rows
    cv2.subtract(image, mean, image)
    cv2.multiply(image, scale, image)
    return image
