"""Quirk 22 from data set to BEV: what a clip does at a scene border, today and when the checkpoints were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from repro.data import NuScenesIndex, open_nuscenes
from repro.data.dataset import FrameLoader, TrainClips
from repro.models.bevformer import BEVFormer, history_of
from repro.recipe import Quirks, load_recipe
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import COLUMNS, ROWS, VERSION
from tests.models import tiny_world as world

if TYPE_CHECKING:
    from pathlib import Path

    from repro.tensors import Clip

HEAD = Quirks()
RELEASED = HEAD.released()
LAST = 5  # the key frame that clips end with: the second of its scene, whose first is 4


@pytest.fixture(scope="module")
def index(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> NuScenesIndex:
    return open_nuscenes(small_root, VERSION, tmp_path_factory.mktemp("cache"), channels=CAMERAS)


@pytest.fixture(scope="module")
def model() -> BEVFormer:
    """Return a small model for six cameras whose history matters: its attention looks somewhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = BEVFormer(world.settings(world.UPSTREAM), cameras=len(CAMERAS), classes=world.CLASSES)
        with torch.no_grad():
            for name, parameter in built.named_parameters():
                if "sampling_offsets.weight" in name or "attention_weights.weight" in name:
                    parameter.normal_(std=0.1)
    return built.eval()


def clips(index: NuScenesIndex, small_root: Path, quirks: Quirks, *, epoch: int = 0) -> TrainClips:
    """Return the training clips of the tiny recipe at the small images' size."""
    tiny = load_recipe("bevformer_tiny")
    images = tiny.images.model_copy(update={"raw_size": (ROWS, COLUMNS)})
    model = tiny.model.model_copy(update={"quirks": quirks})
    recipe = tiny.model_copy(update={"images": images, "model": model})
    return TrainClips(index, FrameLoader(small_root, recipe), seed=0, epoch=epoch)


def clip_of(index: NuScenesIndex, small_root: Path, quirks: Quirks, *, left_out: int) -> Clip:
    """Return the clip that ends with frame 5 and leaves out one of the frames 2, 3 (other scene) and 4."""
    wanted = [index[i].token for i in (2, 3, 4) if i != left_out]
    for epoch in range(40):  # which frame is left out depends on nothing but (seed, epoch, index)
        if tokens_of(clips(index, small_root, HEAD, epoch=epoch)[LAST])[:-1] == wanted:
            return clips(index, small_root, quirks, epoch=epoch)[LAST]
    raise AssertionError(f"frame {left_out} was never the one left out in 40 epochs")


def tokens_of(clip: Clip) -> list[str]:
    return [token for frame in clip.frames for token in frame.tokens]


def linked_of(clip: Clip) -> list[bool]:
    return [bool(frame.has_history) for frame in clip.frames]


def test_the_border_lies_where_these_tests_think(index: NuScenesIndex) -> None:
    scenes = [index[i].scene_token for i in (2, 3, 4, 5)]
    assert scenes[0] == scenes[1] != scenes[2] == scenes[3]


def test_drop_keeps_the_other_scenes_frames_and_cuts_the_history_at_the_border(
    index: NuScenesIndex, small_root: Path
) -> None:
    early = clip_of(index, small_root, HEAD, left_out=2)
    assert tokens_of(early) == [index[i].token for i in (3, 4, 5)]
    assert linked_of(early) == [False, False, True]
    late = clip_of(index, small_root, HEAD, left_out=4)
    assert tokens_of(late) == [index[i].token for i in (2, 3, 5)]
    assert linked_of(late) == [False, True, False]
    assert not late.frames[-1].can_bus[0, [0, 1, 2, 17]].any()


def test_duplicate_shows_the_oldest_frame_of_the_own_scene_once_more_standing_still(
    index: NuScenesIndex, small_root: Path
) -> None:
    early = clip_of(index, small_root, RELEASED, left_out=2)
    assert tokens_of(early) == [index[i].token for i in (4, 4, 5)]
    assert linked_of(early) == [False, True, True]
    assert not early.frames[1].can_bus[0, [0, 1, 2, 17]].any()
    assert torch.equal(early.frames[0].images, early.frames[1].images)  # one draw of colours for both
    moved = early.frames[2].can_bus[0, :3]
    np.testing.assert_allclose(float(moved.norm()), 3.0, atol=0.2)  # from frame 4, not from another scene


def test_duplicate_may_leave_nothing_but_the_current_frame(index: NuScenesIndex, small_root: Path) -> None:
    late = clip_of(index, small_root, RELEASED, left_out=4)
    assert tokens_of(late) == [index[LAST].token] * 3
    assert linked_of(late) == [False, True, True]
    assert all(torch.equal(frame.images, late.frames[0].images) for frame in late.frames)
    assert not torch.cat([frame.can_bus[:, [0, 1, 2, 17]] for frame in late.frames]).any()


def test_away_from_borders_both_make_the_same_clip(index: NuScenesIndex, small_root: Path) -> None:
    head, released = (clips(index, small_root, quirks)[3] for quirks in (HEAD, RELEASED))
    assert tokens_of(head) == tokens_of(released)
    assert linked_of(head) == linked_of(released) == [False, True, True]
    for one, other in zip(head.frames, released.frames, strict=True):
        assert torch.equal(one.can_bus, other.can_bus)
        assert torch.equal(one.images, other.images)


@torch.no_grad()
def test_drop_trains_the_frame_after_a_border_as_a_first_frame(
    index: NuScenesIndex, small_root: Path, model: BEVFormer
) -> None:
    late = clip_of(index, small_root, HEAD, left_out=4)
    history, current = history_of(model, late.frames[:-1]), late.frames[-1]
    assert history is not None
    assert torch.equal(model(current, history).bev, model(current, None).bev)
    early = clip_of(index, small_root, HEAD, left_out=2)
    history = history_of(model, early.frames[:-1])
    assert history is not None
    torch.testing.assert_close(history, model(early.frames[1], None).bev)  # frame 3 left nothing behind


@torch.no_grad()
def test_duplicate_always_trains_with_a_history_of_the_own_scene(
    index: NuScenesIndex, small_root: Path, model: BEVFormer
) -> None:
    for left_out in (2, 4):
        clip = clip_of(index, small_root, RELEASED, left_out=left_out)
        history = history_of(model, clip.frames[:-1])
        assert history is not None
        first = model(clip.frames[0], None).bev
        torch.testing.assert_close(history, model(clip.frames[1], first).bev)  # the second look remembers the first
        assert (history - first).abs().max() > 1e-3
        assert (model(clip.frames[-1], history).bev - model(clip.frames[-1], None).bev).abs().max() > 1e-3
