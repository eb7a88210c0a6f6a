"""Pictures show boxes where they are, name what can be read, and films hold every picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from repro.recipe.schema import CAMERAS
from repro.visualise.cuboids import cuboids_of_boxes
from repro.visualise.film import FilmError, write_film
from repro.visualise.frame import HEAD, PHOTO, CameraView, FrameView, counts, draw_frame
from repro.visualise.image import ImageBoxes, ImageView, draw_image
from repro.visualise.paper import pixels_of, save_png
from repro.visualise.tags import overlap, tags

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

AHEAD = np.array([[500.0, 800.0, 0.0, 0.0], [0.0, 450.0, -500.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0, 0, 0, 1]])  # along +y
BEHIND = AHEAD @ np.diag([-1.0, -1.0, 1.0, 1.0])
NIGHT = np.full((900, 1600, 3), 20, np.uint8)
CAR = cuboids_of_boxes(np.array([[0.0, 10.0, 0.0, 2.0, 4.0, 1.6, -np.pi, 0.0, 5.0]]), ["car"])
FOUND = replace(CAR, scores=np.array([0.4]))


def view(*, truth: bool = True, threshold: float = 0.3) -> FrameView:
    return FrameView(
        title="a car ahead",
        cameras=[
            CameraView(channel=name, pixels=NIGHT, img_from_lidar=AHEAD if name == "CAM_FRONT" else BEHIND)
            for name in CAMERAS
        ],
        truth=CAR if truth else None,
        predictions=FOUND,
        threshold=threshold,
        bev_range=(-51.2, -51.2, -5.0, 51.2, 51.2, 3.0),
    )


def coloured(pixels: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.bool_]:
    close: NDArray[np.bool_] = (np.abs(pixels.astype(int) - rgb) < 40).all(-1)
    return close


BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


def test_a_box_is_drawn_in_the_camera_that_sees_it_where_it_projects() -> None:
    pixels = pixels_of(draw_frame(view(threshold=0.5)))
    wide, high = PHOTO
    front = pixels[HEAD : HEAD + high, wide + 8 : 2 * wide + 8]
    rows, columns = np.nonzero(coloured(front, BLUE))
    # 2 m wide and 1.6 m high, its near face 8 m ahead: 500 / 8 pixels a metre, in a photo drawn at 0.36
    scale = wide / 1600
    assert columns.min() == pytest.approx((800 - 500 / 8) * scale, abs=2.5)
    assert columns.max() == pytest.approx((800 + 500 / 8) * scale, abs=2.5)
    assert rows.max() == pytest.approx((450 + 500 * 0.8 / 8) * scale, abs=2.5)
    rest = pixels[HEAD : HEAD + 2 * high + 8, : 3 * wide + 16].copy()
    rest[:high, wide + 8 : 2 * wide + 8] = 0
    assert not coloured(rest, BLUE).any()


def test_only_boxes_over_the_threshold_are_drawn_and_the_counts_say_so() -> None:
    assert coloured(pixels_of(draw_frame(view(truth=False))), ORANGE).sum() > 50
    none = view(truth=False, threshold=0.5)
    assert not coloured(pixels_of(draw_frame(none))[HEAD : HEAD + 2 * PHOTO[1], : 3 * PHOTO[0]], ORANGE).any()
    assert counts(none) == "0 of 1 predictions score at least 0.5, the best 0.40"
    assert counts(view()) == "1 annotated · 1 of 1 predictions score at least 0.3"


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, draw_frame(view()))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_image_shows_its_annotated_and_its_found_boxes() -> None:
    boxes = np.array([[100.0, 200.0, 300.0, 100.0]])
    shown = ImageView(
        title="a dog",
        pixels=NIGHT,
        truth=ImageBoxes(boxes=boxes, names=["dog"]),
        predictions=ImageBoxes(boxes=boxes + 50.0, names=["dog"], scores=np.array([0.9])),
        threshold=0.3,
    )
    pixels = pixels_of(draw_image(shown))
    rows, columns = np.nonzero(coloured(pixels[52:-40], BLUE))
    assert columns.min() == pytest.approx(100 * 0.625, abs=2.5)
    assert rows.max() == pytest.approx(300 * 0.625, abs=2.5)
    assert coloured(pixels[52:-40], ORANGE).any()
    assert not coloured(pixels_of(draw_image(replace(shown, threshold=0.95)))[52:-40], ORANGE).any()


@given(
    st.lists(
        st.tuples(st.floats(0, 1600), st.floats(0, 900), st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=30
    )
)
def test_names_never_cover_one_another_or_leave_the_photo(corners: list[tuple[float, float, float, float]]) -> None:
    boxes = {i: (x, y, x + w, y + h) for i, (x, y, w, h) in enumerate(corners)}
    words = dict.fromkeys(boxes, "pedestrian 0.42")
    placed = tags(boxes, words, (900, 1600), pixel=2.0, order=boxes)
    half, high = 6.4 * 15, 24.0
    covered = [(x - half, y - high, x + half, y) for x, y in placed.values()]
    assert all(box[0] > 0 and box[1] > 0 and box[2] < 1600 and box[3] < 900 for box in covered)
    assert not any(overlap(a, b) for i, a in enumerate(covered) for b in covered[:i])


def shades(count: int) -> list[NDArray[np.uint8]]:
    return [np.full((61, 121, 3), 40 * i + 20, np.uint8) for i in range(count)]


def test_an_mp4_holds_every_picture_at_two_a_second(tmp_path: Path) -> None:
    assert write_film(tmp_path / "scene.mp4", shades(4)) == 4
    film = cv2.VideoCapture(str(tmp_path / "scene.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(2.0)
    read = []
    while (picture := film.read())[0]:
        read.append(picture[1].mean())
    assert read == pytest.approx([20, 60, 100, 140], abs=4)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.mp4"]


def test_a_gif_holds_every_picture_half_a_second_each(tmp_path: Path) -> None:
    assert write_film(tmp_path / "scene.gif", shades(3)) == 3
    with Image.open(tmp_path / "scene.gif") as film:
        assert getattr(film, "n_frames", 1) == 3
        assert film.info["duration"] == 500


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_a_film_of_no_picture_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FilmError, match="no picture"):
        write_film(tmp_path / f"scene.{kind}", [])
    assert not list(tmp_path.iterdir())
