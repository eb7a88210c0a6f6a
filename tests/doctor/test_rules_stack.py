"""STK and DAT: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.facts import (
    GIB,
    DataSet,
    Disk,
    Driver,
    Gpu,
    Gpus,
    Memory,
    Packages,
    PciGpu,
    PciGpus,
    Python,
    Pythons,
    System,
    Unknown,
)
from doctor.finding import Goal
from doctor.rules import data, stack
from doctor.stacks import read_stacks

STACKS = read_stacks(Path(__file__).resolve().parents[2] / "env")
X86 = System(kernel="6.8.0", machine="x86_64", distribution="Ubuntu 22.04")
GTX_780 = Gpu("GeForce GTX 780", (3, 5))
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9))
EMPTY = Packages("/usr/bin/python3", (3, 11, 2), ())
TORCH = Packages("/venv/bin/python", (3, 11, 2), (("torch", "2.11.0+cu130"),))


def python(*version: int, has_venv: bool = True, glibc: tuple[int, ...] | None = (2, 35)) -> Python:
    return Python(path="/usr/bin/python3", version=version, has_venv=has_venv, glibc=glibc)


def driver(*version: int) -> Driver:
    return Driver(version=version, cuda=None, source="NVML")


def test_a_driver_too_old_for_every_stack() -> None:
    found = stack.driver_runs_a_stack(driver=driver(525, 60, 12), gpus=Gpus((RTX_4090,)), stacks=STACKS)
    assert found is not None
    assert found.expected == "525.60.13 or newer"
    assert found.fix[0].startswith("install a newer driver")


def test_no_newer_driver_for_a_gpu_that_they_dropped() -> None:
    for gpus in (Gpus((GTX_780,)), Gpus((RTX_4090, GTX_780))):
        found = stack.driver_runs_a_stack(driver=driver(470, 256, 2), gpus=gpus, stacks=STACKS)
        assert found is not None
        assert found.fix[0].startswith("keep this driver: 470 is the last branch for GeForce GTX 780")


@pytest.mark.parametrize("gpus", [Gpus((Gpu("Tesla P100", (6, 0)),)), Unknown("no driver")], ids=str)
def test_a_newer_driver_where_there_is_one(gpus: Gpus | Unknown) -> None:
    found = stack.driver_runs_a_stack(driver=driver(470, 256, 2), gpus=gpus, stacks=STACKS)
    assert found is not None
    assert found.fix[0].startswith("install a newer driver")


def test_the_oldest_driver_that_will_do() -> None:
    assert stack.driver_runs_a_stack(driver=driver(525, 60, 13), gpus=Unknown("no driver"), stacks=STACKS) is None


def test_the_only_gpu_is_too_old() -> None:
    found = stack.stack_covers_gpus(gpus=Gpus((GTX_780,)), system=X86, stacks=STACKS)
    assert found is not None
    assert found.severity == "problem"


def test_a_display_card_beside_a_good_gpu_is_a_warning() -> None:
    found = stack.stack_covers_gpus(gpus=Gpus((RTX_4090, GTX_780)), system=X86, stacks=STACKS)
    assert found is not None
    assert found.severity == "warning"


def test_a_gpu_that_one_stack_covers() -> None:
    pascal = Gpu("Tesla P100-PCIE-16GB", (6, 0))
    assert stack.stack_covers_gpus(gpus=Gpus((RTX_4090, pascal)), system=X86, stacks=STACKS) is None


def test_no_gpu_is_a_note() -> None:
    found = stack.there_is_a_gpu(pci=PciGpus(()), gpus=Unknown("no driver library"))
    assert found is not None
    assert found.severity == "note"


def test_no_gpu_is_said_also_where_no_bus_can_be_seen() -> None:
    assert stack.there_is_a_gpu(pci=Unknown("no /sys"), gpus=Unknown("no driver library")) is not None


@pytest.mark.parametrize(
    ("pci", "gpus"),
    [
        (PciGpus(()), Gpus((RTX_4090,))),
        (PciGpus((PciGpu("0000:01:00.0", "2684", ""),)), Unknown("no driver library")),
        (Unknown("no /sys"), Unknown("NVML gave no answer in 4 s", looked=False)),
    ],
    ids=["there is one", "one without driver is another rule's", "nobody could look"],
)
def test_no_gpu_is_not_claimed(pci: PciGpus | Unknown, gpus: Gpus | Unknown) -> None:
    assert stack.there_is_a_gpu(pci=pci, gpus=gpus) is None


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 13, 0)])
def test_no_python_in_range(version: tuple[int, ...]) -> None:
    found = stack.python_is_in_range(pythons=Pythons((python(*version),)), stacks=STACKS)
    assert found is not None
    assert found.expected == "Python 3.10 to 3.12"


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 12, 9)])
def test_one_python_in_range_is_enough(version: tuple[int, ...]) -> None:
    assert stack.python_is_in_range(pythons=Pythons((python(3, 13, 0), python(*version))), stacks=STACKS) is None


def test_python_without_venv_names_its_package() -> None:
    pythons = Pythons((python(3, 13, 0), python(3, 11, 2, has_venv=False)))
    found = stack.python_has_venv(pythons=pythons, stacks=STACKS)
    assert found is not None
    assert found.fix == ("sudo apt install python3.11-venv",)


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 12, 0)])
def test_the_first_and_last_python_need_it_too(version: tuple[int, ...]) -> None:
    assert stack.python_has_venv(pythons=Pythons((python(*version, has_venv=False),)), stacks=STACKS) is not None


def test_python_with_venv() -> None:
    one_lacks_it = Pythons((python(3, 11, 2, has_venv=False), python(3, 12, 1)))
    assert stack.python_has_venv(pythons=one_lacks_it, stacks=STACKS) is None
    assert stack.python_has_venv(pythons=Pythons((python(3, 9, 2, has_venv=False),)), stacks=STACKS) is None


@pytest.mark.parametrize(("glibc", "word"), [((2, 27), "glibc 2.27"), (None, "not glibc")])
def test_an_old_or_other_c_library(glibc: tuple[int, ...] | None, word: str) -> None:
    found = stack.glibc_is_new_enough(pythons=Pythons((python(3, 11, 2, glibc=glibc),)), stacks=STACKS)
    assert found is not None
    assert word in found.saw


def test_the_oldest_c_library_that_will_do() -> None:
    assert stack.glibc_is_new_enough(pythons=Pythons((python(3, 11, 2, glibc=(2, 28)),)), stacks=STACKS) is None


def test_a_small_disk() -> None:
    found = stack.disk_has_room(disk=Disk("/home", 3 * GIB), packages=EMPTY, stacks=STACKS)
    assert found is not None
    assert found.saw == "3.0 GiB free at /home"


def test_a_small_disk_on_which_the_stack_already_is() -> None:
    assert stack.disk_has_room(disk=Disk("/home", 3 * GIB), packages=TORCH, stacks=STACKS) is None


def test_a_large_disk() -> None:
    unknown = Unknown("no answer")
    assert stack.disk_has_room(disk=Disk("/home", 9 * GIB), packages=unknown, stacks=STACKS) is None
    assert stack.disk_has_room(disk=Disk("/home", 9 * GIB - 1), packages=unknown, stacks=STACKS) is not None
    assert stack.disk_has_room(disk=Disk("/home", 50 * GIB), packages=unknown, stacks=STACKS) is None


def test_little_memory() -> None:
    assert stack.memory_is_enough(memory=Memory(16 * GIB, 8 * GIB - 1)) is not None
    assert stack.memory_is_enough(memory=Memory(16 * GIB, 8 * GIB)) is None


def test_a_cpu_without_wheels() -> None:
    power = System(kernel="6.8.0", machine="ppc64le", distribution="RHEL 9")
    assert stack.cpu_is_supported(system=power) is not None
    assert stack.cpu_is_supported(system=X86) is None


@pytest.mark.parametrize(("goal", "severity"), [(Goal("run"), "note"), (Goal("recipe", "bevformer_tiny"), "warning")])
def test_another_torch_than_the_pinned(goal: Goal, severity: str) -> None:
    other = Packages("/venv/bin/python", (3, 11, 2), (("torch", "2.10.0"),))
    found = stack.environment_is_pinned(packages=other, stacks=STACKS, goal=goal)
    assert found is not None
    assert found.severity == severity


@pytest.mark.parametrize("packages", [EMPTY, TORCH], ids=["nothing installed", "the pinned one"])
def test_the_pinned_torch_or_none(packages: Packages) -> None:
    assert stack.environment_is_pinned(packages=packages, stacks=STACKS, goal=Goal("run")) is None


class TestData:
    WHOLE = DataSet(path="/d", versions=("v1.0-mini",), cameras=("CAM",) * 6, can_bus=True)

    def test_a_folder_without_tables(self) -> None:
        found = data.tables_are_there(data=DataSet(path="/d", versions=()))
        assert found is not None
        assert found.saw == "/d has no folder v1.0-…"

    def test_a_table_missing(self) -> None:
        cut = DataSet(path="/d", versions=("v1.0-mini",), missing_tables=("v1.0-mini/scene.json",))
        found = data.tables_are_there(data=cut)
        assert found is not None
        assert "v1.0-mini/scene.json" in found.saw

    @pytest.mark.parametrize(("missing", "saw"), [("abc", "/d lacks a, b, c"), ("abcd", "/d lacks a, b, c …")])
    def test_many_tables_missing_are_cut_short(self, missing: str, saw: str) -> None:
        found = data.tables_are_there(data=DataSet(path="/d", versions=("v1.0-mini",), missing_tables=tuple(missing)))
        assert found is not None
        assert found.saw == saw

    def test_five_cameras(self) -> None:
        found = data.cameras_are_there(data=DataSet(path="/d", versions=("v1.0-mini",), cameras=("CAM",) * 5))
        assert found is not None
        assert "5 of 6" in found.saw

    def test_no_can_bus(self) -> None:
        assert data.can_bus_is_there(data=DataSet(path="/d", versions=("v1.0-mini",))) is not None


class TestMemoryForARecipe:
    def judge(self, goal: Goal, *sizes: int | None) -> str:
        gpus = Gpus(tuple(Gpu("GPU", (8, 9), size) for size in sizes))
        found = stack.memory_trains_recipe(gpus=gpus, goal=goal)
        return f"{found.severity}: {found.expected}" if found else ""

    def test_no_gpu_is_large_enough(self) -> None:
        assert self.judge(Goal("recipe", "bevformer_base"), 24 * GIB, 11 * GIB, None) == (
            "warning: 27.8 GiB on one GPU to train bevformer_base"
        )

    def test_one_gpu_is_just_large_enough(self) -> None:
        need = 28500 << 20
        assert self.judge(Goal("recipe", "bevformer_base"), need, GIB) == ""
        assert self.judge(Goal("recipe", "bevformer_base"), need - 1) != ""

    def test_no_need_no_size_no_finding(self) -> None:
        assert self.judge(Goal("recipe", "bevformer_nano"), GIB) == ""
        assert self.judge(Goal("recipe", "bevformer_base"), None) == ""
        assert self.judge(Goal("run"), GIB) == ""
