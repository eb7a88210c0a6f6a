"""Rotations, yaws and projections agree with pyquaternion and with points followed by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nuscenes.eval.common.utils import quaternion_yaw
from pyquaternion import Quaternion

from repro.data.geometry import camera_from_lidar, img_from_lidar, quaternion_product, rotation_of, wrapped, yaw_of
from repro.data.records import CameraRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda parts: np.linalg.norm(parts) > 0.1)
QUATERNIONS = PARTS.map(np.array)


@given(QUATERNIONS)
def test_rotation_matrices_are_pyquaternions(quaternion: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(rotation_of(quaternion), Quaternion(quaternion).rotation_matrix, atol=1e-12)


@given(QUATERNIONS, QUATERNIONS)
def test_products_turn_by_the_right_one_first(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(quaternion_product(a, b), (Quaternion(a) * Quaternion(b)).elements, atol=1e-12)
    np.testing.assert_allclose(rotation_of(quaternion_product(a, b)), rotation_of(a) @ rotation_of(b), atol=1e-9)


@given(QUATERNIONS)
def test_the_yaw_is_the_devkits(quaternion: NDArray[np.float64]) -> None:
    difference = yaw_of(quaternion) - quaternion_yaw(Quaternion(quaternion))
    forward = rotation_of(quaternion)[:2, 0]
    if np.linalg.norm(forward) > 1e-6:  # straight up has no heading
        assert math.remainder(difference, 2 * math.pi) == pytest.approx(0, abs=1e-6)


@given(st.floats(-50, 50, width=32))
def test_wrapped_angles_are_the_same_direction_within_half_a_turn(angle: float) -> None:
    inside = float(wrapped(np.array([angle], np.float32))[0])
    assert abs(inside) <= math.pi + 1e-5
    assert math.remainder(inside - angle, 2 * math.pi) == pytest.approx(0, abs=2e-5)  # float32 of 16 half turns


def camera() -> CameraRecord:
    """Return a camera 1 m ahead of the LiDAR that looks along +y, focal length 100 px, centre (80, 45)."""
    return CameraRecord(
        channel="CAM_FRONT",
        path="",
        timestamp=0,
        intrinsic=np.array([[100.0, 0, 80], [0, 100, 45], [0, 0, 1]]),
        lidar_from_camera_rotation=np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        lidar_from_camera_translation=np.array([0.0, 1.0, 0.0]),
    )


def test_a_point_ahead_lands_where_the_pinhole_says() -> None:
    point = np.array([2.0, 11.0, 1.0, 1.0])  # 10 m before the camera, 2 m right, 1 m up
    np.testing.assert_allclose(camera_from_lidar(camera()) @ point, [2, -1, 10, 1], atol=1e-12)
    u, v, depth, one = img_from_lidar(camera(), 1.0) @ point
    assert (u / depth, v / depth, depth, one) == pytest.approx((100, 35, 10, 1))


def test_half_the_image_has_half_the_pixels() -> None:
    point = np.array([2.0, 11.0, 1.0, 1.0])
    u, v, depth, _ = img_from_lidar(camera(), 0.5) @ point
    assert (u / depth, v / depth, depth) == pytest.approx((50, 17.5, 10))
