"""Spec §B.1 and §C.4 read line by line, with numpy and OpenCV: what loading is measured and tested against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from repro.data.geometry import img_from_lidar
from repro.tensors import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data.records import FrameRecord
    from repro.recipe import Images, Recipe
    from repro.recipe.schema import Photometric


class PlainLoader:
    """Takes the place of `repro.data.dataset.FrameLoader`."""

    def __init__(self, dataroot: Path, recipe: Recipe) -> None:
        self.dataroot, self.recipe = dataroot, recipe

    def load(
        self,
        record: FrameRecord,
        can_bus: NDArray[np.float64],
        *,
        has_history: bool,
        rng: np.random.RandomState | None = None,
    ) -> Frame:
        """Return the frame with float32 images, distorted if `rng` is given and the recipe says so."""
        settings, photometric = self.recipe.images, self.recipe.augment.photometric
        read = [np.asarray(cv2.imread(str(self.dataroot / c.path), cv2.IMREAD_UNCHANGED)) for c in record.cameras]
        images = [image.astype(np.float32) for image in read]
        if rng is not None and photometric is not None:
            images = [plain_distort(image, photometric, rng) for image in images]
        prepared = [plain_prepare(image, settings) for image in images]
        return Frame(
            images=torch.from_numpy(np.stack(prepared))[None],
            img_from_lidar=torch.from_numpy(np.stack([img_from_lidar(c, settings.scale) for c in record.cameras]))[
                None
            ],
            can_bus=torch.from_numpy(can_bus)[None],
            has_history=torch.tensor([has_history]),
            tokens=(record.token,),
        )


def plain_distort(image: NDArray[np.float32], settings: Photometric, rng: np.random.RandomState) -> NDArray[np.float32]:
    """Return BGR pixels [h, w, 3] distorted in the nine steps of spec §C.4."""
    image = image.copy()
    if rng.randint(2):
        image += rng.uniform(-settings.brightness_delta, settings.brightness_delta)
    mode = rng.randint(2)
    if mode == 1 and rng.randint(2):
        image *= rng.uniform(*settings.contrast)
    image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), np.float32)
    if rng.randint(2):
        image[..., 1] *= rng.uniform(*settings.saturation)
    if rng.randint(2):
        image[..., 0] += rng.uniform(-settings.hue_delta, settings.hue_delta)
        image[..., 0][image[..., 0] > 360] -= 360
        image[..., 0][image[..., 0] < 0] += 360
    image = np.asarray(cv2.cvtColor(image, cv2.COLOR_HSV2BGR), np.float32)
    if mode == 0 and rng.randint(2):
        image *= rng.uniform(*settings.contrast)
    if rng.randint(2):
        image = image[..., rng.permutation(3)]
    return image


def plain_prepare(image: NDArray[np.float32], settings: Images) -> NDArray[np.float32]:
    """Return [3, H, W]: normalise, resize, pad, channels first (spec §B.1 steps 3 to 6)."""
    image = np.ascontiguousarray(image)
    mean = np.array(settings.mean, np.float32).astype(np.float64).reshape(1, -1)
    inverse = 1 / np.array(settings.std, np.float32).astype(np.float64).reshape(1, -1)
    if settings.to_rgb:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)
    cv2.subtract(image, mean, image)
    cv2.multiply(image, inverse, image)
    rows, columns = settings.resized
    if (rows, columns) != image.shape[:2]:
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    height, width = settings.padded
    image = np.asarray(
        cv2.copyMakeBorder(image, 0, height - rows, 0, width - columns, cv2.BORDER_CONSTANT, value=(0, 0, 0)),
        np.float32,
    )
    return np.ascontiguousarray(image.transpose(2, 0, 1))
