"""Clips are made of upstream's frames, and motion is relative to the step before, in copies."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyquaternion import Quaternion

from repro.data.can_bus import absolute_can_bus, motion, relative_can_bus
from repro.data.infos import records_from_infos
from repro.data.records import FrameRecord
from repro.data.sequences import clip_indices, clip_steps
from repro.recipe import Quirks
from repro.recipe.schema import CAMERAS

if TYPE_CHECKING:
    from pathlib import Path

HEAD = Quirks()
DUPLICATE = Quirks(broken_history="duplicate")


def step(scene: str, i: int, *, yaw: float = 30.0) -> FrameRecord:
    """Return a record at x = 10 + 2·i m, y = i m, heading `yaw` degrees."""
    return FrameRecord(
        token=f"{scene}-{i}",
        prev="",
        next="",
        scene_token=scene,
        scene_name=scene,
        frame_idx=i,
        timestamp=i,
        cameras=(),
        ego_from_lidar_translation=np.zeros(3),
        ego_from_lidar_rotation=np.array([1.0, 0, 0, 0]),
        global_from_ego_translation=np.array([10.0 + 2 * i, float(i), 0.5]),
        global_from_ego_rotation=Quaternion(axis=[0, 0, 1], degrees=yaw).elements,
        can_bus=np.arange(18.0),
        boxes=np.zeros((0, 7)),
        velocities=np.zeros((0, 2)),
        names=(),
        valid=np.zeros(0, bool),
    )


@pytest.mark.shared
def test_the_golden_training_clip_moves_as_upstream_says(shared_dir: Path) -> None:
    infos = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())
    steps = clip_steps(records_from_infos(infos, CAMERAS)[1:4], HEAD)
    with np.load(shared_dir / "golden/A/tiny_train.npz") as golden:
        np.testing.assert_allclose(np.stack([vector for _, vector, _ in steps]), golden["can_bus"], atol=1e-9)
        assert [linked for _, _, linked in steps] == golden["prev_bev_exists"].tolist()


@pytest.mark.shared
def test_absolute_vectors_are_upstreams(shared_dir: Path) -> None:
    infos = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())
    records = records_from_infos(infos, CAMERAS)
    with np.load(shared_dir / "golden/A/pipeline.npz") as golden:
        for i in (0, 1):
            ours = absolute_can_bus(records[i], orientation="w")
            np.testing.assert_allclose(ours, golden[f"tiny.can_bus_frame{i}"], atol=1e-9)


def test_pose_overwrites_position_orientation_and_yaw_only() -> None:
    record = step("a", 3, yaw=-90.0)
    vector = absolute_can_bus(record, orientation="w")
    half = math.sqrt(0.5)
    np.testing.assert_allclose(vector[:7], [16, 3, 0.5, half, half, half, half])
    np.testing.assert_array_equal(vector[7:16], np.arange(7.0, 16.0))
    assert (vector[16], vector[17]) == pytest.approx((1.5 * math.pi, 270.0))  # negative headings go once around
    proper = absolute_can_bus(record, orientation="quaternion")
    np.testing.assert_allclose(proper[3:7], [half, 0, 0, -half])
    np.testing.assert_array_equal(record.can_bus, np.arange(18.0))


def test_steps_are_relative_within_a_scene_and_start_anew_in_the_next() -> None:
    records = [step("a", 0), step("a", 1, yaw=32.0), step("b", 0, yaw=50.0), step("b", 1, yaw=49.0)]
    vectors, linked = zip(*motion(records, HEAD), strict=True)
    assert linked == (False, True, False, True)
    np.testing.assert_allclose([v[[0, 1, 2, 17]] for v in vectors], [[0] * 4, [2, 1, 0, 2], [0] * 4, [2, 1, 0, -1]])
    np.testing.assert_allclose([math.degrees(v[16]) for v in vectors], [30, 32, 50, 49])


@pytest.mark.parametrize(("quirk", "delta"), [("unwrapped", -358.0), ("wrapped", 2.0)])
def test_a_turn_past_north_is_unwrapped_upstream(quirk: str, delta: float) -> None:
    before, now = (absolute_can_bus(step("a", 0, yaw=yaw), orientation="w") for yaw in (359.0, 1.0))
    assert relative_can_bus(now, before, yaw_delta=quirk)[17] == pytest.approx(delta)


def test_the_vectors_handed_in_are_left_alone() -> None:
    before, now = np.arange(18.0), np.arange(18.0) + 5
    relative_can_bus(now, before, yaw_delta="unwrapped")
    relative_can_bus(now, None, yaw_delta="unwrapped")
    np.testing.assert_array_equal([before, now], [np.arange(18.0), np.arange(18.0) + 5])


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 1000))
def test_a_clip_is_all_but_one_of_the_frames_before_it(index: int, length: int, seed: int) -> None:
    indices = clip_indices(index, length, np.random.RandomState(seed))
    window = [max(0, i) for i in range(index - length, index)]
    assert len(indices) == length
    assert indices[-1] == index
    assert indices == sorted(indices)
    left_out = [k for k in range(length) if window[:k] + window[k + 1 :] == indices[:-1]]
    assert left_out


def test_every_earlier_frame_is_the_one_left_out_equally_often() -> None:
    rng = np.random.RandomState(0)
    dropped = [next(iter({7, 8, 9} - set(clip_indices(10, 3, rng)))) for _ in range(3000)]
    assert [dropped.count(i) / 3000 for i in (7, 8, 9)] == pytest.approx([1 / 3] * 3, abs=0.04)


def test_at_a_scene_border_history_is_dropped() -> None:
    steps = clip_steps([step("a", 38), step("b", 0), step("b", 1)], HEAD)
    assert [record.token for record, _, _ in steps] == ["a-38", "b-0", "b-1"]
    assert [linked for _, _, linked in steps] == [False, False, True]


def test_released_checkpoints_saw_the_last_valid_frame_again() -> None:
    steps = clip_steps([step("a", 38), step("b", 0), step("b", 1)], DUPLICATE)
    assert [record.token for record, _, _ in steps] == ["b-0", "b-0", "b-1"]
    assert [linked for _, _, linked in steps] == [False, True, True]
    assert [vector[0] for _, vector, _ in steps] == [0, 0, 2]


def test_a_frame_that_is_not_earlier_is_repeated_too() -> None:
    steps = clip_steps([step("a", 0), step("a", 0), step("a", 1)], DUPLICATE)
    assert [record.token for record, _, _ in steps] == ["a-0", "a-0", "a-1"]
    assert [linked for _, _, linked in steps] == [False, True, True]


def test_the_first_frames_of_a_data_set_repeat_frame_zero_without_wrong_deltas() -> None:
    # differs from upstream: there the shared array gave absolute positions as deltas (golden README, quirk 7)
    first = replace(step("a", 0))
    steps = clip_steps([first, first, step("a", 1)], HEAD)
    assert [vector[0] for _, vector, _ in steps] == [0, 0, 2]
