"""The control of the learning proof: what is seen never fits the boxes, and nothing else is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from repro.bench.learning import Mismatched, learning_recipe
from repro.data import open_nuscenes
from repro.recipe import load_recipe
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path


def test_every_sample_gets_the_pictures_of_another_and_keeps_its_boxes_and_cameras(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    plain = open_nuscenes(root, VERSION, tmp_path, channels=CAMERAS).split("mini_train")
    turned = Mismatched(plain)
    assert len(turned) == len(plain) == 4
    for position in range(4):
        mine, theirs = plain[position], turned[position]
        assert np.array_equal(mine.boxes, theirs.boxes)
        assert mine.names == theirs.names
        for camera, other in zip(mine.cameras, theirs.cameras, strict=True):
            assert camera.path != other.path
            assert camera.channel == other.channel
            assert np.array_equal(camera.intrinsic, other.intrinsic)
    assert turned.tokens == plain.tokens
    paths = {camera.path for position in range(4) for camera in turned[position].cameras}
    assert len(paths) == 24  # each picture is used once


def test_the_proof_trains_nano_as_its_recipe_says_but_for_what_the_results_name() -> None:
    ours, nano = learning_recipe(5, epochs=2), load_recipe("bevformer_nano")
    assert (ours.train.seed, ours.schedule.epochs) == (5, 2)
    assert ours.model.encoder == nano.model.encoder
    assert ours.optimizer.lr == nano.optimizer.lr
    rows, columns = ours.feature_sizes[0]
    assert (rows, columns) == (8, 16)
