"""Images are prepared as upstream does, bit by bit, and every bad file is named."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from repro.data.images import prepare_image, read_jpeg
from repro.data.records import DataError
from repro.recipe import Images
from tests.data.small_nuscenes import COLUMNS, ROWS, write_jpeg

if TYPE_CHECKING:
    from pathlib import Path

TINY = Images(
    raw_size=(900, 1600),
    scale=0.5,
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    to_rgb=True,
    pad_divisor=32,
)
BGR = {"mean": (103.53, 116.28, 123.675), "std": (1.0, 1.0, 1.0), "to_rgb": False}
SIZES = {
    "tiny": TINY,
    "small": TINY.model_copy(update={**BGR, "scale": 0.8}),
    "base": TINY.model_copy(update={**BGR, "scale": 1.0}),
}


@pytest.mark.shared
@pytest.mark.parametrize("size", SIZES)
def test_the_real_images_are_upstreams_to_the_last_bit(shared_dir: Path, size: str) -> None:
    golden = shared_dir / "golden/A"
    facts = json.loads((golden / "pipeline.json").read_text())[size]
    info = json.loads((golden / "real_frame/infos.json").read_text())[0]
    paths = [golden / "real_frame" / camera["data_path"] for camera in info["cams"].values()]
    images = [prepare_image(read_jpeg(path, (900, 1600)), SIZES[size]) for path in paths]
    assert [sha256(image.tobytes()).hexdigest() for image in images] == facts["sha256_per_cam"]


def test_half_size_is_the_mean_of_two_by_two_and_padding_is_zero() -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (90, 160, 3)).astype(np.uint8)
    settings = TINY.model_copy(update={"raw_size": (90, 160)})
    ours = prepare_image(pixels, settings)
    rgb = pixels[..., ::-1].astype(np.float64)
    normal = (rgb - settings.mean) / settings.std
    twin = normal.reshape(45, 2, 80, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert ours.shape == (3, 64, 96)
    np.testing.assert_allclose(ours[:, :45, :80], twin, atol=1e-5)  # float32 of values up to 2.6
    assert not ours[:, 45:].any()
    assert not ours[:, :, 80:].any()


@pytest.mark.parametrize("size", SIZES)
def test_the_table_of_grey_levels_equals_the_arithmetic_bit_by_bit(size: str) -> None:
    pixels = np.random.RandomState(1).randint(0, 256, (90, 160, 3)).astype(np.uint8)
    settings = SIZES[size].model_copy(update={"raw_size": (90, 160)})
    slow = prepare_image(pixels.astype(np.float32), settings)
    np.testing.assert_array_equal(prepare_image(pixels, settings), slow)


def test_the_pixels_handed_in_are_left_alone() -> None:
    pixels = np.full((90, 160, 3), 7.0, np.float32)
    prepare_image(pixels, TINY.model_copy(update={"raw_size": (90, 160)}))
    assert (pixels == 7.0).all()


def test_a_jpeg_is_read_as_blue_green_red(tmp_path: Path) -> None:
    blue = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    blue[..., 0] = 255
    (tmp_path / "blue.jpg").write_bytes(cv2.imencode(".jpg", blue)[1].tobytes())
    pixels = read_jpeg(tmp_path / "blue.jpg", (ROWS, COLUMNS))
    assert pixels[0, 0, 0] > 250
    assert pixels[0, 0, 2] < 5


def test_trailing_zeros_after_the_end_marker_are_harmless(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + bytes(512))
    np.testing.assert_array_equal(
        read_jpeg(tmp_path / "a.jpg", (ROWS, COLUMNS)), read_jpeg(tmp_path / "b.jpg", (ROWS, COLUMNS))
    )


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.01, 0.5, 0.99, 0.9999])
def test_a_truncated_jpeg_is_never_a_grey_picture(tmp_path: Path, kept: float) -> None:
    write_jpeg(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    cut = data[: int(kept * len(data))]
    (tmp_path / "a.jpg").write_bytes(cut)
    with pytest.raises(DataError, match=rf"a\.jpg: cut short after {len(cut)} bytes .*; extract the archive"):
        read_jpeg(tmp_path / "a.jpg", (ROWS, COLUMNS))


def test_a_file_that_was_allocated_but_not_filled_is_cut_short(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    with pytest.raises(DataError, match="cut short"):
        read_jpeg(tmp_path / "a.jpg", (ROWS, COLUMNS))


def test_other_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg: missing; extract the archive that holds it again"):
        read_jpeg(tmp_path / "none.jpg", (ROWS, COLUMNS))
    with pytest.raises(DataError, match=r": Is a directory; extract"):
        read_jpeg(tmp_path, (ROWS, COLUMNS))
    (tmp_path / "text.jpg").write_bytes(b"hello\xff\xd9")
    with pytest.raises(DataError, match=r"text\.jpg: not a readable JPEG \(7 bytes\); extract"):
        read_jpeg(tmp_path / "text.jpg", (ROWS, COLUMNS))
    write_jpeg(tmp_path / "a.jpg")
    with pytest.raises(
        DataError, match=r"a\.jpg: \[90, 160, 3\] pixels; the recipe expects \[900, 1600, 3\] .*raw_size"
    ):
        read_jpeg(tmp_path / "a.jpg", (900, 1600))
