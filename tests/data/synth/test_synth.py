"""Synthetic nuScenes: the official devkit reads it, and what it says fits together."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from nuscenes.can_bus.can_bus_api import NuScenesCanBus
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.geometry_utils import view_points
from nuscenes.utils.splits import mini_train, mini_val

from repro.data.records import DataError
from repro.data.synth import options_of, write_synth
from repro.data.synth.render import BODY
from repro.data.synth.world import KINDS, make_scene
from repro.data.synth.write import MARKER, SynthOptions, scene_names

if TYPE_CHECKING:
    from pathlib import Path

    from repro.data.synth.world import Actor

VERSION = "v1.0-mini"


@pytest.fixture(scope="module")
def tables(synth_root: Path) -> NuScenes:
    return NuScenes(VERSION, str(synth_root), verbose=False)


def test_every_token_leads_somewhere_and_chains_are_mutual(tables: NuScenes) -> None:
    for table in ("sample", "sample_data", "sample_annotation"):
        for row in getattr(tables, table):
            if row["next"]:
                assert tables.get(table, row["next"])["prev"] == row["token"]
    for row in tables.sample_annotation:
        tables.get("instance", row["instance_token"])
        tables.get("visibility", row["visibility_token"])
        for attribute in row["attribute_tokens"]:
            tables.get("attribute", attribute)


def test_scenes_carry_names_of_both_splits() -> None:
    for count in range(2, 11):
        names = scene_names(count)
        assert len(set(names)) == count
        assert set(names) & set(mini_train)
        assert set(names) & set(mini_val)
        assert set(names) <= set(mini_train) | set(mini_val)


def test_all_ten_classes_are_annotated_in_every_scene(tables: NuScenes) -> None:
    for scene in tables.scene:
        sample = tables.get("sample", scene["first_sample_token"])
        seen = {tables.get("sample_annotation", token)["category_name"] for token in sample["anns"]}
        assert seen == {category for category, *_ in KINDS.values()}


def test_velocities_recovered_by_the_devkit_are_those_of_the_world(tables: NuScenes) -> None:
    speeds: dict[str, list[float]] = {}
    for row in tables.sample_annotation:
        speed = float(np.linalg.norm(tables.box_velocity(row["token"])[:2]))
        speeds.setdefault(
            tables.get("category", tables.get("instance", row["instance_token"])["category_token"])["description"], []
        ).append(speed)
    assert max(speeds["barrier"]) < 1e-6
    assert 3 < np.nanmax(speeds["car"]) < 10
    assert 0.7 < np.nanmax(speeds["pedestrian"]) < 1.7


def test_lidar_counts_are_the_points_inside_the_boxes(tables: NuScenes, synth_root: Path) -> None:
    from nuscenes.utils.data_classes import LidarPointCloud  # noqa: PLC0415
    from nuscenes.utils.geometry_utils import points_in_box  # noqa: PLC0415

    sample = tables.sample[0]
    path, boxes, _ = tables.get_sample_data(sample["data"]["LIDAR_TOP"])
    points = LidarPointCloud.from_file(path).points[:3]
    for box in boxes:
        stated = tables.get("sample_annotation", box.token)["num_lidar_pts"]
        assert int(points_in_box(box, points).sum()) == stated, box
    assert (synth_root / "maps").is_dir()


def test_the_can_bus_tells_the_same_motion_as_the_ego_poses(tables: NuScenes, synth_root: Path) -> None:
    api = NuScenesCanBus(str(synth_root))
    for scene in tables.scene:
        messages = api.get_messages(scene["name"], "pose")
        times = np.array([m["utime"] for m in messages])
        assert np.diff(times).tolist() == [20_000] * (len(times) - 1)
        positions = np.array([m["pos"] for m in messages])
        sample = tables.get("sample", scene["last_sample_token"])
        ego = tables.get("ego_pose", tables.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        here = [np.interp(ego["timestamp"], times, positions[:, axis]) for axis in range(3)]
        assert here == pytest.approx(ego["translation"], abs=1e-3)
        velocity = np.linalg.norm(np.diff(positions, axis=0), axis=1) * 50
        assert velocity == pytest.approx([m["vel"][0] for m in messages[:-1]], abs=0.05)


def test_annotated_boxes_are_drawn_where_they_project(tables: NuScenes) -> None:
    """A wholly visible box shows the colour of its class at its projected centre."""
    found = 0
    for sample in tables.sample:
        for channel in ("CAM_FRONT", "CAM_BACK"):
            path, boxes, intrinsic = tables.get_sample_data(sample["data"][channel])
            image = cv2.imread(path).astype(float)
            for box in boxes:
                row = tables.get("sample_annotation", box.token)
                kind = next(k for k, v in KINDS.items() if v[0] == row["category_name"])
                if (
                    int(row["visibility_token"]) < 4
                    or kind in {"barrier", "traffic_cone"}
                    or not 8 < box.center[2] < 30
                ):
                    continue
                x, y = view_points(box.center[:, None], intrinsic, normalize=True)[:2, 0]
                if not (20 < x < 1580 and 20 < y < 880):
                    continue
                patch = image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3).mean(0)
                body = np.array(BODY[kind], float)
                direction = float(patch @ body / np.linalg.norm(patch) / np.linalg.norm(body))
                found += direction > 0.985
    assert found >= 5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_synth(tmp_path / name, seed=seed, scenes=2, frames=1)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 25
    same = [(tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files]
    assert all(same)
    other = json.loads((tmp_path / "c" / VERSION / "ego_pose.json").read_text())
    assert other != json.loads((tmp_path / "a" / VERSION / "ego_pose.json").read_text())


def test_a_whole_data_set_is_left_alone_and_other_options_write_it_anew(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert write_synth(tmp_path / "d", scenes=2, frames=1, tell=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert not write_synth(tmp_path / "d", scenes=2, frames=1)
    assert write_synth(tmp_path / "d", scenes=2, frames=1, seed=5)


def test_a_data_set_remembers_its_size_and_seed(tmp_path: Path) -> None:
    assert options_of(tmp_path / "d") == SynthOptions(seed=0, scenes=2, frames=6)
    write_synth(tmp_path / "d", seed=3, scenes=2, frames=1)
    assert options_of(tmp_path / "d") == SynthOptions(seed=3, scenes=2, frames=1)


def test_an_interrupted_writing_starts_again_and_never_shows_half_a_data_set(tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synth(tmp_path / "d", scenes=2, frames=1, tell=stop)
    assert not (tmp_path / "d").exists()
    assert write_synth(tmp_path / "d", scenes=2, frames=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_a_folder_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    with pytest.raises(
        DataError, match="not a synthetic data set, and it will not be overwritten; choose another place"
    ):
        write_synth(tmp_path)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    ("scenes", "frames", "words"), [(1, 6, "choose 2 to 10"), (11, 6, "choose 2 to 10"), (2, 0, "at least 1")]
)
def test_impossible_sizes_are_refused(tmp_path: Path, scenes: int, frames: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        write_synth(tmp_path / "d", scenes=scenes, frames=frames)


def footprint(actor: Actor, t: float) -> tuple[tuple[float, float], tuple[float, float], float]:
    pose = actor.pose(t)
    return (pose.x, pose.y), (actor.size[1], actor.size[0]), math.degrees(pose.yaw)


@pytest.mark.parametrize("scene", range(4))
def test_no_two_boxes_overlap(scene: int) -> None:
    _, actors = make_scene(0, scene, 3.0)
    for t in (0.0, 1.5, 3.0):
        rectangles = [footprint(actor, t) for actor in actors]
        for (i, a), (j, b) in itertools.combinations(enumerate(rectangles), 2):
            if math.dist(a[0], b[0]) < 16:
                relation, _ = cv2.rotatedRectangleIntersection(a, b)
                assert relation == cv2.INTERSECT_NONE, (actors[i], actors[j], t)


def test_the_car_turns_through_the_end_of_the_circle_in_some_scene() -> None:
    headings = [make_scene(0, number, 3.0)[0].pose(t).yaw for number in range(4) for t in (0.0, 3.0)]
    assert min(headings) < math.pi < max(headings)
