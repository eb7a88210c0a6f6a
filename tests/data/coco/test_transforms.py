"""Resize, crop and flip move boxes as they move pixels, and sizes round as upstream's do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.data.coco.transforms import Annotated, augment, crop, flip, resize, resized_size
from repro.recipe.deformable_detr import CocoAugment, Crop

CROP = Crop(probability=1.0, short_sides=(400, 500, 600), long_side=4200, sizes=(384, 600))
ALL_CROPPED = CocoAugment(flip=0.5, short_sides=(480, 800), long_side=1333, crop=CROP)
SIDES = st.integers(10, 700)


def scene(rows: int, columns: int, box: tuple[float, float, float, float]) -> Annotated:
    """Return a black image with one white box."""
    pixels = np.zeros((rows, columns, 3), np.uint8)
    x1, y1, x2, y2 = (int(v) for v in box)
    pixels[y1:y2, x1:x2] = 255
    return Annotated(
        pixels=pixels,
        boxes=np.array([box], np.float32),
        labels=np.array([4]),
        scale=np.ones(4, np.float32),
    )


def white_part(image: Annotated) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(image.pixels[..., 0] > 127)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


@pytest.mark.parametrize(
    ("size", "short", "long", "how", "expected"),
    [
        ((900, 1600), 800, 1333, "cv2", (750, 1333)),
        ((480, 640), 800, 1333, "cv2", (800, 1067)),
        ((427, 640), 400, 4200, "cv2", (400, 600)),
        ((100, 3000), 400, 4200, "cv2", (140, 4200)),
        ((480, 640), 800, 1333, "pil", (800, 1066)),
        ((640, 480), 800, 1333, "pil", (1066, 800)),
        ((900, 1600), 800, 1333, "pil", (750, 1333)),
        ((100, 3000), 400, 0, "pil", (400, 12000)),
        ((800, 1000), 800, 1333, "pil", (800, 1000)),
    ],
)
def test_new_sizes_round_as_each_family_rounds_them(
    size: tuple[int, int], short: int, long: int, how: str, expected: tuple[int, int]
) -> None:
    assert resized_size(size, short=short, long=long, how="pil" if how == "pil" else "cv2") == expected


@pytest.mark.parametrize("how", ["cv2", "pil"])
def test_boxes_move_with_the_pixels_of_a_resize(how: str) -> None:
    image = resize(scene(80, 100, (20, 10, 60, 50)), short=160, long=1000, how="pil" if how == "pil" else "cv2")
    assert image.size == (160, 200)
    assert image.boxes.tolist() == [[40, 20, 120, 100]]
    assert white_part(image) == pytest.approx((40, 20, 120, 100), abs=1)
    assert image.scale.tolist() == [2, 2, 2, 2]


def test_a_resize_clips_boxes_to_the_image() -> None:
    image = scene(80, 100, (0, 0, 10, 10))
    outside = Annotated(
        pixels=image.pixels, boxes=np.array([[-5, -5, 120, 90]], np.float32), labels=image.labels, scale=image.scale
    )
    assert resize(outside, short=40, long=100, how="cv2").boxes.tolist() == [[0, 0, 50, 40]]


def test_a_mirror_image_swaps_left_and_right() -> None:
    image = flip(scene(80, 100, (20, 10, 60, 50)))
    assert image.boxes.tolist() == [[40, 10, 80, 50]]
    assert white_part(image) == (40, 10, 80, 50)
    assert np.array_equal(flip(image).pixels, scene(80, 100, (20, 10, 60, 50)).pixels)


@settings(max_examples=30)
@given(SIDES, SIDES, st.integers(0, 1000))
def test_a_crop_has_the_sizes_upstream_draws_and_keeps_what_is_inside(rows: int, columns: int, seed: int) -> None:
    image = crop(scene(rows, columns, (2, 3, 8, 9)), CROP, np.random.RandomState(seed))
    assert min(rows, 384) <= image.size[0] <= min(rows, 600)
    assert min(columns, 384) <= image.size[1] <= min(columns, 600)
    assert len(image.boxes) == len(image.labels)
    if len(image.boxes):
        assert white_part(image) == tuple(image.boxes[0].tolist())
    else:
        assert not image.pixels.any()


@settings(max_examples=30)
@given(SIDES, SIDES, st.integers(0, 1000))
def test_an_augmented_image_stays_under_the_cap_with_its_boxes_inside(rows: int, columns: int, seed: int) -> None:
    image = augment(scene(rows, columns, (2, 3, 8, 9)), ALL_CROPPED, "cv2", np.random.RandomState(seed))
    assert max(image.size) <= 1333
    assert min(image.size) in {480, 800} or max(image.size) == 1333
    assert (image.boxes >= 0).all()
    assert (image.boxes[:, 2:] <= np.array(image.size[::-1])).all()


def test_the_same_generator_draws_the_same_image() -> None:
    first, second, other = (
        augment(scene(300, 400, (50, 60, 200, 190)), ALL_CROPPED, "cv2", np.random.RandomState(seed))
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first.pixels, second.pixels)
    assert first.size != other.size or not np.array_equal(first.pixels, other.pixels)
