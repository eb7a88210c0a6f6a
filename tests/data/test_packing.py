"""Strict loading is the specification bit by bit; fast loading is near it, and how near is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from repro.bench.plain_loading import PlainLoader, plain_distort
from repro.data import DataError
from repro.data.augment import Distortion, distort, distorted
from repro.data.dataset import FrameLoader, collate_clips, collate_frames
from repro.data.images import prepare_image
from repro.data.packing import packed_images, read_small
from repro.data.tables import frame_records, open_tables
from repro.recipe import Recipe, load_recipe
from repro.recipe.schema import CAMERAS, Photometric
from repro.tensors import Clip, Frame
from tests.data.small_nuscenes import COLUMNS, ROWS, VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data.records import FrameRecord

BASE = {"scale": 1.0, "mean": (103.53, 116.28, 123.675), "std": (1.0, 1.0, 1.0), "to_rgb": False}
SMALL = {**BASE, "scale": 0.8}
SIZES: dict[str, dict[str, object]] = {"tiny": {}, "small": SMALL, "base": BASE}


@pytest.fixture(scope="module")
def dataroot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_small_nuscenes(tmp_path_factory.mktemp("nuscenes") / "root")
    smooth = cv2.resize(np.random.RandomState(0).randint(0, 256, (9, 16, 3)).astype(np.uint8), (COLUMNS, ROWS))
    for path in sorted((root / "samples").rglob("*.jpg")):
        path.write_bytes(cv2.imencode(".jpg", smooth)[1].tobytes())
    return root


@pytest.fixture(scope="module")
def record(dataroot: Path) -> FrameRecord:
    return next(frame_records(open_tables(dataroot, VERSION), dataroot, CAMERAS, rates="next"))


def recipe_of(size: str, pipeline: str = "strict") -> Recipe:
    tiny = load_recipe("bevformer_tiny")
    images = tiny.images.model_copy(update={"raw_size": (ROWS, COLUMNS), "pipeline": pipeline, **SIZES[size]})
    return tiny.model_copy(update={"images": images})


def loaded(loader: FrameLoader | PlainLoader, record: FrameRecord, seed: int | None) -> Frame:
    rng = None if seed is None else np.random.RandomState(seed)
    return loader.load(record, record.can_bus, has_history=False, rng=rng)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_strict_frames_are_the_specification_bit_by_bit(
    dataroot: Path, record: FrameRecord, size: str, seed: int | None
) -> None:
    plain, strict = (loaded(kind(dataroot, recipe_of(size)), record, seed) for kind in (PlainLoader, FrameLoader))
    assert torch.equal(plain.images, strict.images)
    assert strict.packing is None


@pytest.mark.parametrize("seed", range(30))
def test_distortion_is_the_specification_bit_by_bit(seed: int) -> None:
    image = np.random.RandomState(seed).randint(0, 256, (24, 40, 3)).astype(np.float32)
    settings = Photometric(brightness_delta=32.0, contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue_delta=18.0)
    ours, rng = distort([image], settings, np.random.RandomState(seed))[0], np.random.RandomState(seed)
    np.testing.assert_array_equal(ours, plain_distort(image, settings, rng))


@pytest.mark.parametrize("size", SIZES)
def test_fast_frames_are_near_the_strict_ones(dataroot: Path, record: FrameRecord, size: str) -> None:
    """Within two grey levels on average; the rest is resizing before the colours, and 255 levels instead of floats."""
    strict, fast = (FrameLoader(dataroot, recipe_of(size, pipeline)) for pipeline in ("strict", "fast"))
    deviation = torch.tensor(strict.recipe.images.std)[:, None, None]
    for seed in range(8):
        one, other = loaded(strict, record, seed), loaded(fast, record, seed).to("cpu")
        assert one.images.shape == other.images.shape
        assert ((one.images - other.images).abs() * deviation).mean() < 2.0


def test_fast_frames_carry_a_quarter_of_the_bytes_at_most(dataroot: Path, record: FrameRecord) -> None:
    for size in SIZES:
        strict, fast = (
            loaded(FrameLoader(dataroot, recipe_of(size, pipeline)), record, 0) for pipeline in ("strict", "fast")
        )
        assert fast.images.dtype == torch.uint8
        assert fast.images.nbytes <= strict.images.nbytes / 4
        assert fast.image_size == strict.image_size


def test_evaluation_is_strict_whatever_the_recipe_says(dataroot: Path, record: FrameRecord) -> None:
    strict, fast = (FrameLoader(dataroot, recipe_of("tiny", pipeline)) for pipeline in ("strict", "fast"))
    assert torch.equal(loaded(strict, record, None).images, loaded(fast, record, None).images)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("size", ["small", "base"])
def test_brightness_contrast_and_channel_order_are_exact(
    dataroot: Path, record: FrameRecord, size: str, order: tuple[int, int, int]
) -> None:
    settings = recipe_of(size).images.model_copy(update={"scale": 1.0, "std": (58.0, 57.0, 56.0), "to_rgb": True})
    drawn = Distortion(brightness=20.0, contrast=1.4, order=order)  # 385 at the brightest: nothing is clipped
    path = dataroot / record.cameras[0].path
    pixels, packing = packed_images([path], settings, [drawn])
    expected = prepare_image(distorted(read_small(path, settings), drawn), settings)
    np.testing.assert_allclose(packing.unpacked(pixels)[0, 0].numpy(), expected, atol=1e-4)  # HSV and back in float32


@pytest.mark.parametrize("saturation", [0.5, 1.5])
def test_saturation_and_hue_lose_at_most_one_step(dataroot: Path, record: FrameRecord, saturation: float) -> None:
    settings = recipe_of("base").images
    path = dataroot / record.cameras[0].path
    drawn = Distortion(saturation=saturation, hue=-12.0)
    pixels, packing = packed_images([path], settings, [drawn])
    expected = prepare_image(distorted(read_small(path, settings), drawn), settings)
    step = float(packing.gain.max())
    assert step <= 1.5  # 255 down to -127 in 255 steps
    assert np.abs(packing.unpacked(pixels)[0, 0].numpy() - expected).max() <= step / 2 + 1e-3


def test_padding_is_zero_after_unpacking(dataroot: Path, record: FrameRecord) -> None:
    frame = loaded(FrameLoader(dataroot, recipe_of("tiny", "fast")), record, 0).to("cpu")
    assert frame.packing is None
    assert not frame.images[..., ROWS // 2 :, :].any()
    assert not frame.images[..., COLUMNS // 2 :].any()
    assert frame.images[0].is_contiguous(memory_format=torch.channels_last)


def test_packed_frames_and_clips_are_collated(dataroot: Path, record: FrameRecord) -> None:
    loader = FrameLoader(dataroot, recipe_of("tiny", "fast"))
    one, other = loaded(loader, record, 0), loaded(loader, record, 1)
    both = collate_frames([one, other]).to("cpu")
    assert torch.equal(both.images[0], one.to("cpu").images[0])
    assert torch.equal(both.images[1], other.to("cpu").images[0])
    clip = collate_clips([Clip((one,), ()), Clip((replace(other, tokens=("x",)),), ())]).to("cpu")
    assert torch.equal(clip.frames[0].images, both.images)


def test_a_bad_jpeg_is_named_by_the_fast_way_too(tmp_path: Path) -> None:
    settings = recipe_of("tiny").images
    (tmp_path / "x.jpg").write_bytes(b"hello\xff\xd9")
    with pytest.raises(DataError, match=r"x\.jpg: not a readable JPEG \(7 bytes\)"):
        read_small(tmp_path / "x.jpg", settings)
    (tmp_path / "x.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((50, 60, 3), np.uint8))[1].tobytes())
    with pytest.raises(DataError, match=r"\[50, 60, 3\] pixels; the recipe expects \[90, 160, 3\]"):
        read_small(tmp_path / "x.jpg", settings)
