"""Tables become records: the same numbers as the devkit and as upstream's infos; damage gets a sentence."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from nuscenes.utils.geometry_utils import transform_matrix
from pyquaternion import Quaternion

from repro.data.can_bus import can_bus_vector
from repro.data.infos import records_from_infos
from repro.data.records import DataError, FrameRecord
from repro.data.tables import TABLES, check_tables, frame_records, open_tables, scenes_without_can_bus
from repro.recipe.schema import CAMERAS
from tests.data.small_nuscenes import START_US, VERSION, write_small_nuscenes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from nuscenes.nuscenes import NuScenes


@pytest.fixture(scope="module")
def tables(small_root: Path) -> NuScenes:
    return open_tables(small_root, VERSION)


@pytest.fixture(scope="module")
def records(tables: NuScenes, small_root: Path) -> list[FrameRecord]:
    return list(frame_records(tables, small_root, CAMERAS, rates="next"))


@pytest.mark.shared
def test_the_real_frame_equals_upstreams_info(shared_dir: Path) -> None:
    root = shared_dir / "nuscenes_one_frame"
    ours = next(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))
    info = json.loads((shared_dir / "golden/A/real_frame/infos.json").read_text())[0]
    theirs = records_from_infos([info], CAMERAS)[0]
    kept = [i for i, name in enumerate(theirs.names) if name != "ignored_class"]  # the tables lack that box
    assert ours.names == tuple(theirs.names[i] for i in kept)
    np.testing.assert_allclose(ours.boxes, theirs.boxes[kept], atol=1e-9)
    np.testing.assert_array_equal(ours.valid, theirs.valid[kept])
    np.testing.assert_array_equal(ours.global_from_ego_translation, theirs.global_from_ego_translation)
    np.testing.assert_array_equal(ours.ego_from_lidar_rotation, theirs.ego_from_lidar_rotation)
    for mine, reference in zip(ours.cameras, theirs.cameras, strict=True):
        assert (mine.channel, mine.path, mine.timestamp) == (reference.channel, reference.path, reference.timestamp)
        np.testing.assert_array_equal(mine.intrinsic, reference.intrinsic)
        # upstream's info holds float32 matrices: measured 3e-8 and 1.3e-7 m
        np.testing.assert_allclose(mine.lidar_from_camera_rotation, reference.lidar_from_camera_rotation, atol=1e-7)
        np.testing.assert_allclose(
            mine.lidar_from_camera_translation, reference.lidar_from_camera_translation, atol=5e-7
        )
    assert np.isnan(ours.velocities).all()
    assert not ours.can_bus.any()


def test_boxes_are_where_the_devkit_puts_them_in_the_lidar_frame(tables: NuScenes, records: list[FrameRecord]) -> None:
    for record in records:
        token = tables.get("sample", record.token)["data"]["LIDAR_TOP"]
        _, boxes, _ = tables.get_sample_data(token)
        np.testing.assert_allclose(record.boxes[:, :3], [box.center for box in boxes], atol=1e-9)
        np.testing.assert_allclose(record.boxes[:, 3:6], [box.wlh for box in boxes])
        yaws = [-box.orientation.yaw_pitch_roll[0] - math.pi / 2 for box in boxes]
        np.testing.assert_allclose(record.boxes[:, 6], yaws, atol=1e-9)


def test_cameras_follow_the_chain_of_matrices(tables: NuScenes, records: list[FrameRecord]) -> None:
    sample = tables.get("sample", records[2].token)

    def matrices(channel: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        data = tables.get("sample_data", sample["data"][channel])
        rows = (
            tables.get("calibrated_sensor", data["calibrated_sensor_token"]),
            tables.get("ego_pose", data["ego_pose_token"]),
        )
        ego, world = (transform_matrix(row["translation"], Quaternion(row["rotation"])) for row in rows)
        return ego, world

    ego_from_lidar, global_from_ego = matrices("LIDAR_TOP")
    for camera in records[2].cameras:
        ego_from_camera, global_from_ego_then = matrices(camera.channel)
        chain = np.linalg.inv(global_from_ego @ ego_from_lidar) @ global_from_ego_then @ ego_from_camera
        np.testing.assert_allclose(camera.lidar_from_camera_rotation, chain[:3, :3], atol=1e-9)
        np.testing.assert_allclose(camera.lidar_from_camera_translation, chain[:3, 3], atol=1e-8)


def test_velocities_are_the_devkits_turned_into_the_lidar_frame(tables: NuScenes, records: list[FrameRecord]) -> None:
    record = records[1]
    car = tables.box_velocity(f"{record.token}-vehicle.car")
    assert np.linalg.norm(car[:2]) == pytest.approx(4.0)  # 2 m in half a second
    turn = Quaternion(record.global_from_ego_rotation) * Quaternion(record.ego_from_lidar_rotation)
    expected = turn.inverse.rotate([car[0], car[1], 0.0])[:2]
    np.testing.assert_allclose(record.velocities[0], expected, atol=1e-9)
    np.testing.assert_allclose(record.velocities[1], 0.0, atol=1e-9)


def test_names_valid_flags_and_places_in_the_scene(records: list[FrameRecord]) -> None:
    assert records[0].names == ("car", "pedestrian", "animal", "barrier")
    assert records[0].valid.tolist() == [True, True, True, False]
    assert [record.frame_idx for record in records] == [0, 1, 2, 3, 0, 1]
    assert [record.scene_name for record in records] == ["scene-0061"] * 4 + ["scene-0103"] * 2
    assert (records[1].prev, records[1].next) == (records[0].token, records[2].token)


def test_rates_come_from_the_message_after_the_frame(records: list[FrameRecord]) -> None:
    # messages every 20 ms from 10 ms before the first frame: the last one not after frame 1 is number 25
    vector = records[1].can_bus
    np.testing.assert_allclose(vector[0:7], [25, -25, 0, 1, 0, 0, 25])
    np.testing.assert_allclose(vector[7:16], [26, 26.1, 26.2, 26.3, 26.4, 26.5, 26.6, 26.7, 26.8])
    np.testing.assert_array_equal(vector[16:], 0)


def test_current_rates_come_from_the_same_message(tables: NuScenes, small_root: Path) -> None:
    vector = list(frame_records(tables, small_root, CAMERAS, rates="current"))[1].can_bus
    np.testing.assert_allclose(vector[7:10], [25, 25.1, 25.2])


def test_messages_at_and_beyond_the_ends() -> None:
    one = {k: [float(i)] * 3 for i, k in enumerate(("accel", "pos", "rotation_rate", "vel"))}
    messages = [
        {**one, "orientation": [t, 0, 0, 0], "pos": [t, 0, 0], "accel": [t, 0, 0], "utime": t} for t in (10, 20)
    ]
    assert [can_bus_vector(messages, t)[[0, 7]].tolist() for t in (5, 10, 15, 20, 25)] == [
        [10, 10],  # before all: first message for both
        [10, 20],  # a message at the very time is the last one
        [10, 20],
        [20, 20],  # no message after: the last for both
        [20, 20],
    ]


def test_scenes_without_messages_get_zeros(tables: NuScenes, small_root: Path, records: list[FrameRecord]) -> None:
    assert scenes_without_can_bus(tables, small_root) == ["scene-0103"]
    assert not records[4].can_bus.any()
    assert records[0].timestamp == START_US


def test_a_scene_that_the_devkit_lists_as_without_can_bus_gets_zeros(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    scenes = root / VERSION / "scene.json"
    scenes.write_text(scenes.read_text().replace('"name": "scene-0061"', '"name": "scene-0161"'))
    (root / "can_bus/scene-0061_pose.json").rename(root / "can_bus/scene-0161_pose.json")
    assert not next(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next")).can_bus.any()


def test_a_missing_root_says_which_flag_to_type(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"nowhere: no such folder; name the one that holds v1\.0-mini/ with --dataroot"
    ):
        check_tables(tmp_path / "nowhere", VERSION)


def test_a_root_at_the_wrong_level_is_told_the_right_one(small_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"own folder: use --dataroot {small_root}$"):
        check_tables(small_root / VERSION, VERSION)
    with pytest.raises(DataError, match=rf"one level up: use --dataroot {small_root}$"):
        check_tables(small_root / "samples", VERSION)
    with pytest.raises(DataError, match=rf"one level deeper: use --dataroot {small_root}$"):
        check_tables(small_root.parent, VERSION)
    with pytest.raises(
        DataError, match=r"there is v1\.0-mini: use --data nuscenes-mini, or extract v1\.0-trainval_meta"
    ):
        check_tables(small_root, "v1.0-trainval")
    with pytest.raises(DataError, match=rf"extract v1\.0-mini\.tgz into {tmp_path}$"):
        check_tables(tmp_path, VERSION)


@pytest.mark.parametrize("name", TABLES)
def test_each_missing_table_is_named(tmp_path: Path, name: str) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    (root / VERSION / f"{name}.json").unlink()
    with pytest.raises(
        DataError, match=rf"1 of 13 tables are missing \({name}\); extract v1\.0-mini\.tgz into .* again"
    ):
        open_tables(root, VERSION)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"token": "x"', r"sample\.json: damaged \(Expecting .*\); extract v1\.0-mini\.tgz again"),
        ("", r"sample\.json: damaged \("),
        ("[" * 100_000, r"sample\.json: damaged \(maximum recursion"),
        ("[1]", r"sample\.json: not a nuScenes table \(a list of rows with tokens\); extract v1\.0-mini\.tgz again"),
        ('{"token": "x"}', r"sample\.json: not a nuScenes table"),
        ('[{"token": "x"}]', r"v1\.0-mini: the tables do not belong together \(KeyError: .*one archive"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    (root / VERSION / "sample.json").write_text(text)
    with pytest.raises(DataError, match=message):
        open_tables(root, VERSION)


def test_a_missing_map_mask_is_named(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    (root / "maps/blank.png").unlink()
    with pytest.raises(
        DataError, match=r"1 of 1 map masks are missing, the first is maps/blank\.png; extract the archive"
    ):
        open_tables(root, VERSION)


def test_a_sample_without_a_camera_is_named(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    path = root / VERSION / "sample_data.json"
    rows = [row for row in json.loads(path.read_text()) if row["token"] != "scene-0061-0-CAM_BACK"]  # noqa: S105 — a name
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"sample scene-0061-0: .* no key frame of CAM_BACK; extract"):
        list(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))


def test_a_row_that_other_tables_miss_is_named(tmp_path: Path) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    path = root / VERSION / "ego_pose.json"
    rows = [row for row in json.loads(path.read_text()) if row["token"] != "scene-0061-1-LIDAR_TOP"]  # noqa: S105 — a name
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"sample scene-0061-1: the tables do not belong together \(KeyError"):
        list(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))


@pytest.mark.parametrize("text", ["[", '[{"utime": 1}]', "[1]", '[{"utime": "x"}]'])
def test_damaged_can_bus_messages_are_named(tmp_path: Path, text: str) -> None:
    root = write_small_nuscenes(tmp_path / "root")
    (root / "can_bus/scene-0061_pose.json").write_text(text)
    with pytest.raises(DataError, match=r"scene-0061_pose\.json: damaged \(.*\); extract can_bus\.zip again"):
        list(frame_records(open_tables(root, VERSION), root, CAMERAS, rates="next"))
