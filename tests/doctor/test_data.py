"""DAT: what a quick look at a data set folder finds, and each rule on both sides of its bound."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import Coco, DataSet, Infos, Tables, Unknown
from doctor.finding import Finding, Goal
from doctor.probes.data import NEVER_RECORDED, TABLES, filesystem_of, probe_data
from doctor.record import Recorder, Subject
from doctor.replay import Replay
from doctor.rules import data as rules
from doctor.rules import infos as infos_rules
from doctor.shell import LiveHost
from doctor.words import Said, catalogue, translate

if TYPE_CHECKING:
    from pathlib import Path

CAMS = tuple(f"CAM_{name}" for name in ("BACK", "BACK_LEFT", "BACK_RIGHT", "FRONT", "FRONT_LEFT", "FRONT_RIGHT"))
RUN, RECIPE = Goal("run"), Goal("recipe", "bevformer_tiny")


def write_nuscenes(root: Path, version: str = "v1.0-mini", *, scenes: int = 10, first: int = 1) -> Path:
    (root / version).mkdir(parents=True)
    for table in TABLES:
        (root / version / f"{table}.json").write_text("[]", encoding="utf-8")
    names = [f"scene-{number:04d}" for number in range(first, first + scenes)]
    rows = [{"token": "t", "name": name, "description": "rain, turn left"} for name in names]
    (root / version / "scene.json").write_text(json.dumps(rows, indent=0), encoding="utf-8")
    images = []
    for camera in CAMS:
        (root / "samples" / camera).mkdir(parents=True, exist_ok=True)
        for number in range(8):
            image = root / "samples" / camera / f"n008-2018-08-01-15-16-36-0400__{camera}__{number}.jpg"
            image.touch()
            images.append({"filename": str(image.relative_to(root)), "fill": "x" * 600})
    (root / version / "sample_data.json").write_text(json.dumps(images, indent=0), encoding="utf-8")
    for name in ("sweeps", "maps/expansion", "can_bus"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "maps" / "expansion" / "singapore-onenorth.json").touch()
    for name in names:
        (root / "can_bus" / f"{name}_pose.json").touch()
    return root


def look(root: Path) -> DataSet:
    found, coco = probe_data(LiveHost(), str(root))
    assert isinstance(found, DataSet)
    assert isinstance(coco, Unknown)
    return found


def findings(found: DataSet, goal: Goal = RUN) -> dict[str, str]:
    """Return the severities of every finding about a folder, by code."""
    said: dict[str, str] = {}
    for one in rules.RULES:
        facts = {name: goal if fact is Goal else found for name, fact in one.needs}
        if Coco in {fact for _, fact in one.needs}:
            continue
        answer = one(**facts)
        if answer is not None:
            said[one.code] = answer.severity
    return said


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_nuscenes(tmp_path / "nuscenes")


class TestLook:
    def test_a_whole_folder_has_nothing_to_complain_about(self, whole: Path) -> None:
        found = look(whole)
        assert (found.versions, found.missing_tables, found.cameras) == (("v1.0-mini",), (), CAMS)
        tables = found.tables[0]
        assert (tables.scenes, tables.images > 5, tables.lost) == (10, True, ())
        assert findings(found) == {}
        assert findings(found, RECIPE) == {"DAT09": "warning"}

    def test_a_slash_at_the_end_changes_nothing(self, whole: Path) -> None:
        assert probe_data(LiveHost(), f"{whole}/") == probe_data(LiveHost(), str(whole))

    def test_no_folder_no_question(self) -> None:
        assert [type(fact) for fact in probe_data(LiveHost(), "")] == [Unknown, Unknown]

    def test_an_archive_that_was_not_unpacked(self, whole: Path) -> None:
        for camera in CAMS:
            shutil.rmtree(whole / "samples" / camera)
            (whole / "samples" / camera).mkdir()
        found = look(whole)
        assert len(found.tables[0].lost) == found.tables[0].images > 5
        assert findings(found) == {"DAT04": "problem"}

    def test_the_last_archive_counts_as_the_first(self, whole: Path) -> None:
        for image in (whole / "samples" / "CAM_FRONT_RIGHT").iterdir():
            image.unlink()
        assert {image.split("/")[1] for image in look(whole).tables[0].lost} == {"CAM_FRONT_RIGHT"}

    def test_a_can_bus_folder_within_the_can_bus_folder(self, whole: Path) -> None:
        (whole / "can_bus").rename(whole / "x")
        (whole / "can_bus").mkdir()
        (whole / "x").rename(whole / "can_bus" / "can_bus")
        found = look(whole)
        assert (found.can_bus, found.can_bus_instead) == (False, f"{whole}/can_bus/can_bus")
        assert findings(found) == {"DAT05": "warning"}

    def test_a_can_bus_beside_the_data_set(self, whole: Path) -> None:
        (whole / "can_bus").rename(whole.parent / "can_bus")
        assert look(whole).can_bus_instead == f"{whole.parent}/can_bus"

    def test_no_can_bus(self, whole: Path) -> None:
        shutil.rmtree(whole / "can_bus")
        assert findings(look(whole)) == {"DAT03": "problem"}

    def test_scenes_that_never_had_a_can_bus_are_no_gap(self, tmp_path: Path) -> None:
        root = write_nuscenes(tmp_path, "v1.0-trainval", scenes=20, first=160)
        for name in NEVER_RECORDED:
            (root / "can_bus" / f"{name}_pose.json").unlink()
        assert look(root).scenes_without_can_bus == ()
        (root / "can_bus" / "scene-0169_pose.json").unlink()
        assert look(root).scenes_without_can_bus == ("scene-0169",)
        assert findings(look(root)) == {"DAT06": "warning", "DAT08": "warning"}

    def test_one_folder_too_high(self, whole: Path) -> None:
        assert look(whole.parent).root_instead == str(whole)
        assert findings(look(whole.parent)) == {"DAT12": "problem"}

    @pytest.mark.parametrize("inside", ["samples", "v1.0-mini"])
    def test_one_folder_too_low(self, whole: Path, inside: str) -> None:
        assert look(whole / inside).root_instead == str(whole)
        assert findings(look(whole / inside)) == {"DAT12": "problem"}

    def test_archives_beside_the_tables_are_no_tables(self, whole: Path) -> None:
        (whole / "v1.0-mini.tgz").touch()
        (whole / "v1.0-trainval01_blobs.tgz").touch()
        (whole / "v1.0-trainval_meta").mkdir()
        assert look(whole).versions == ("v1.0-mini",)
        assert findings(look(whole)) == {}

    def test_a_neighbour_without_tables_is_no_better(self, whole: Path) -> None:
        for name in ("elsewhere/v1.0-mini", "elsewhere/empty"):
            (whole.parent / name).mkdir(parents=True)
        assert look(whole.parent / "elsewhere" / "empty").root_instead == ""

    def test_tables_in_a_folder_of_their_own_name(self, whole: Path) -> None:
        (whole / "v1.0-mini").rename(whole / "x")
        (whole / "v1.0-mini").mkdir()
        (whole / "x").rename(whole / "v1.0-mini" / "v1.0-mini")
        assert look(whole).root_instead == f"{whole}/v1.0-mini"

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert findings(look(tmp_path)) == {"DAT01": "problem"}

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert findings(look(tmp_path / "nuscenes")) == {"DAT13": "problem"}

    def test_the_map_expansion_is_only_a_note(self, whole: Path) -> None:
        shutil.rmtree(whole / "maps" / "expansion")
        assert findings(look(whole)) == {"DAT07": "note"}

    def test_lidarseg_without_its_categories(self, whole: Path) -> None:
        (whole / "lidarseg").mkdir()
        assert findings(look(whole)) == {"DAT15": "note"}
        (whole / "v1.0-mini" / "category.json").write_text('[{"name": "car", "index": 17}]', encoding="utf-8")
        assert findings(look(whole)) == {}

    def test_info_files_are_read(self, whole: Path) -> None:
        document = {"infos": [{"token": "t", "can_bus": 0, "prev": "", "next": "", "scene_token": ""}] * 323}
        path = whole / "nuscenes_infos_temporal_train.pkl"
        path.write_bytes(pickle.dumps(document | {"metadata": {"version": "v1.0-mini"}}))
        found = look(whole).infos
        assert [(info.name, info.generation, info.count, info.problem) for info in found] == [
            ("nuscenes_infos_temporal_train.pkl", "infos", 323, "")
        ]
        assert findings(look(whole)) == {}

    def test_coco(self, tmp_path: Path) -> None:
        (tmp_path / "annotations").mkdir()
        (tmp_path / "train2017").mkdir()
        (tmp_path / "annotations" / "instances_val2017.json").touch()
        data, coco = probe_data(LiveHost(), str(tmp_path))
        assert isinstance(data, Unknown)
        assert coco == Coco(
            path=str(tmp_path),
            annotations=("instances_val2017.json",),
            images=("train2017",),
            empty=("train2017",),
        )

    def test_a_recording_holds_no_table_and_replays_to_the_same(self, whole: Path) -> None:
        recorder = Recorder(LiveHost())
        seen = probe_data(recorder, str(whole))
        document = recorder.document(Subject("/usr/bin/python3", "/", str(whole)), redacted=False)
        assert "rain" not in json.dumps(document)
        assert probe_data(Replay(document), str(whole)) == seen

    def test_a_large_folder_is_looked_at_in_no_time(self, tmp_path: Path) -> None:
        root = write_nuscenes(tmp_path, "v1.0-trainval", scenes=850)
        with (root / "v1.0-trainval" / "sample_data.json").open("a", encoding="utf-8") as file:
            file.truncate(1 << 30)  # a gigabyte of nothing: size alone must not cost
        started = time.perf_counter()
        look(root)
        assert time.perf_counter() - started < 0.5


class TestFileSystem:
    MOUNTS = (
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/sdb1 /data/fast xfs rw 0 0\n"
        "C:\\134 /mnt/my\\040disk 9p rw 0 0\nbroken\n"
    )

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("/data/nuscenes", "nfs4"),
            ("/data", "nfs4"),
            ("/database", "ext4"),
            ("/data/fast/nuscenes", "xfs"),
            ("/mnt/my disk/nuscenes", "9p"),
            ("/home/user", "ext4"),
        ],
    )
    def test_the_longest_mount_wins(self, path: str, told: str) -> None:
        assert filesystem_of(path, self.MOUNTS) == told

    def test_no_mounts_no_answer(self) -> None:
        assert filesystem_of("/data", "") == ""

    @given(st.text(), st.text())
    def test_any_text_can_be_read(self, path: str, mounts: str) -> None:
        assert isinstance(filesystem_of(path, mounts), str)


GOOD = DataSet(path="/d", versions=("v1.0-trainval",), cameras=CAMS, can_bus=True)
TEMPORAL = Infos(
    name="nuscenes_infos_temporal_val.pkl",
    generation="infos",
    version="v1.0-trainval",
    keys=("can_bus", "next", "prev", "scene_token", "token"),
    boxes="wlh",
)


class TestRules:
    def test_a_good_one_is_silent_for_every_goal(self) -> None:
        assert findings(replace(GOOD, infos=(TEMPORAL,)), RECIPE) == {}

    @pytest.mark.parametrize(
        ("facts", "code"),
        [
            ({"versions": ()}, "DAT01"),
            ({"missing_tables": ("v1.0-trainval/scene.json",)}, "DAT01"),
            ({"cameras": CAMS[:5]}, "DAT02"),
            ({"can_bus": False}, "DAT03"),
            ({"can_bus": False, "can_bus_instead": "/can_bus"}, "DAT05"),
            ({"scenes_without_can_bus": ("scene-0001",)}, "DAT06"),
            ({"maps_expansion": False}, "DAT07"),
            ({"tables": (Tables(name="v1.0-trainval", scenes=849),)}, "DAT08"),
            ({"tables": (Tables(name="v1.0-trainval", images=24, lost=("samples/CAM_FRONT/a.jpg",)),)}, "DAT04"),
            ({"infos": (replace(TEMPORAL, generation="data_list"),)}, "DAT10"),
            ({"infos": (replace(TEMPORAL, version="v1.0-mini"),)}, "DAT11"),
            ({"root_instead": "/d/nuscenes"}, "DAT12"),
            ({"exists": False}, "DAT13"),
            ({"readable": False}, "DAT13"),
            ({"filesystem": "nfs4"}, "DAT14"),
            ({"lidarseg": True, "tables": (Tables(name="v1.0-trainval"),)}, "DAT15"),
        ],
    )
    def test_one_fault_one_finding(self, facts: dict[str, object], code: str) -> None:
        assert list(findings(replace(GOOD, **facts))) == [code]  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "facts",
        [
            {"tables": (Tables(name="v1.0-trainval", scenes=850),)},
            {"tables": (Tables(name="v1.0-test", scenes=150),)},
            {"tables": (Tables(name="v1.0-own", scenes=3),)},
            {"tables": (Tables(name="v1.0-trainval", scenes=None),)},
            {"tables": (Tables(name="v1.0-trainval", images=24),)},
            {"filesystem": "ext4"},
            {"filesystem": ""},
            {"lidarseg": True, "tables": (Tables(name="v1.0-trainval", indexed_categories=True),)},
            {"lidarseg": False, "tables": (Tables(name="v1.0-trainval"),)},
            {"lidarseg": True, "tables": ()},
            {"infos": (replace(TEMPORAL, boxes=""),)},
            {"infos": (replace(TEMPORAL, keys=()),)},
            {"infos": (replace(TEMPORAL, count=6019),)},
            {"infos": (replace(TEMPORAL, name="own_infos.pkl", count=7),)},
            {"infos": (replace(TEMPORAL, version="", count=7),)},
        ],
    )
    def test_beside_the_fault_silence(self, facts: dict[str, object]) -> None:
        assert findings(replace(GOOD, **facts)) == {}  # type: ignore[arg-type]

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (RECIPE, "problem")])
    def test_a_misplaced_can_bus_stands_in_the_way_of_a_recipe(self, goal: Goal, severity: str) -> None:
        lost = replace(GOOD, can_bus=False, can_bus_instead="/d/can_bus/can_bus")
        found = rules.can_bus_is_not_elsewhere(data=lost, goal=goal)
        assert found is not None
        assert (found.severity, found.fix) == (severity, ("mv /d/can_bus/can_bus/* /d/can_bus/",))
        beside = rules.can_bus_is_not_elsewhere(data=replace(lost, can_bus_instead="/can_bus"), goal=goal)
        assert beside is not None
        assert beside.fix == ("ln -s /can_bus /d/can_bus",)

    def test_images_are_not_counted_twice_where_whole_cameras_are_missing(self) -> None:
        lost = Tables(name="v1.0-mini", images=2, lost=("samples/CAM_FRONT/a.jpg",))
        assert list(findings(replace(GOOD, cameras=(), tables=(lost,)))) == ["DAT02"]

    @pytest.mark.parametrize(
        ("versions", "goal", "fires"),
        [
            (("v1.0-mini",), RECIPE, True),
            (("v1.0-mini", "v1.0-trainval"), RECIPE, False),
            (("v1.0-mini",), RUN, False),
            (("v1.0-mini",), Goal("recipe", "bevformer_nano"), False),
            ((), RECIPE, False),
        ],
    )
    def test_mini_is_not_what_a_number_stands_for(self, versions: tuple[str, ...], goal: Goal, *, fires: bool) -> None:
        found = rules.version_suits_the_recipe(data=replace(GOOD, versions=versions), goal=goal)
        assert (found is not None) is fires

    @pytest.mark.parametrize(("scenes", "severity"), [(9, "note"), (11, "note")])
    def test_a_part_of_mini_is_a_note(self, scenes: int, severity: str) -> None:
        assert findings(replace(GOOD, tables=(Tables(name="v1.0-mini", scenes=scenes),))) == {"DAT08": severity}

    @pytest.mark.parametrize(
        ("facts", "words"),
        [
            ({"problem": "it asks for os.system: more than plain data"}, "it cannot be read (it asks for os.system"),
            ({"generation": "data_list"}, "KeyError: 'infos'"),
            ({"generation": ""}, "it holds no infos"),
            ({"boxes": "lwh"}, "its boxes are length, width, height"),
            ({"keys": ("token", "next", "prev")}, "its frames lack can_bus, scene_token"),
        ],
    )
    def test_what_is_foreign_about_an_info_file(self, facts: dict[str, object], words: str) -> None:
        foreign = replace(TEMPORAL, **facts)  # type: ignore[arg-type]
        found = infos_rules.infos_are_of_this_generation(data=replace(GOOD, infos=(TEMPORAL, foreign)))
        assert found is not None
        assert words in found.saw

    @pytest.mark.parametrize(
        ("name", "version", "count", "wanted"),
        [
            ("a_train.pkl", "v1.0-trainval", 323, 28130),
            ("a_val.pkl", "v1.0-trainval", 81, 6019),
            ("a_train.pkl", "v1.0-mini", 404, 323),
            ("a_val.pkl", "v1.0-mini", 80, 81),
            ("a_test.pkl", "v1.0-test", 1, 6008),
        ],
    )
    def test_the_number_of_frames_names_the_fault(self, name: str, version: str, count: int, wanted: int) -> None:
        both = replace(GOOD, versions=("v1.0-mini", "v1.0-test", "v1.0-trainval"))
        wrong = replace(both, infos=(replace(TEMPORAL, name=name, version=version, count=count),))
        found = infos_rules.infos_match_the_tables(data=wrong)
        assert found is not None
        assert (found.saw, found.expected) == (f"{name} has {count} frames of {version}", f"{wanted} frames")
        right = replace(both, infos=(replace(TEMPORAL, name=name, version=version, count=wanted),))
        assert infos_rules.infos_match_the_tables(data=right) is None

    def test_a_long_list_is_cut(self) -> None:
        four = rules.can_bus_is_whole(data=replace(GOOD, scenes_without_can_bus=("a", "b", "c", "d")))
        three = rules.can_bus_is_whole(data=replace(GOOD, scenes_without_can_bus=("a", "b", "c")))
        assert four is not None
        assert three is not None
        assert (four.saw, three.saw) == ("4 scenes have no CAN bus: a, b, c …", "3 scenes have no CAN bus: a, b, c")

    WHOLE_COCO = Coco(
        path="/c",
        annotations=("instances_train2017.json", "instances_val2017.json"),
        images=("train2017", "val2017"),
    )

    def test_a_whole_coco(self) -> None:
        assert rules.coco_is_whole(coco=self.WHOLE_COCO) is None

    @pytest.mark.parametrize(
        ("facts", "lacks"),
        [
            ({"annotations": ("instances_train2017.json",)}, "annotations/instances_val2017.json"),
            ({"images": ("val2017",)}, "train2017/"),
            ({"empty": ("val2017",)}, "val2017/"),
        ],
    )
    def test_a_coco_that_lacks_something(self, facts: dict[str, tuple[str, ...]], lacks: str) -> None:
        found = rules.coco_is_whole(coco=replace(self.WHOLE_COCO, **facts))  # type: ignore[arg-type]
        assert found is not None
        assert found.saw == f"/c lacks {lacks}"

    def test_a_finding_in_chinese(self) -> None:
        found = rules.can_bus_is_whole(data=replace(GOOD, scenes_without_can_bus=("scene-0001",)))
        assert isinstance(found, Finding)
        assert isinstance(found.saw, Said)
        assert translate(found.saw, catalogue("zh")) == "1 个场景没有 CAN bus：scene-0001"
