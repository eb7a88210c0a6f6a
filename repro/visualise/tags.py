"""Where the names of boxes stand: above them, inside the picture, and never one over another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photo
LETTER = (6.4, 12.0)  # drawn pixels: a letter of a name
SMALLEST_NAMED = 12.0  # drawn pixels: how wide a box is at least to have its name written above it


def tags(
    boxes: Mapping[int, Rectangle],
    words: Mapping[int, str],
    size: tuple[int, int],
    *,
    pixel: float,
    order: Iterable[int],
) -> dict[int, tuple[float, float]]:
    """Return where the names of boxes stand in a photo of `size` rows and columns: by box, bottom centre in pixels.

    `pixel` is how many pixels of the photo a drawn one covers. Boxes come in `order`; one that is too small, or whose
    name would cover another or leave the photo, has none.
    """
    rows, columns = size
    placed: dict[int, tuple[float, float]] = {}
    taken: list[Rectangle] = []
    for i in order:
        left, top, right, _ = boxes[i]
        if right - left < SMALLEST_NAMED * pixel:
            continue
        x, y = (left + right) / 2, top - 2 * pixel
        half, high = LETTER[0] * len(words[i]) / 2 * pixel, LETTER[1] * pixel
        tag = (x - half, y - high, x + half, y)
        inside = tag[0] > 0 and tag[1] > 0 and tag[2] < columns and tag[3] < rows
        if inside and not any(overlap(tag, other) for other in taken):
            placed[i] = (x, y)
            taken.append(tag)
    return placed


def overlap(a: Rectangle, b: Rectangle) -> bool:
    """Tell whether two rectangles share more than an edge."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
