"""PKG11 to PKG16 and TOR10 to TOR14: how packages lie on disk, whole and broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import Copy, Environment, Packages, Torch, TorchFiles, Unknown
from doctor.rules import environment as rules
from doctor.rules import torch_files as torch_rules

SITE = "/env/lib/python3.10/site-packages"
USER = "/home/user/.local/lib/python3.10/site-packages"
HERE = "/home/user/BEVFormer"
CUDA_FILES = TorchFiles(
    folder=f"{SITE}/torch",
    files=("_C.cpython-310-x86_64-linux-gnu.so", "__init__.py"),
    libraries=("libc10.so", "libc10_cuda.so", "libtorch_cpu.so", "libtorch_cuda.so", "libtorch_python.so"),
    requires=(("nvidia-cudnn-cu12", "9.1.0.70"), ("triton", "3.1.0")),
    installer="pip",
)
WHOLE = Environment(prefix="/env", here=HERE, folders=(SITE,), torch=CUDA_FILES)
CU124 = Torch(version="2.5.1+cu124", cuda=(12, 4))
CPU = Torch(version="2.5.1+cpu", cuda=None)


def packages(**found: str) -> Packages:
    return Packages("/env/bin/python", (3, 10, 14), tuple((name.replace("_", "-"), v) for name, v in found.items()))


def copy(name: str, version: str, folder: str = SITE, file: str = "") -> Copy:
    return Copy(name, version, folder, file or f"{name}-{version}.dist-info")


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


class TestBuildTags:
    @pytest.mark.parametrize(
        ("torch", "torchvision", "severity"),
        [
            ("2.5.1+cu124", "0.20.1+cu121", "warning"),
            ("2.5.1+cu124", "0.20.1+cpu", "problem"),
            ("2.5.1+cpu", "0.20.1+cu124", "problem"),
        ],
    )
    def test_two_of_them(self, torch: str, torchvision: str, severity: str) -> None:
        found = torch_rules.same_build_tags(packages=packages(torch=torch, torchvision=torchvision))
        assert found is not None
        assert found.severity == severity
        assert found.fix[0].endswith(f'"torchvision==0.20.1" --index-url https://download.pytorch.org/whl/{torch[6:]}')

    @pytest.mark.parametrize(
        "found",
        [
            {"torch": "2.5.1+cu124", "torchvision": "0.20.1+cu124"},
            {"torch": "2.5.1", "torchvision": "0.20.1+cu124"},
            {"torch": "2.5.1+cu124", "torchvision": "0.20.1"},
            {"torch": "2.5.1+cu124"},
            {},
        ],
    )
    def test_one_or_none(self, found: dict[str, str]) -> None:
        assert torch_rules.same_build_tags(packages=packages(**found)) is None


class TestTorchFiles:
    def missing(self, files: TorchFiles | None, torch: Torch | Unknown = CU124) -> str:
        found = torch_rules.torch_is_whole(
            environment=replace(WHOLE, torch=files), packages=packages(torch="2.5.1"), torch=torch
        )
        return found.saw.partition("missing: ")[2] if found else ""

    def test_whole(self) -> None:
        assert self.missing(CUDA_FILES) == ""

    def test_metadata_alone(self) -> None:
        assert self.missing(TorchFiles(folder=""), Unknown("only metadata")) == "torch/"

    @pytest.mark.parametrize("name", CUDA_FILES.libraries)
    def test_each_library_counts(self, name: str) -> None:
        left = tuple(library for library in CUDA_FILES.libraries if library != name)
        assert self.missing(replace(CUDA_FILES, libraries=left)) == f"torch/lib/{name}"

    @pytest.mark.parametrize(
        ("left", "gone"),
        [("__init__.py", "torch/_C.*.so"), ("_C.cpython-310-x86_64-linux-gnu.so", "torch/__init__.py")],
    )
    def test_each_start_up_file_counts(self, left: str, gone: str) -> None:
        assert self.missing(replace(CUDA_FILES, files=(left,))) == gone

    def test_a_cpu_build_has_no_cuda_libraries(self) -> None:
        left = tuple(library for library in CUDA_FILES.libraries if "cuda" not in library)
        assert self.missing(replace(CUDA_FILES, libraries=left), CPU) == ""
        assert self.missing(replace(CUDA_FILES, libraries=left), Unknown("unread")) == ""

    def test_no_torch_is_not_a_broken_one(self) -> None:
        files = TorchFiles(folder="")
        there = replace(WHOLE, torch=files)
        assert torch_rules.torch_is_whole(environment=there, packages=packages(), torch=CU124) is None
        assert self.missing(None) == ""

    def test_conda_keeps_them_elsewhere(self) -> None:
        there = replace(WHOLE, torch=TorchFiles(folder=""), conda=(("pytorch", "2.5.1-py3.10_0"),))
        assert torch_rules.torch_is_whole(environment=there, packages=packages(torch="2.5.1"), torch=CU124) is None


class TestTorchRequirements:
    def test_another_cudnn(self) -> None:
        found = torch_rules.nvidia_wheels_match(
            environment=WHOLE, packages=packages(torch="2.5.1", nvidia_cudnn_cu12="8.9.2.26", triton="3.1.0")
        )
        assert found is not None
        assert found.fix == ('pip install "nvidia-cudnn-cu12==9.1.0.70"',)

    def test_another_triton(self) -> None:
        given = packages(torch="2.5.1", nvidia_cudnn_cu12="9.1.0.70", triton="3.0.0")
        assert torch_rules.nvidia_wheels_match(environment=WHOLE, packages=given) is None
        found = torch_rules.triton_matches(environment=WHOLE, packages=given)
        assert found is not None
        assert (found.saw, found.expected) == ("torch 2.5.1 with triton 3.0.0", "triton 3.1.0")

    @pytest.mark.parametrize(
        "found",
        [{"nvidia_cudnn_cu12": "9.1.0.70", "triton": "3.1.0"}, {"triton": "3.1.0+git1234"}, {}],
        ids=["as asked", "with a local part", "absent"],
    )
    def test_silent(self, found: dict[str, str]) -> None:
        given = packages(torch="2.5.1", **found)
        assert torch_rules.nvidia_wheels_match(environment=WHOLE, packages=given) is None
        assert torch_rules.triton_matches(environment=WHOLE, packages=given) is None
        assert torch_rules.triton_matches(environment=replace(WHOLE, torch=None), packages=given) is None


class TestLibraryPath:
    OVERRIDES = ("/usr/local/cuda/lib64/libcudart.so.11.0",)

    def test_cuda_libraries_before_torch_s_own(self) -> None:
        found = torch_rules.own_libraries_first(environment=replace(WHOLE, overrides=self.OVERRIDES), torch=CU124)
        assert found is not None
        assert found.evidence == self.OVERRIDES

    def test_silent_without_them_for_cpu_builds_and_for_conda(self) -> None:
        there = replace(WHOLE, overrides=self.OVERRIDES)
        assert torch_rules.own_libraries_first(environment=WHOLE, torch=CU124) is None
        assert torch_rules.own_libraries_first(environment=there, torch=CPU) is None
        from_conda = replace(there, torch=replace(CUDA_FILES, installer="conda"))
        assert torch_rules.own_libraries_first(environment=from_conda, torch=CU124) is None
        assert torch_rules.own_libraries_first(environment=replace(there, torch=None), torch=CU124) is not None


class TestCondaAndPip:
    CONDA = (("pytorch", "2.1.2-py3.10_cuda12.1_cudnn8.9.2_0"),)

    @pytest.mark.parametrize("installer", ["pip", "uv"])
    def test_both(self, installer: str) -> None:
        there = replace(WHOLE, conda=self.CONDA, torch=replace(CUDA_FILES, installer=installer))
        found = torch_rules.one_source_of_torch(environment=there, packages=packages(torch="2.5.1"))
        assert found is not None
        assert "2.1.2" in found.saw

    def test_one(self) -> None:
        given = packages(torch="2.5.1")
        only_conda = replace(WHOLE, conda=self.CONDA, torch=replace(CUDA_FILES, installer="conda"))
        other = replace(WHOLE, conda=(("numpy", "1.26.4-py310_0"),))
        for there in (WHOLE, only_conda, other, replace(WHOLE, conda=self.CONDA, torch=None)):
            assert torch_rules.one_source_of_torch(environment=there, packages=given) is None
