"""PKG11 to PKG17: how packages lie on disk: once, twice, half, hidden, linked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doctor.rules import environment as rules
from tests.doctor.site import HERE, SITE, USER, WHOLE, copy, packages

if TYPE_CHECKING:
    from doctor.facts import Copy


class TestTwice:
    def test_in_the_user_s_folder_and_the_environment(self) -> None:
        copies = (copy("torch", "2.11.0", USER), copy("torch", "2.1.2"))
        found = rules.installed_once(environment=replace(WHOLE, copies=copies, user_site=USER))
        assert found is not None
        assert found.saw == f"torch is there as 2.11.0 ({USER}), 2.1.2 ({SITE})"
        assert found.severity == "warning"
        assert found.fix[0].startswith("export PYTHONNOUSERSITE=1")

    def test_in_one_folder_torch_is_broken(self) -> None:
        found = rules.installed_once(
            environment=replace(WHOLE, copies=(copy("torch", "2.9.1"), copy("torch", "2.1.2")))
        )
        assert found is not None
        assert found.severity == "problem"
        assert found.fix[0].startswith("pip uninstall -y torch")

    @pytest.mark.parametrize("name", ["numpy", "nvidia-cudnn-cu12", "mmdet", "opencv-python"])
    def test_others_in_one_folder_are_a_warning(self, name: str) -> None:
        found = rules.installed_once(environment=replace(WHOLE, copies=(copy(name, "2.0"), copy(name, "1.0"))))
        assert found is not None
        assert found.severity == "warning"

    @pytest.mark.parametrize(
        "copies",
        [
            (),
            (copy("torch", "2.11.0", USER), copy("torch", "2.11.0")),
            (copy("idna", "3.0", USER), copy("idna", "2.0")),
            (copy("torch", "2.9.1"), copy("numpy", "1.26.4")),
            (copy("mmdet", "2.0"), copy("mmdet", "1.0", file="mmdet-1.0-py3.10.egg")),
        ],
        ids=["none", "the same version", "a package of no interest", "each once", "an egg, which has its own rule"],
    )
    def test_silent(self, copies: tuple[Copy, ...]) -> None:
        assert rules.installed_once(environment=replace(WHOLE, copies=copies)) is None


def test_what_an_interrupted_pip_left() -> None:
    found = rules.nothing_cut_short(environment=replace(WHOLE, copies=(copy("~orch", "2.9.1"),)))
    assert found is not None
    assert found.saw == f"pip left ~orch-2.9.1.dist-info in {SITE}"
    assert rules.nothing_cut_short(environment=replace(WHOLE, copies=(copy("torch", "2.9.1"),))) is None


class TestHidden:
    def test_a_checkout_s_package_before_the_installed_one(self) -> None:
        there = replace(WHOLE, shadows=("mmdet3d",))
        found = rules.nothing_hidden(environment=there, packages=packages(mmdet3d="0.17.1"))
        assert found is not None
        assert (found.saw, found.confidence) == (
            f"{HERE}/mmdet3d lies in front of the installed mmdet3d 0.17.1",
            "likely",
        )

    @pytest.mark.parametrize("on_path", [{"folders": (SITE, HERE)}, {"pythonpath": (HERE,)}])
    def test_it_is_sure_where_the_checkout_is_on_the_path(self, on_path: dict[str, tuple[str, ...]]) -> None:
        there = replace(WHOLE, shadows=("mmdet3d",), **on_path)  # type: ignore[arg-type]
        found = rules.nothing_hidden(environment=there, packages=packages(mmdet3d="0.17.1"))
        assert found is not None
        assert found.confidence == "sure"

    def test_names_that_differ_from_the_folder_s(self) -> None:
        both = replace(WHOLE, shadows=("mmcv", "mmseg"))
        mmcv = rules.nothing_hidden(environment=both, packages=packages(mmcv_full="1.4.0"))
        mmseg = rules.nothing_hidden(environment=both, packages=packages(mmsegmentation="0.14.1"))
        assert mmcv is not None
        assert mmseg is not None
        assert "mmcv 1.4.0" in mmcv.saw
        assert "mmsegmentation 0.14.1" in mmseg.saw

    def test_silent_without_an_installed_one_or_a_folder(self) -> None:
        assert rules.nothing_hidden(environment=replace(WHOLE, shadows=("mmdet3d",)), packages=packages()) is None
        assert rules.nothing_hidden(environment=WHOLE, packages=packages(mmdet3d="0.17.1")) is None

    def test_a_checkout_that_is_the_installation_hides_nothing(self) -> None:
        linked = replace(WHOLE, shadows=("mmdet3d",), editable=(("mmdet3d", f"{HERE}/"),))
        elsewhere = replace(linked, editable=(("mmdet3d", "/home/user/mmdetection3d"),))
        assert rules.nothing_hidden(environment=linked, packages=packages(mmdet3d="0.17.1")) is None
        assert rules.nothing_hidden(environment=elsewhere, packages=packages(mmdet3d="0.17.1")) is not None


class TestPythonpath:
    @pytest.mark.parametrize(
        ("path", "severity"),
        [
            ("/opt/ros/noetic/lib/python3/dist-packages", "warning"),
            ("/other/lib/python3.10/site-packages/", "warning"),
            ("/other/lib/python3.8/site-packages", "problem"),
        ],
    )
    def test_another_python_s_packages(self, path: str, severity: str) -> None:
        found = rules.pythonpath_is_own(environment=replace(WHOLE, pythonpath=(HERE, path)), packages=packages())
        assert found is not None
        assert found.severity == severity
        assert path in found.saw

    @pytest.mark.parametrize("paths", [(), (HERE,), (SITE,), (USER,)])
    def test_its_own_and_checkouts(self, paths: tuple[str, ...]) -> None:
        there = replace(WHOLE, pythonpath=paths, user_site=USER)
        assert rules.pythonpath_is_own(environment=there, packages=packages()) is None


class TestTools:
    def test_an_installed_package_of_that_name(self) -> None:
        there = replace(WHOLE, shadows=("tools",), modules=(("tools", SITE), ("mmcv", SITE)))
        found = rules.tools_can_be_imported(environment=there)
        assert found is not None
        assert SITE in found.saw

    @pytest.mark.parametrize(
        ("shadows", "modules"),
        [
            ((), (("tools", SITE),)),
            (("tools",), ()),
            (("tools",), (("mmcv", SITE),)),
            (("tools",), (("tools", HERE),)),
            (("tools",), (("tools", HERE), ("tools", SITE))),
        ],
    )
    def test_silent(self, shadows: tuple[str, ...], modules: tuple[tuple[str, str], ...]) -> None:
        assert rules.tools_can_be_imported(environment=replace(WHOLE, shadows=shadows, modules=modules)) is None

    def test_a_checkout_that_is_not_on_the_path(self) -> None:
        there = replace(WHOLE, shadows=("tools", "projects"))
        found = rules.checkout_is_on_path(environment=there)
        assert found is not None
        assert found.severity == "note"
        for path in (HERE, "."):
            assert rules.checkout_is_on_path(environment=replace(there, pythonpath=(path,))) is None
        assert rules.checkout_is_on_path(environment=replace(there, folders=(HERE,))) is None

    @pytest.mark.parametrize("shadows", [(), ("tools",), ("projects",)])
    def test_half_a_checkout_is_none(self, shadows: tuple[str, ...]) -> None:
        assert rules.checkout_is_on_path(environment=replace(WHOLE, shadows=shadows)) is None


def test_a_link_to_a_folder_that_is_gone() -> None:
    there = replace(WHOLE, editable=(("mmdet3d", "/gone"),))
    assert rules.links_lead_somewhere(environment=there) is None
    found = rules.links_lead_somewhere(environment=replace(there, dead_links=there.editable))
    assert found is not None
    assert found.saw == "mmdet3d is a link to /gone, which is not there"
