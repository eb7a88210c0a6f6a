"""The batches of the Deformable DETR cases: the golden JPEG as at test time, and two small images of it to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from repro.parity.golden import GoldenError
from repro.tensors import ImageBatch, ImageTruth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import DetrRecipe

TRAIN_SIZES = ((288, 512), (352, 352))  # rows, columns: the golden JSON says so in words ("train_batch")
SQUARE = 900  # pixels of the JPEG that the second training image is made of


def whole_image(golden: GoldenSet, facts: Any, recipe: DetrRecipe) -> ImageBatch:
    """Return the whole JPEG, resized as at test time."""
    pixels = _jpeg(golden, facts)
    rows, columns = pixels.shape[:2]
    factor = min(recipe.images.long_side / max(rows, columns), recipe.images.short_side / min(rows, columns))
    size = int(rows * factor + 0.5), int(columns * factor + 0.5)
    return _batch([_resized(pixels, size)], [(rows, columns)], recipe)


def train_batch(golden: GoldenSet, facts: Any, recipe: DetrRecipe) -> ImageBatch:
    """Return two images of different size: the JPEG made small, and its left square made small."""
    pixels = _jpeg(golden, facts)
    sources = (pixels, pixels[:SQUARE, :SQUARE])
    images = [_resized(source, size) for source, size in zip(sources, TRAIN_SIZES, strict=True)]
    return _batch(images, [(source.shape[0], source.shape[1]) for source in sources], recipe)


def train_truth(arrays: Arrays, batch: ImageBatch) -> list[ImageTruth]:
    """Return the golden boxes (corners in pixels) as fractions of their images."""
    truth = []
    for corners, labels, (rows, columns) in zip(
        arrays.tensor("train.gt_boxes"), arrays.tensor("train.gt_labels"), batch.sizes.tolist(), strict=True
    ):
        fractions = corners / torch.tensor([columns, rows, columns, rows], dtype=torch.float32)
        low, high = fractions[:, :2], fractions[:, 2:]
        truth.append(ImageTruth(torch.cat([(low + high) / 2, high - low], -1), labels))
    return truth


def _jpeg(golden: GoldenSet, facts: Any) -> NDArray[np.uint8]:
    found = sorted((golden.folder / "real_frame").rglob(facts["image"]))
    pixels = cv2.imread(str(found[0]), cv2.IMREAD_COLOR) if found else None
    if pixels is None:
        raise GoldenError(f"{golden.folder}/real_frame: no readable {facts['image']}; restore it from the set's source")
    return np.asarray(pixels, np.uint8)


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = size
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def _batch(images: Sequence[NDArray[np.uint8]], originals: Sequence[tuple[int, int]], recipe: DetrRecipe) -> ImageBatch:
    """Return a padded batch of BGR pixels, normalised in OpenCV's float32 arithmetic as upstream does."""
    mean = np.array(recipe.images.mean, np.float32).astype(np.float64).reshape(1, -1)
    scale = 1 / np.array(recipe.images.std, np.float32).astype(np.float64).reshape(1, -1)
    sizes = [image.shape[:2] for image in images]
    padded = torch.zeros(len(images), 3, max(rows for rows, _ in sizes), max(columns for _, columns in sizes))
    padding = torch.ones(padded[:, 0].shape, dtype=torch.bool)
    for item, (image, (rows, columns)) in enumerate(zip(images, sizes, strict=True)):
        colours = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2RGB)
        cv2.multiply(cv2.subtract(colours, mean, colours), scale, colours)
        padded[item, :, :rows, :columns] = torch.from_numpy(colours.transpose(2, 0, 1))
        padding[item, :rows, :columns] = False
    scales = [(w / ow, h / oh) * 2 for (h, w), (oh, ow) in zip(sizes, originals, strict=True)]
    return ImageBatch(
        images=padded,
        padding=padding,
        sizes=torch.tensor(sizes),
        original_sizes=torch.tensor(originals),
        scales=torch.tensor(scales, dtype=torch.float32),
        ids=tuple(range(len(images))),
    )
