"""The batches of the Deformable DETR cases: the golden JPEG as at test time, and two small images of it to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from repro.data.coco.dataset import batch_of, collate_images, plain_image, prepared_image
from repro.data.coco.transforms import resized_to
from repro.parity.golden import GoldenError
from repro.tensors import ImageTruth

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import DetrRecipe
    from repro.tensors import ImageBatch

TRAIN_SIZES = ((288, 512), (352, 352))  # rows, columns: the golden JSON says so in words ("train_batch")
SQUARE = 900  # pixels of the JPEG that the second training image is made of


def whole_image(golden: GoldenSet, facts: Any, recipe: DetrRecipe) -> ImageBatch:
    """Return the whole JPEG, resized as at test time."""
    return prepared_image(_jpeg(golden, facts), 0, recipe.images)


def train_batch(golden: GoldenSet, facts: Any, recipe: DetrRecipe) -> ImageBatch:
    """Return two images of different size: the JPEG made small, and its left square made small."""
    pixels = _jpeg(golden, facts)
    batches = []
    for number, (source, size) in enumerate(zip((pixels, pixels[:SQUARE, :SQUARE]), TRAIN_SIZES, strict=True)):
        image = plain_image(source)
        small = resized_to(image, size, recipe.images.resize)
        batches.append(batch_of(small, image.size, number, recipe.images))
    return collate_images(batches)


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
