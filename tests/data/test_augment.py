"""Augmentation draws what upstream draws, in its order, from the generator that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from repro.data.augment import distort, grid_mask
from repro.recipe.schema import GridMask, Photometric

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PHOTOMETRIC = Photometric(brightness_delta=32.0, contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue_delta=18.0)
GRID = GridMask(probability=0.7, ratio=0.5)


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(4))
def test_colours_are_upstreams(shared_dir: Path, seed: int) -> None:
    with np.load(shared_dir / "golden/A/modules/photometric.npz") as golden:
        ours = distort(list(golden["x"]), PHOTOMETRIC, np.random.RandomState(seed))
        # HSV and back in float32, values up to 365: measured 2e-5 between two builds of OpenCV
        np.testing.assert_allclose(np.stack(ours), golden[f"s{seed}"], atol=1e-3)


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(4))
def test_the_grid_is_upstreams(shared_dir: Path, seed: int) -> None:
    with np.load(shared_dir / "golden/A/modules/grid_mask.npz") as golden:
        x, expected = golden["x"], golden[f"s{seed}"]
    mask = grid_mask(x.shape[-2], x.shape[-1], GRID, np.random.RandomState(seed))
    np.testing.assert_array_equal(x if mask is None else x * mask, expected)


def plain_grid(height: int, width: int, ratio: float, rng: np.random.RandomState) -> NDArray[np.float32]:
    """Write spec §C.5 pixel by pixel: the slow twin, after the draw that decides whether to mask."""
    hh, ww = int(1.5 * height), int(1.5 * width)
    d = rng.randint(2, height)
    length = min(max(int(d * ratio + 0.5), 1), d - 1)
    row_start, column_start = rng.randint(d), rng.randint(d)
    rng.randint(1)

    def in_stripe(position: int, start: int, extent: int) -> bool:
        return any(d * i + start <= position < min(d * i + start + length, extent) for i in range(extent // d))

    top, left = (hh - height) // 2, (ww - width) // 2
    return np.array(
        [
            [in_stripe(top + y, row_start, hh) or in_stripe(left + x, column_start, ww) for x in range(width)]
            for y in range(height)
        ],
        np.float32,
    )


@pytest.mark.parametrize("seed", range(30))
def test_the_grid_equals_its_slow_twin(seed: int) -> None:
    rng, twin = np.random.RandomState(seed), np.random.RandomState(seed)
    mask = grid_mask(13, 22, GRID, rng)
    if twin.rand() > GRID.probability:
        assert mask is None
    else:
        assert mask is not None
        np.testing.assert_array_equal(mask, plain_grid(13, 22, GRID.ratio, twin))
    assert rng.randint(1 << 30) == twin.randint(1 << 30)  # both took as many draws


def test_seven_in_ten_batches_are_masked() -> None:
    rng = np.random.RandomState(0)
    masked = sum(grid_mask(8, 8, GRID, rng) is not None for _ in range(2000))
    assert masked / 2000 == pytest.approx(0.7, abs=0.03)


def test_the_images_handed_in_are_left_alone() -> None:
    image = np.full((4, 5, 3), 100.0, np.float32)
    for seed in range(20):
        distort([image], PHOTOMETRIC, np.random.RandomState(seed))
    assert (image == 100.0).all()


def test_each_camera_has_its_own_colours_and_nothing_is_clipped() -> None:
    bright = [np.full((4, 5, 3), 250.0, np.float32)] * 2
    seen = [distort(bright, PHOTOMETRIC, np.random.RandomState(seed)) for seed in range(20)]
    assert any(not np.allclose(one, other) for one, other in seen)
    assert max(image.max() for pair in seen for image in pair) > 255
