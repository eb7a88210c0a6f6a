"""From annotation files and images to padded batches, and what is said of an image that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from repro.data.coco import CocoSplit, open_annotations
from repro.data.coco.dataset import (
    TestImages,
    TrainImages,
    centred,
    collate_examples,
    collate_images,
    prepared_image,
    read_image,
)
from repro.data.records import DataError
from repro.recipe import DetrRecipe, load_detr_recipe

if TYPE_CHECKING:
    from pathlib import Path

NANO = load_detr_recipe("deformable_detr_nano")


@pytest.fixture
def split(synth_coco: Path, tmp_path: Path) -> CocoSplit:
    index = open_annotations(synth_coco / "annotations" / "instances_train2017.json", tmp_path)
    return CocoSplit(index, synth_coco / "train2017")


def test_padding_marks_everything_but_the_images(split: CocoSplit) -> None:
    images = TestImages(split, [0, 1], NANO)
    batch = collate_images([images[0], images[1]])
    assert batch.sizes.tolist() == [[128, 171], [171, 128]]
    assert batch.original_sizes.tolist() == [[192, 256], [256, 192]]
    assert batch.images.shape == (2, 3, 171, 171)
    assert not batch.images[batch.padding[:, None].expand_as(batch.images)].any()
    assert (~batch.padding).sum((1, 2)).tolist() == [128 * 171, 128 * 171]
    assert batch.padding[0, 128:].all()
    assert batch.padding[1, :, 128:].all()
    assert batch.scales[0].tolist() == pytest.approx([171 / 256, 128 / 192] * 2)


def test_pixels_are_rgb_minus_mean_over_deviation() -> None:
    blue = np.zeros((128, 128, 3), np.uint8)
    blue[..., 0] = 255
    batch = prepared_image(blue, 5, NANO.images)
    expected = (torch.tensor([0.0, 0.0, 255.0]) - torch.tensor(NANO.images.mean)) / torch.tensor(NANO.images.std)
    torch.testing.assert_close(batch.images[0, :, 64, 64], expected)
    assert batch.ids == (5,)


def test_boxes_are_centred_fractions_of_the_unpadded_image(split: CocoSplit) -> None:
    example = TrainImages(split, NANO, seed=0, epoch=0)[0]
    (truth,) = example.truth
    image = split.index[0]
    x, y, w, h = image.boxes[~image.crowds].T
    expected = np.stack([(x + w / 2) / 256, (y + h / 2) / 192, w / 256, h / 192], 1)
    assert torch.allclose(truth.boxes.double(), torch.from_numpy(expected), atol=1e-6)
    assert len(truth.labels) == len(truth.boxes) > 0
    assert example.images.ids == (image.id,)


def test_an_image_without_boxes_has_an_empty_truth(split: CocoSplit) -> None:
    (truth,) = TrainImages(split, NANO, seed=0, epoch=0)[6].truth
    assert truth.boxes.shape == (0, 4)
    assert truth.labels.dtype == torch.int64


def test_workers_change_nothing(split: CocoSplit) -> None:
    augment = NANO.augment.model_copy(update={"flip": 0.5, "short_sides": (96, 128)})
    recipe = NANO.model_copy(update={"augment": augment})
    images = TrainImages(split, recipe, seed=1, epoch=2)
    alone, helped = (
        [
            example.images
            for example in DataLoader(images, batch_size=2, collate_fn=collate_examples, num_workers=workers)
        ]
        for workers in (0, 1)
    )
    assert all(torch.equal(one.images, other.images) for one, other in zip(alone, helped, strict=True))
    other_epoch = TrainImages(split, recipe, seed=1, epoch=3)
    assert any(not torch.equal(images[i].images.images, other_epoch[i].images.images) for i in range(4))


def test_the_pil_resize_is_that_of_pil() -> None:
    from PIL import Image  # noqa: PLC0415 — only here

    original = load_detr_recipe("deformable_detr_original")
    settings = original.images.model_copy(update={"short_side": 40, "long_side": 100})
    pixels = np.random.RandomState(0).randint(0, 256, (80, 120, 3)).astype(np.uint8)
    batch = prepared_image(pixels, 1, settings)
    rgb = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).resize((60, 40), Image.Resampling.BILINEAR)
    expected = (torch.from_numpy(np.asarray(rgb).copy()).float() - torch.tensor(settings.mean)) / torch.tensor(
        settings.std
    )
    torch.testing.assert_close(batch.images[0], expected.permute(2, 0, 1), atol=1e-5, rtol=0)


def test_centres_and_sizes_of_corners() -> None:
    assert centred(np.array([[10, 20, 30, 60]], np.float32), (100, 200)).tolist() == [
        pytest.approx([0.1, 0.4, 0.1, 0.4])
    ]


def test_grey_images_get_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.jpg"), np.full((20, 30), 90, np.uint8))
    pixels = read_image(tmp_path / "grey.jpg", (20, 30))
    assert pixels.shape == (20, 30, 3)
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory; extract the archive that holds it again \\(train2017.zip\\)"),
        (b"", "cut short after 0 bytes"),
        (b"\xff\xd8 half", "cut short after 7 bytes"),
        (b"not an image\xff\xd9", "not a readable image \\(14 bytes\\)"),
    ],
)
def test_a_bad_image_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "train2017" / "1.jpg"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_image(path, (20, 30))


def test_an_image_of_another_size_than_annotated_is_refused(synth_coco: Path, split: CocoSplit) -> None:
    with pytest.raises(DataError, match=r"\[192, 256\] pixels; its annotations say \[20, 30\]"):
        read_image(synth_coco / "train2017" / split.index[0].file_name, (20, 30))


def test_recipes_of_the_original_number_labels_by_category(split: CocoSplit) -> None:
    recipe: DetrRecipe = NANO.model_copy(update={"data": NANO.data.model_copy(update={"labels": "category_id"})})
    (by_category,) = TrainImages(split, recipe, seed=0, epoch=0)[0].truth
    (in_order,) = TrainImages(split, NANO, seed=0, epoch=0)[0].truth
    assert sorted(by_category.labels.tolist()) == sorted(split.index[0].categories[~split.index[0].crowds].tolist())
    assert by_category.labels.tolist() != in_order.labels.tolist()
