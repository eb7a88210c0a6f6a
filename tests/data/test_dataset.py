"""Frames and clips have the shapes and values that the model expects, in any worker, and repeat under a seed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.utils.data import Subset as Chosen

from repro.data import DataError, NuScenesIndex, open_nuscenes
from repro.data.dataset import (
    EvalFrames,
    FrameLoader,
    TrainClips,
    annotated,
    collate_clips,
    collate_frames,
    ground_truth,
)
from repro.data.infos import records_from_infos
from repro.data.loading import batches_from
from repro.recipe import Recipe, load_recipe
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import COLUMNS, ROWS, VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data import Subset
    from repro.data.records import FrameRecord


@pytest.fixture(scope="module")
def index(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> NuScenesIndex:
    return open_nuscenes(small_root, VERSION, tmp_path_factory.mktemp("cache"), channels=CAMERAS)


@pytest.fixture(scope="module")
def train(index: NuScenesIndex) -> Subset:
    return index.split("mini_train")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    tiny = load_recipe("bevformer_tiny")
    return tiny.model_copy(update={"images": tiny.images.model_copy(update={"raw_size": (ROWS, COLUMNS)})})


@pytest.fixture(scope="module")
def loader(small_root: Path, recipe: Recipe) -> FrameLoader:
    return FrameLoader(small_root, recipe)


def with_quirks(recipe: Recipe, **quirks: str) -> Recipe:
    model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.model_copy(update=quirks)})
    return recipe.model_copy(update={"model": model})


def golden_record(shared_dir: Path) -> FrameRecord:
    infos = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())
    return records_from_infos(infos, CAMERAS)[0]


@pytest.mark.shared
def test_training_boxes_are_upstreams(shared_dir: Path, recipe: Recipe) -> None:
    record = golden_record(shared_dir)
    valid, kept = annotated(record, recipe.data.classes), ground_truth(record, recipe)
    with np.load(shared_dir / "golden/A/gt.npz") as golden:
        np.testing.assert_array_equal(valid.labels, golden["ann_labels"])
        np.testing.assert_array_equal(kept.labels, golden["gt_labels"])
        np.testing.assert_array_equal(valid.boxes[:, 3:], golden["ann_boxes"][:, 3:])
        np.testing.assert_array_equal(kept.boxes[:, 3:], golden["gt_boxes"][:, 3:])
        # upstream goes to the bottom centre and back in float32
        np.testing.assert_allclose(kept.boxes[:, :3], golden["gt_gravity_center"], atol=1e-6)


@pytest.mark.shared
def test_projections_are_upstreams(shared_dir: Path) -> None:
    loader = FrameLoader(shared_dir / "golden/A/real_frame", load_recipe("bevformer_tiny"))
    frame = loader.load(golden_record(shared_dir), np.zeros(18), has_history=False)
    with np.load(shared_dir / "golden/A/pipeline.npz") as golden:
        np.testing.assert_allclose(frame.img_from_lidar[0], golden["tiny.lidar2img"], rtol=1e-9, atol=1e-9)
    assert frame.image_size == (480, 800)


def test_training_sees_valid_boxes_of_the_ten_classes_only(train: Subset, recipe: Recipe) -> None:
    truth = ground_truth(train[1], recipe)  # the animal has no class, the barrier no point
    assert truth.labels.tolist() == [0, 8]
    assert truth.boxes.shape == (2, 9)
    assert truth.boxes.dtype == torch.float32
    assert annotated(train[1], recipe.data.classes).labels.tolist() == [0, 8, -1]


def test_unknown_velocities_are_zero(index: NuScenesIndex, recipe: Recipe) -> None:
    record = index[0]
    record.velocities[:] = np.nan
    assert not annotated(record, recipe.data.classes).boxes[:, 7:].any()
    assert np.isnan(record.velocities).all()


def test_a_box_on_the_border_is_outside(index: NuScenesIndex, recipe: Recipe) -> None:
    record = index[0]
    record.boxes[0, :2], record.boxes[1, :2] = (51.2, 0.0), (51.19, 0.0)
    assert ground_truth(record, recipe).labels.tolist() == [8]


def test_evaluation_frames_know_their_motion_within_their_own_chunk(index: NuScenesIndex, loader: FrameLoader) -> None:
    frames = EvalFrames(index, [1, 2, 3, 4, 5], loader)
    items = [frames[i] for i in range(len(frames))]
    assert [bool(frame.has_history) for frame in items] == [False, True, True, False, True]
    assert items[0].can_bus.shape == (1, 18)
    assert items[0].can_bus.dtype == torch.float64
    np.testing.assert_allclose([float(f.can_bus[0, 0]) for f in items], [0, 3, 3, 0, 3], atol=0.02)
    # the heading passes 0° between the first two: quirk 9
    np.testing.assert_allclose([float(f.can_bus[0, 17]) for f in items][1:3], [-358, 2], atol=0.01)
    assert items[0].images.shape == (1, 6, 3, 64, 96)
    assert items[0].images.dtype == torch.float32
    assert items[0].img_from_lidar.dtype == torch.float64


def test_without_history_every_frame_stands_alone(index: NuScenesIndex, small_root: Path, recipe: Recipe) -> None:
    alone = recipe.model_copy(update={"model": recipe.model.model_copy(update={"use_history": False})})
    frame = EvalFrames(index, [0, 1, 2], FrameLoader(small_root, alone))[2]
    assert not frame.has_history
    assert frame.can_bus[0, [0, 1, 2, 17]].tolist() == [0, 0, 0, 0]


def test_a_clip_has_its_frames_oldest_first_and_the_truth_of_the_last(train: Subset, loader: FrameLoader) -> None:
    clip = TrainClips(train, loader, seed=0, epoch=0)[3]
    assert len(clip.frames) == 3
    tokens = [frame.tokens[0] for frame in clip.frames]
    assert tokens == sorted(tokens)
    assert tokens[-1] == "scene-0061-3"
    assert [bool(frame.has_history) for frame in clip.frames] == [False, True, True]
    torch.testing.assert_close(clip.truth[0].boxes, ground_truth(train[3], loader.recipe).boxes)


def test_a_clip_is_a_function_of_seed_epoch_and_index(train: Subset, loader: FrameLoader) -> None:
    def pixels(seed: int, epoch: int, index: int) -> torch.Tensor:
        return TrainClips(train, loader, seed=seed, epoch=epoch)[index].frames[-1].images

    torch.testing.assert_close(pixels(0, 0, 2), pixels(0, 0, 2), rtol=0, atol=0)
    assert not torch.equal(pixels(0, 0, 2), pixels(0, 1, 2))
    assert not torch.equal(pixels(0, 0, 2), pixels(1, 0, 2))


def test_workers_give_the_same_clips_as_the_main_process(train: Subset, loader: FrameLoader) -> None:
    clips = TrainClips(train, loader, seed=0, epoch=0)
    chosen = Chosen(clips, [3, 1, 2, 0])
    here = batches_from(chosen, collate_clips, batch=2, workers=0)
    there = batches_from(chosen, collate_clips, batch=2, workers=2)
    for one, other in zip(here, there, strict=True):
        assert [frame.tokens for frame in one.frames] == [frame.tokens for frame in other.frames]
        for mine, theirs in zip(one.frames, other.frames, strict=True):
            assert mine.images.shape == (2, 6, 3, 64, 96)
            torch.testing.assert_close(mine.images, theirs.images, rtol=0, atol=0)
            torch.testing.assert_close(mine.can_bus, theirs.can_bus, rtol=0, atol=0)


def test_without_colours_to_distort_a_clip_shows_what_evaluation_sees(
    train: Subset, small_root: Path, recipe: Recipe
) -> None:
    plain = FrameLoader(
        small_root, recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"photometric": None})})
    )
    clip = TrainClips(train, plain, seed=0, epoch=0)[3]
    torch.testing.assert_close(clip.frames[-1].images, EvalFrames(train, [3], plain)[0].images, rtol=0, atol=0)


def test_a_repeated_frame_shows_the_same_colours_where_the_released_checkpoints_did(
    train: Subset, small_root: Path, recipe: Recipe
) -> None:
    released = FrameLoader(small_root, with_quirks(recipe, broken_history="duplicate"))
    first, second, _ = TrainClips(train, released, seed=0, epoch=0)[1].frames  # frames -2, -1 and 0 before it
    assert first.tokens == second.tokens == ("scene-0061-0",)
    assert torch.equal(first.images, second.images)
    assert (bool(first.has_history), bool(second.has_history)) == (False, True)
    head = FrameLoader(small_root, recipe)
    first, second, _ = TrainClips(train, head, seed=0, epoch=0)[1].frames
    assert not torch.equal(first.images, second.images)


class Listed:
    """Records in a list, as the data sets take them."""

    def __init__(self, records: list[FrameRecord]) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> FrameRecord:
        return self.records[index]


def test_a_clip_with_an_empty_frame_is_replaced_by_another(train: Subset, loader: FrameLoader) -> None:
    records = [train[i] for i in range(4)]
    records[3].valid[:] = False
    clips = TrainClips(Listed(records), loader, seed=0, epoch=0)
    assert clips[3].frames[-1].tokens != ("scene-0061-3",)


def test_a_data_set_without_any_truth_says_so(train: Subset, loader: FrameLoader) -> None:
    records = [train[i] for i in range(2)]
    for record in records:
        record.valid[:] = False
    with pytest.raises(
        DataError, match=r"1000 samples in a row have a frame without a box of the ten classes in range; is this"
    ):
        TrainClips(Listed(records), loader, seed=0, epoch=0)[0]


def test_a_truncated_image_ends_loading_with_its_name(tmp_path: Path, recipe: Recipe) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    index = open_nuscenes(root, VERSION, tmp_path, channels=CAMERAS)
    victim = root / "samples/CAM_BACK/scene-0061-1.jpg"
    victim.write_bytes(victim.read_bytes()[:500])
    with pytest.raises(DataError, match=r"CAM_BACK/scene-0061-1\.jpg: cut short after 500 bytes"):
        EvalFrames(index, [0, 1], FrameLoader(root, recipe))[1]


def test_frames_are_collated_along_the_batch(index: NuScenesIndex, loader: FrameLoader) -> None:
    frames = EvalFrames(index, [0, 1], loader)
    both = collate_frames([frames[0], frames[1]])
    assert both.tokens == ("scene-0061-0", "scene-0061-1")
    assert both.images.shape[0] == both.can_bus.shape[0] == both.img_from_lidar.shape[0] == 2
    assert both.has_history.tolist() == [False, True]
