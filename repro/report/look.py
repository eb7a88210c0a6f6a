"""What there is to look at: a few of the evaluated frames or images, with the boxes annotated and found in them.

Values only, as the page's script reads them; `frames.py` and `images.py` fill them in, from a data set and a result
file.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from repro.data.images import jpeg_bytes
from repro.data.records import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MOST_VIEWS = 12
JPEG_QUALITY = 72
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One picture: a JPEG as a data URI, its size before it was shrunk (columns, rows).

    `projection` [12] is the first three rows, row by row, of the matrix from LiDAR metres to pixels of that size; empty
    where boxes are pixels already.
    """

    name: str
    picture: str
    size: tuple[int, int]
    projection: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A frame or an image. One box a row, `classes` and `scores` beside it.

    kind "frames": x, y, z (centre, LiDAR frame, metres), length, width, height, heading (rad, x axis to the box's
    front, anticlockwise); kind "images": x, y, width, height in pixels.
    """

    title: str
    views: tuple[View, ...]
    annotated: tuple[tuple[float, ...], ...]
    annotated_classes: tuple[str, ...]
    found: tuple[tuple[float, ...], ...]
    found_classes: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the page shows to look at: nothing, and `why`, where data or results are gone.

    `reach` is the half width of the bird's-eye view in metres, `of` the number of frames or images evaluated.
    """

    kind: Literal["frames", "images"]
    shown: tuple[Shown, ...] = ()
    of: int = 0
    reach: float = 0.0
    notice: str = ""
    why: str = ""


def spread(count: int, most: int = MOST_VIEWS) -> list[int]:
    """Return at most `most` of the positions 0..count-1, first and last among them, evenly apart."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def picture_of(path: Path, size: tuple[int, int], longest: int) -> str:
    """Return a JPEG of `size` (columns, rows), shrunk until no side is over `longest`, as a data URI.

    Decoding at a half or a quarter of the size takes a fraction of the time. Raises DataError when the file is missing,
    damaged, or of another size.
    """
    divisor = next((divisor for divisor in REDUCED if max(size) >= divisor * longest), 1)
    pixels: Any  # None for what is no JPEG, whatever OpenCV's types say
    pixels = cv2.imdecode(jpeg_bytes(path), REDUCED.get(divisor, cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION)
    expected = (-(-size[1] // divisor), -(-size[0] // divisor))
    if pixels is None or pixels.shape[:2] != expected:
        seen = "not a readable JPEG" if pixels is None else f"{divisor} × {list(pixels.shape[:2])} pixels"
        raise DataError(f"{path}: {seen}; expected {size[1]} rows of {size[0]} pixels")
    return data_uri(np.asarray(pixels, np.uint8), longest)


def data_uri(pixels: NDArray[np.uint8], longest: int) -> str:
    """Return BGR pixels [h, w, 3], shrunk until no side is over `longest`, as the data URI of a JPEG."""
    scale = min(1.0, longest / max(pixels.shape[:2]))
    rows, columns = (max(1, round(side * scale)) for side in pixels.shape[:2])
    small = pixels if scale == 1 else cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
