"""The guard of the upstream environment, in processes of its own: what it stands in for, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from doctor.locks.phases import guard_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with the guard as pip would unpack it, and a package mmdet3d whose operators were not built."""
    with zipfile.ZipFile(guard_wheel(tmp_path)) as archive:
        archive.extractall(tmp_path / "site")
    voxel = tmp_path / "site" / "mmdet3d" / "ops" / "voxel"
    voxel.mkdir(parents=True)
    for folder in (voxel, voxel.parent, voxel.parent.parent):
        (folder / "__init__.py").touch()
    return tmp_path / "site"


def python(site: Path, words: str, **variables: str) -> str:
    """Return what `words` print in a Python that reads the .pth files of `site`, or the last line of its traceback."""
    script = f"import site; site.addsitedir({str(site)!r})\n{words}"
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def test_an_operator_that_was_not_built_is_imported_and_fails_when_it_is_used(site: Path) -> None:
    words = "from mmdet3d.ops.voxel.voxel_layer import hard_voxelize\nhard_voxelize(1)"
    told = "RuntimeError: mmdet3d.ops.voxel.voxel_layer.hard_voxelize is not installed here: it needs CUDA"
    assert python(site, words).startswith(told)


def test_a_class_that_inherits_from_a_stand_in_says_the_same(site: Path) -> None:
    words = "from detectron2.structures import Boxes\nclass Boxes3D(Boxes):\n    'Ours.'\nBoxes3D()"
    assert "detectron2.structures.Boxes is not installed here: only BEVFormer v2" in python(site, words)


def test_an_operator_that_was_built_is_used(site: Path) -> None:
    (site / "mmdet3d" / "ops" / "voxel" / "voxel_layer.py").write_text("built = True\n", encoding="utf-8")
    assert python(site, "from mmdet3d.ops.voxel import voxel_layer; print(voxel_layer.built)") == "True"


def test_a_misspelled_module_is_still_missing(site: Path) -> None:
    assert "No module named 'mmdet3d.ops.voxel.voxel_lair'" in python(site, "import mmdet3d.ops.voxel.voxel_lair")


def test_detectron2_can_be_inherited_from_and_says_who_needs_it(site: Path) -> None:
    words = "from detectron2.structures import Boxes\nclass Mine(Boxes): pass\nBoxes()"
    assert "only BEVFormer v2's data mapper needs it" in python(site, words)


@pytest.mark.parametrize(("package", "expected"), [("mmdet3d", "[]"), ("mmcv-full", "['an extension']")])
def test_only_mmdet3d_is_built_without_its_operators(site: Path, package: str, expected: str) -> None:
    fake = "def setup(**words): print(words['ext_modules'])\n"
    (site / "setuptools.py").write_text(fake, encoding="utf-8")
    words = f"import sys; sys.path.insert(0, {str(site)!r})\nimport bevready_guard\nfrom setuptools import setup\n"
    words += f"setup(name={package!r}, ext_modules=['an extension'])"
    script = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{words}"]
    done = subprocess.run(
        script,
        env={"BEVREADY_WITHOUT_CUDA_OPERATORS": "mmdet3d"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")
