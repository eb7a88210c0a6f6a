"""A frame folder is read as the frame it came from, and every mistake in it is named."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repro.data import DataError, open_nuscenes
from repro.recipe.schema import CAMERAS
from repro.single.calibration import FILE, calibration_of, read_calibration, read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.data.records import FrameRecord

DOCS = Path(__file__).resolve().parents[2] / "docs" / "single_frame.md"
POSE = {"translation": [0.0, 0.0, 1.5], "rotation": [0.5, -0.5, 0.5, -0.5]}
CAMERA = {"image": "a.jpg", "intrinsic": [[1266.0, 0, 816], [0, 1266.0, 491], [0, 0, 1]], "ego_from_camera": POSE}
WHOLE: dict[str, Any] = {"schema_version": 1, "cameras": dict.fromkeys(CAMERAS, CAMERA), "ego_from_lidar": POSE}


@pytest.fixture(scope="module")
def record(synth_root: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameRecord:
    return open_nuscenes(synth_root, "v1.0-mini", tmp_path_factory.mktemp("index"), channels=CAMERAS)[1]


def test_a_frame_written_and_read_projects_as_it_did(synth_root: Path, record: FrameRecord, tmp_path: Path) -> None:
    write_frame(tmp_path, record, synth_root)
    read = read_frame(tmp_path, CAMERAS)
    assert read.token == record.token
    for there, here in zip(record.cameras, read.cameras, strict=True):
        assert there.channel == here.channel
        assert (tmp_path / here.path).read_bytes() == (synth_root / there.path).read_bytes()
        for name in ("intrinsic", "lidar_from_camera_rotation", "lidar_from_camera_translation"):
            np.testing.assert_allclose(getattr(here, name), getattr(there, name), atol=1e-9)
    for name in ("ego_from_lidar_rotation", "global_from_ego_translation", "global_from_ego_rotation", "can_bus"):
        np.testing.assert_array_equal(getattr(read, name), getattr(record, name))


def test_a_frame_without_poses_of_the_car_stands_at_the_origin(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(WHOLE))
    read = read_frame(tmp_path, CAMERAS)
    np.testing.assert_array_equal(read.global_from_ego_translation, np.zeros(3))
    np.testing.assert_allclose(read.cameras[0].lidar_from_camera_rotation, np.eye(3), atol=1e-12)  # same pose
    assert read.token == "frame"  # noqa: S105 — a sample's name


def test_the_calibration_in_the_documentation_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    document = json.loads(example)
    document["cameras"] = dict.fromkeys(CAMERAS, document["cameras"]["CAM_FRONT"])
    (tmp_path / FILE).write_text(json.dumps(document))
    assert read_frame(tmp_path, CAMERAS).cameras[5].path == "front.jpg"


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: whole["cameras"].pop(name)


def with_camera(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: whole["cameras"]["CAM_BACK"].update({key: value})


@pytest.mark.parametrize(
    ("damage", "answer"),
    [
        (without("CAM_BACK"), "no camera CAM_BACK; expected all of CAM_FRONT, CAM_FRONT_RIGHT"),
        (lambda w: w["cameras"].update(cam_bakc=CAMERA), 'unknown camera "cam_bakc"; did you mean "CAM_BACK"?'),
        (with_camera("intrinsic", [[1.0, 0.0], [0.0, 1.0]]), "cameras.CAM_BACK.intrinsic: 2×2; expected 3×3"),
        (with_camera("intrinsic", [[1266, 0, 816, 0]] * 3), "intrinsic: 3×4; expected 3×3"),
        (with_camera("intrinsic", [[0, 0, 816], [0, 1, 491], [0, 0, 1]]), "with fx, fy > 0, in pixels"),
        (with_camera("intrinsic", "K"), 'cameras.CAM_BACK.intrinsic is "K"; input should be a valid'),
        (with_camera("ego_from_camera", {**POSE, "rotation": [0, 0, 0, 0]}), "is no rotation; expected a quaternion"),
        (with_camera("ego_from_camera", {"rotation": [1, 0, 0, 0]}), "ego_from_camera.translation: missing"),
        (with_camera("fov", 70), "cameras.CAM_BACK.fov: unknown key"),
        (lambda w: w.pop("ego_from_lidar"), "ego_from_lidar: missing"),
        (lambda w: w.update(schema_version=2), "schema_version is 2; input should be 1"),
        (lambda w: w.update(can_bus=[0.0] * 17), "can_bus"),
        (lambda w: w.update({"token": "../../elsewhere"}), 'token is "../../elsewhere"'),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, damage: Callable[[dict[str, Any]], Any], answer: str
) -> None:
    whole = copy.deepcopy({**WHOLE, "cameras": {name: dict(CAMERA) for name in CAMERAS}})
    damage(whole)
    (tmp_path / FILE).write_text(json.dumps(whole))
    with pytest.raises(DataError, match=re.escape(answer)):
        read_frame(tmp_path, CAMERAS)


def test_a_folder_without_calibration_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--example DIR"):
        read_frame(tmp_path, CAMERAS)


WEIRD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(key=st.sampled_from([*WHOLE, "global_from_ego", "can_bus", "token"]), value=WEIRD, inside=st.booleans())
def test_whatever_stands_in_the_file_is_read_or_refused_in_words(
    tmp_path: Path, *, key: str, value: Any, inside: bool
) -> None:
    whole = {**WHOLE, key: value} if not inside else {**WHOLE, "cameras": {**WHOLE["cameras"], "CAM_BACK": value}}
    (tmp_path / FILE).write_text(json.dumps(whole))
    try:
        read_calibration(tmp_path / FILE, CAMERAS)
    except DataError as error:
        assert FILE in str(error)  # noqa: PT017 — either ending is fine


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_refused_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(DataError):
        read_calibration(tmp_path / FILE, CAMERAS)


def test_a_calibration_keeps_every_number(record: FrameRecord) -> None:
    calibration = calibration_of(record)
    assert calibration.cameras["CAM_FRONT"].intrinsic == record.cameras[0].intrinsic.tolist()
    assert list(calibration.ego_from_lidar.rotation) == record.ego_from_lidar_rotation.tolist()
