"""Pictures one after the other as a film: MP4 (VP9, which every browser plays) or GIF, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
from PIL import Image

from repro.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["mp4", "gif"]
A_SECOND = 2.0  # key frames a second: nuScenes' own pace
GIF_WIDTH = 1200  # pixels; a GIF of full pictures would be tens of megabytes


class FilmError(ValueError):
    """A film that cannot be made on this machine; the message says what to type."""


def write_film(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> int:
    """Write RGB pictures [h, w, 3], all of one size, as the kind of film that `path` ends in; return how many.

    Raises FilmError where this OpenCV cannot write MP4, or there is no picture.
    """
    with replacing(path) as part:
        write = _write_gif if path.suffix == ".gif" else _write_mp4
        frames = write(part, pictures)
        if not frames:
            raise FilmError(f"{path}: no picture to make a film of")
    return frames


def _write_mp4(part: Path, pictures: Iterable[NDArray[np.uint8]]) -> int:
    named = part.with_suffix(".mp4")  # OpenCV goes by the ending
    writer: cv2.VideoWriter | None = None
    frames = 0
    try:
        for picture in pictures:
            rows, columns = (length - length % 2 for length in picture.shape[:2])  # video has even sides
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"vp09")
                writer = cv2.VideoWriter(str(named), cv2.CAP_FFMPEG, code, A_SECOND, (columns, rows))
                if not writer.isOpened():
                    raise FilmError("this OpenCV writes no MP4 (VP9 is missing from its FFmpeg); type --video gif")
            writer.write(cv2.cvtColor(picture[:rows, :columns], cv2.COLOR_RGB2BGR))
            frames += 1
        if writer is not None:
            writer.release()
            named.replace(part)
    finally:
        named.unlink(missing_ok=True)
    return frames


def _write_gif(part: Path, pictures: Iterable[NDArray[np.uint8]]) -> int:
    frames = [_small(picture) for picture in pictures]
    if frames:
        first, *rest = frames
        wait_ms = round(1000 / A_SECOND)
        first.save(part, format="GIF", save_all=True, append_images=rest, duration=wait_ms, loop=0, optimize=False)
    return len(frames)


def _small(picture: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(picture)
    if image.width > GIF_WIDTH:
        image = image.resize((GIF_WIDTH, round(image.height * GIF_WIDTH / image.width)), Image.Resampling.LANCZOS)
    return image.quantize(256)
