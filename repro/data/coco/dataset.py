"""COCO images as torch data sets: index and image files in, batches with the shapes of `tensors.py` out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from repro.data.coco.annotations import truth_of
from repro.data.coco.transforms import Annotated, augment, resize
from repro.data.images import END_OF_IMAGE, normalised
from repro.data.records import DataError
from repro.tensors import ImageBatch, ImageTruth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data.coco.annotations import CocoImage, CocoIndex
    from repro.recipe import DetrRecipe
    from repro.recipe.deformable_detr import CocoImages

NO_BOXES = np.zeros((0, 4), np.float32)
NO_LABELS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Examples:
    """Training images and their ground truth, one entry an image."""

    images: ImageBatch
    truth: tuple[ImageTruth, ...]

    def to(self, device: str) -> Examples:
        """Return the examples with their tensors on `device`."""
        return Examples(self.images.to(device), tuple(entry.to(device) for entry in self.truth))


@dataclass(frozen=True, slots=True)
class CocoSplit:
    """The images of one split: their index, and the folder that holds their files."""

    index: CocoIndex
    folder: Path

    def pixels(self, image: CocoImage) -> NDArray[np.uint8]:
        """Return the BGR pixels [h, w, 3] of an image. Raises DataError."""
        return read_image(self.folder / image.file_name, (image.height, image.width))


class TestImages(Dataset[ImageBatch]):
    """Images for inference, one a batch (spec §B.1)."""

    __test__ = False  # pytest: no test class

    def __init__(self, split: CocoSplit, order: Sequence[int], recipe: DetrRecipe) -> None:
        self._split, self._order, self._recipe = split, list(order), recipe

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, item: int) -> ImageBatch:
        image = self._split.index[self._order[item]]
        return prepared_image(self._split.pixels(image), image.id, self._recipe.images)


class TrainImages(Dataset[Examples]):
    """Training images with their boxes; what is random about one is a function of (seed, epoch, index)."""

    def __init__(self, split: CocoSplit, recipe: DetrRecipe, *, seed: int, epoch: int) -> None:
        self._split, self._recipe, self._seed, self._epoch = split, recipe, seed, epoch

    def __len__(self) -> int:
        return len(self._split.index)

    def __getitem__(self, index: int) -> Examples:
        recipe, image = self._recipe, self._split.index[index]
        rng = np.random.RandomState(np.random.SeedSequence((self._seed, self._epoch, index)).generate_state(4))
        boxes, labels = truth_of(image, recipe.data.labels)
        seen = Annotated(pixels=self._split.pixels(image), boxes=boxes, labels=labels, scale=np.ones(4, np.float32))
        seen = augment(seen, recipe.augment, recipe.images.resize, rng)
        truth = ImageTruth(torch.from_numpy(centred(seen.boxes, seen.size)), torch.from_numpy(seen.labels))
        return Examples(batch_of(seen, (image.height, image.width), image.id, recipe.images), (truth,))


def prepared_image(pixels: NDArray[np.uint8], image_id: int, settings: CocoImages) -> ImageBatch:
    """Return a batch of one, resized and normalised without augmentation, of BGR pixels [h, w, 3] (spec §B.1)."""
    image = plain_image(pixels)
    resized = resize(image, short=settings.short_side, long=settings.long_side, how=settings.resize)
    return batch_of(resized, image.size, image_id, settings)


def plain_image(pixels: NDArray[np.uint8]) -> Annotated:
    """Return an image in which nothing is annotated, of BGR pixels [h, w, 3]."""
    return Annotated(pixels=pixels, boxes=NO_BOXES, labels=NO_LABELS, scale=np.ones(4, np.float32))


def read_image(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the BGR pixels [h, w, 3] of an image file of `size` (rows, columns); grey ones get three channels.

    Raises DataError when the file is missing, cut short, no image, or of another size than its annotations say.
    """
    again = f"extract the archive that holds it again ({path.parent.name}.zip)"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {again}") from error
    if path.suffix.lower() in {".jpg", ".jpeg"} and END_OF_IMAGE not in data[-4096:]:
        raise DataError(f"{path}: cut short after {len(data)} bytes (no end-of-image marker); {again}")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise DataError(f"{path}: not a readable image ({len(data)} bytes); {again}")
    if pixels.shape[:2] != size:
        raise DataError(f"{path}: {list(pixels.shape[:2])} pixels; its annotations say {list(size)}; {again}")
    return np.asarray(pixels, np.uint8)


def centred(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return centre x, y, width, height in 0..1 [G, 4] of corners [G, 4] in an image of `size` rows, columns."""
    rows, columns = size
    x1, y1, x2, y2 = boxes.T
    centred_boxes = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
    return np.asarray(centred_boxes / np.array([columns, rows] * 2, np.float32), np.float32)


def collate_images(batches: Sequence[ImageBatch]) -> ImageBatch:
    """Return one batch of all images, padded right and bottom with zeros to the largest (spec §B.1)."""
    rows = max(batch.images.shape[-2] for batch in batches)
    columns = max(batch.images.shape[-1] for batch in batches)
    images = torch.zeros(len(batches), 3, rows, columns)
    padding = torch.ones(len(batches), rows, columns, dtype=torch.bool)
    for i, batch in enumerate(batches):
        h, w = batch.images.shape[-2:]
        images[i, :, :h, :w] = batch.images[0]
        padding[i, :h, :w] = False
    return ImageBatch(
        images=images,
        padding=padding,
        sizes=torch.cat([batch.sizes for batch in batches]),
        original_sizes=torch.cat([batch.original_sizes for batch in batches]),
        scales=torch.cat([batch.scales for batch in batches]),
        ids=tuple(id_ for batch in batches for id_ in batch.ids),
    )


def collate_examples(examples: Sequence[Examples]) -> Examples:
    """Return one batch of all images, and their ground truth, one entry an image."""
    truth = tuple(entry for example in examples for entry in example.truth)
    return Examples(collate_images([example.images for example in examples]), truth)


def batch_of(image: Annotated, original: tuple[int, int], image_id: int, settings: CocoImages) -> ImageBatch:
    """Return a batch of one, normalised, of an image as it is; `original` are rows and columns of its file."""
    pixels = np.ascontiguousarray(normalised(image.pixels, settings).transpose(2, 0, 1))
    return ImageBatch(
        images=torch.from_numpy(pixels)[None],
        padding=torch.zeros(1, *image.size, dtype=torch.bool),
        sizes=torch.tensor([image.size]),
        original_sizes=torch.tensor([original]),
        scales=torch.from_numpy(image.scale)[None],
        ids=(image_id,),
    )
