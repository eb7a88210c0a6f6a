"""PKG01 to PKG10: versions that go together and versions that do not, on both sides of every bound."""

from __future__ import annotations

import pytest

from doctor.facts import Extension, Extensions, Packages, Torch, Unknown
from doctor.finding import Goal
from doctor.rules import packages as rules

UPSTREAM = {"mmcv-full": "1.4.0", "mmdet": "2.14.0", "mmsegmentation": "0.14.1", "mmdet3d": "0.17.1"}
TORCH_19 = Torch(version="1.9.1+cu111", cuda=(11, 1))
NONE_FOUND = Extensions(())


def packages(found: dict[str, str], python: tuple[int, ...] = (3, 8, 18)) -> Packages:
    return Packages("/env/bin/python", python, tuple(found.items()))


class TestGenerations:
    def test_mmdet3d_of_the_second_beside_mmcv_of_the_first(self) -> None:
        found = rules.one_generation(packages=packages({**UPSTREAM, "mmdet3d": "1.4.0"}))
        assert found is not None
        assert found.saw == "mmcv-full 1.4.0, mmdet 2.14.0, mmsegmentation 0.14.1 with mmdet3d 1.4.0"

    @pytest.mark.parametrize(
        ("name", "last_of_1", "first_of_2"),
        [("mmdet", "2.28.2", "3.0.0"), ("mmdet3d", "1.0.0rc6", "1.1.0"), ("mmsegmentation", "0.30.0", "1.0.0")],
    )
    def test_where_each_package_changes(self, name: str, last_of_1: str, first_of_2: str) -> None:
        assert rules.one_generation(packages=packages({"mmcv": "1.7.2", name: last_of_1})) is None
        assert rules.one_generation(packages=packages({"mmcv": "2.0.0", name: last_of_1})) is not None
        assert rules.one_generation(packages=packages({"mmcv": "2.0.0", name: first_of_2})) is None
        assert rules.one_generation(packages=packages({"mmcv": "1.7.2", name: first_of_2})) is not None

    @pytest.mark.parametrize("found", [{}, UPSTREAM, {"mmcv-lite": "2.1.0", "mmdet": "3.2.0"}])
    def test_one_or_none(self, found: dict[str, str]) -> None:
        assert rules.one_generation(packages=packages(found)) is None


class TestWindows:
    @pytest.mark.parametrize(
        ("found", "saw"),
        [
            ({"mmdet": "3.3.0", "mmcv": "2.2.0"}, "mmdet 3.3.0 with mmcv 2.2.0"),
            ({"mmdet": "2.14.0", "mmcv-full": "1.4.1"}, "mmdet 2.14.0 with mmcv-full 1.4.1"),
            ({"mmdet": "2.14.0", "mmcv-full": "1.3.7"}, "mmdet 2.14.0 with mmcv-full 1.3.7"),
            ({"mmdet3d": "0.17.1", "mmdet": "2.13.0"}, "mmdet3d 0.17.1 with mmdet 2.13.0"),
            ({"mmdet3d": "1.4.0", "mmengine": "0.7.4"}, "mmdet3d 1.4.0 with mmengine 0.7.4"),
        ],
    )
    def test_outside(self, found: dict[str, str], saw: str) -> None:
        finding = rules.inside_the_windows(packages=packages(found))
        assert finding is not None
        assert finding.saw == saw

    @pytest.mark.parametrize(
        "found",
        [
            UPSTREAM,
            {"mmdet": "2.14.0", "mmcv-full": "1.3.8"},
            {"mmdet": "3.3.0", "mmcv": "2.1.0"},
            {"mmdet": "3.3.0", "mmcv": "2.0.0"},
            {"mmdet3d": "1.0.0rc6", "mmcv-full": "1.7.0"},
            {"mmdet": "2.20.0", "mmcv-full": "1.1.0"},  # a release that the table does not hold
            {"mmdet": "2.14.0"},
            {"mmcv-full": "1.4.0"},
        ],
    )
    def test_inside_or_unknown(self, found: dict[str, str]) -> None:
        assert rules.inside_the_windows(packages=packages(found)) is None

    def test_another_generation_is_left_to_its_own_rule(self) -> None:
        assert rules.inside_the_windows(packages=packages({"mmdet3d": "0.17.1", "mmdet": "3.3.0"})) is None

    def test_how_the_bound_is_written(self) -> None:
        old = rules.inside_the_windows(packages=packages({"mmdet": "2.14.0", "mmcv-full": "1.5.0"}))
        new = rules.inside_the_windows(packages=packages({"mmdet": "3.3.0", "mmcv": "2.2.0"}))
        assert old is not None
        assert new is not None
        assert (old.expected, old.fix) == (
            "mmcv-full from 1.3.8 to 1.4.0",
            ('pip install "mmcv-full>=1.3.8,<=1.4.0"',),
        )
        assert (new.expected, new.fix) == ("mmcv from 2.0.0 to below 2.2.0", ('pip install "mmcv>=2.0.0,<2.2.0"',))


class TestOneMmcv:
    def test_two_names(self) -> None:
        found = rules.one_mmcv(packages=packages({"mmcv": "1.7.0", "mmcv-full": "1.4.0"}))
        assert found is not None
        assert found.fix[1] == 'pip install --no-cache-dir "mmcv-full==1.4.0"'

    def test_two_names_of_the_second_generation(self) -> None:
        found = rules.one_mmcv(packages=packages({"mmcv": "2.1.0", "mmcv-lite": "2.1.0"}))
        assert found is not None
        assert found.fix[1] == 'pip install --no-cache-dir "mmcv==2.1.0"'

    @pytest.mark.parametrize("found", [{}, {"mmcv": "2.1.0"}, {"mmcv-full": "1.4.0"}])
    def test_one_or_none(self, found: dict[str, str]) -> None:
        assert rules.one_mmcv(packages=packages(found)) is None


class TestWheels:
    def judge(self, found: dict[str, str], torch: str, cuda: tuple[int, int] | None, built: str = "") -> str | None:
        extension = Extension(package="mmcv", path=built, python=(3, 8)) if built else None
        there = Extensions((extension,)) if extension else NONE_FOUND
        finding = rules.mmcv_has_a_wheel(
            packages=packages(found), torch=Torch(version=torch, cuda=cuda), extensions=there
        )
        return finding.expected if finding else None

    @pytest.mark.parametrize(
        ("mmcv", "torch", "cuda"),
        [
            ("1.3.10", "1.9.1", (11, 1)),
            ("1.7.1", "1.9.0", (10, 2)),
            ("1.4.0", "1.9.1", None),
            ("1.4.7", "1.11.0", (11, 3)),
        ],
    )
    def test_a_pair_with_a_wheel(self, mmcv: str, torch: str, cuda: tuple[int, int] | None) -> None:
        assert self.judge({"mmcv-full": mmcv}, torch, cuda) is None

    @pytest.mark.parametrize(
        ("name", "mmcv", "torch", "cuda", "expected"),
        [
            ("mmcv-full", "1.3.9", "1.9.1", (11, 1), "compiled releases for torch 1.9: 1.3.10 to 1.7.1"),
            ("mmcv-full", "1.7.2", "1.9.1", (11, 1), "compiled releases for torch 1.9: 1.3.10 to 1.7.1"),
            ("mmcv-full", "1.4.0", "1.9.1", (11, 3), "compiled releases for torch 1.9: 1.3.10 to 1.7.1"),
            ("mmcv-full", "1.4.0", "2.1.0", (12, 1), "compiled releases for torch 2.1: none"),
            ("mmcv", "2.1.0", "2.2.0", (12, 1), "compiled releases for torch 2.2: 2.2.0 to 2.2.0"),
            ("mmcv", "2.2.0", "2.5.0", (12, 4), "compiled releases for torch 2.5: none"),
        ],
    )
    def test_a_pair_without(self, name: str, mmcv: str, torch: str, cuda: tuple[int, int], expected: str) -> None:
        assert self.judge({name: mmcv}, torch, cuda) == expected

    def test_what_is_compiled_needs_no_wheel(self) -> None:
        assert self.judge({"mmcv-full": "1.4.0"}, "2.1.0", (12, 1), built="/env/mmcv/_ext.cpython-38.so") is None

    def test_no_mmcv_or_the_lite_one(self) -> None:
        assert self.judge({}, "2.5.0", (12, 4)) is None
        assert self.judge({"mmcv": "1.7.2"}, "2.5.0", (12, 4)) is None
        assert self.judge({"mmcv-full": "unknown"}, "2.5.0", (12, 4)) is None

    def test_extensions_that_nobody_could_look_at(self) -> None:
        found = rules.mmcv_has_a_wheel(
            packages=packages({"mmcv": "2.2.0"}),
            torch=Torch(version="2.5.0", cuda=(12, 4)),
            extensions=Unknown("an old recording"),
        )
        assert found is not None


class TestDrift:
    @pytest.mark.parametrize(
        ("package", "bad", "good", "guest"),
        [
            ("yapf", "0.40.2", "0.40.1", {"mmcv-full": "1.4.0"}),
            ("yapf", "0.40.2", "0.40.1", {"mmcv": "1.7.2"}),
            ("yapf", "0.43.0", "0.32.0", {"mmengine": "0.8.5"}),
            ("setuptools", "59.6.0", "59.5.0", {"torch": "1.10.2+cu113"}),
            ("setuptools", "82.0.0", "81.0.0", {"openmim": "0.3.9"}),
            ("setuptools", "82.0.0", "81.0.0", {"torch": "2.11.0"}),
            ("setuptools", "84.2.1", "81.0.0", {"mmcv-full": "1.4.0"}),
            ("protobuf", "4.21.0", "3.20.3", {"tensorboard": "2.11.2"}),
            ("protobuf", "5.29.0", "3.20.3", {"onnx": "1.12.0"}),
            ("numpy", "1.24.0", "1.23.5", {"mmdet3d": "0.17.1"}),
            ("numpy", "1.26.4", "1.23.5", {"mmcv-full": "1.4.0"}),
            ("numpy", "2.0.0", "1.26.4", {"scipy": "1.12.0"}),
            ("numpy", "2.1.0", "1.26.4", {"opencv-python": "4.9.0.80"}),
        ],
    )
    def test_a_package_that_moved_and_one_that_did_not(
        self, package: str, bad: str, good: str, guest: dict[str, str]
    ) -> None:
        assert self.drift(package, {package: bad, **guest}) is not None
        assert self.drift(package, {package: good, **guest}) is None
        assert self.drift(package, {package: bad}) is None
        assert self.drift(package, guest) is None

    @pytest.mark.parametrize(
        ("package", "version", "guest"),
        [
            ("yapf", "0.43.0", {"mmcv": "2.0.0"}),
            ("yapf", "0.43.0", {"mmengine": "0.9.0"}),
            ("setuptools", "81.0.0", {"torch": "1.11.0"}),
            ("setuptools", "82.0.0", {"torch": "2.10.0"}),
            ("setuptools", "82.0.0", {"torch": "2.13.0"}),
            ("protobuf", "4.25.0", {"tensorboard": "2.12.0", "onnx": "1.13.0"}),
            ("numpy", "1.26.4", {"mmdet3d": "1.0.0"}),
            ("numpy", "2.1.0", {"scipy": "1.13.0", "pandas": "2.2.2", "opencv-python": "4.10.0.84"}),
        ],
    )
    def test_a_guest_that_keeps_up(self, package: str, version: str, guest: dict[str, str]) -> None:
        assert self.drift(package, {package: version, **guest}) is None

    def test_all_guests_stand_in_one_sentence_with_the_message(self) -> None:
        found = rules.yapf_is_old_enough(packages=packages({**UPSTREAM, "yapf": "0.43.0", "mmengine": "0.8.0"}))
        assert found is not None
        assert found.saw.startswith("yapf 0.43.0 with mmcv-full 1.4.0, mmengine 0.8.0: it ends in `FormatCode()")
        assert (found.fix, found.severity) == (('pip install "yapf==0.40.1"',), "problem")
        assert found.confidence == "sure"

    def test_a_pin_without_a_known_message_is_only_likely(self) -> None:
        found = rules.setuptools_fits(packages=packages({"setuptools": "82.0.0", "torch": "2.11.0"}), goal=Goal())
        assert found is not None
        assert (found.saw, found.confidence) == ("setuptools 82.0.0 with torch 2.11.0", "likely")

    def test_mmdet3d_s_own_numpy_line_is_nobody_s_cause(self) -> None:
        assert self.drift("numpy", {**UPSTREAM, "numpy": "1.21.6"}) is None

    def test_setuptools_weighs_more_before_a_build(self) -> None:
        found = packages({"setuptools": "82.0.0", "openmim": "0.3.9"})
        running = rules.setuptools_fits(packages=found, goal=Goal())
        building = rules.setuptools_fits(packages=found, goal=Goal("build-ext"))
        assert running is not None
        assert building is not None
        assert (running.severity, building.severity) == ("warning", "problem")

    def drift(self, package: str, found: dict[str, str]) -> object:
        given = packages(found)
        if package == "setuptools":
            return rules.setuptools_fits(packages=given, goal=Goal())
        rule = {"yapf": rules.yapf_is_old_enough, "protobuf": rules.protobuf_fits, "numpy": rules.numpy_fits}[package]
        return rule(packages=given)


class TestNumba:
    @pytest.mark.parametrize(("numba", "numpy"), [("0.48.0", "1.20.0"), ("0.56.4", "1.24.0"), ("0.60.0", "2.1.0")])
    def test_numpy_beyond_it(self, numba: str, numpy: str) -> None:
        found = rules.numba_accepts_numpy(packages=packages({"numba": numba, "numpy": numpy}))
        assert found is not None
        assert found.saw == f"numba {numba} with numpy {numpy}"

    @pytest.mark.parametrize(
        "found",
        [
            {"numba": "0.48.0", "numpy": "1.19.5"},
            {"numba": "0.60.0", "numpy": "2.0.2"},
            {"numba": "0.99.0", "numpy": "2.9.0"},
            {"numba": "1", "numpy": "2.0.0"},
            {"numba": "0.56.4"},
            {"numpy": "2.0.0"},
        ],
    )
    def test_numpy_within_it_or_unknown(self, found: dict[str, str]) -> None:
        assert rules.numba_accepts_numpy(packages=packages(found)) is None

    def test_the_pin_is_the_next_line(self) -> None:
        found = rules.numba_accepts_numpy(packages=packages({"numba": "0.56.4", "numpy": "1.26.0"}))
        assert found is not None
        assert (found.expected, found.fix[0]) == ("numpy up to 1.23", 'pip install "numpy<1.24"')


class TestOpencv:
    @pytest.mark.parametrize(
        ("found", "version"),
        [
            ({"opencv-python": "4.5.5.64", "opencv-python-headless": "4.11.0.86"}, "4.11.0.86"),
            ({"opencv-python": "4.5.5.64", "opencv-contrib-python": "4.6.0.66"}, "4.5.5.64"),
            ({"opencv-contrib-python-headless": "4.7.0.72", "opencv-contrib-python": "4.6.0.66"}, "4.6.0.66"),
        ],
    )
    def test_two_of_them(self, found: dict[str, str], version: str) -> None:
        finding = rules.one_opencv(packages=packages(found))
        assert finding is not None
        assert finding.fix[1] == f'pip install "opencv-python-headless=={version}"'

    @pytest.mark.parametrize("found", [{}, {"opencv-python": "4.5.5.64"}])
    def test_one_or_none(self, found: dict[str, str]) -> None:
        assert rules.one_opencv(packages=packages(found)) is None
