"""The tables: the binary-compatibility rule, driver bounds, and that rows are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doctor.compat import drivers, gpus, mmcv, packages, recipes, toolkits
from doctor.compat.archs import coverage
from doctor.compat.torch import RELEASES, archs_of, cxx11_abi, torch_row

if TYPE_CHECKING:
    from doctor.facts import Flavour


@pytest.mark.parametrize(
    ("archs", "gpu", "reached"),
    [
        (["sm_80", "sm_86", "sm_90"], (8, 9), "native"),  # dispute F1
        (["sm_60"], (6, 1), "native"),  # dispute F1, astral-sh/uv issue 14742
        (["sm_86"], (8, 0), "none"),
        (["sm_80"], (9, 0), "none"),
        (["sm_90", "compute_90"], (12, 0), "ptx"),  # dispute F2
        (["compute_90a"], (12, 0), "none"),
        (["compute_90a"], (9, 0), "ptx"),
        (["sm_90a"], (9, 0), "native"),
        (["sm_100a"], (10, 3), "none"),
        (["sm_100f"], (10, 3), "native"),
        (["sm_100f"], (12, 0), "none"),
        (["compute_90"], (8, 9), "none"),
        (["compute_89"], (8, 9), "ptx"),
        (["sm_80"], (8, 7), "none"),  # Tegra takes only its own
        (["sm_87"], (8, 9), "none"),
        (["sm_87"], (8, 7), "native"),
        (["sm_120"], (12, 1), "native"),
        (["nonsense", "sm_", ""], (8, 9), "none"),
        ([], (8, 9), "none"),
    ],
)
def test_which_code_reaches_which_gpu(archs: list[str], gpu: tuple[int, int], reached: str) -> None:
    assert coverage(archs, gpu) == reached


@pytest.mark.parametrize(
    ("cuda", "oldest"),
    [((12, 8), (525, 60, 13)), ((13, 4), (580, 65, 6)), ((11, 0), (450, 80, 2)), ((10, 2), (440, 33)), ((9, 0), None)],
)
def test_the_oldest_driver_for_a_cuda(cuda: tuple[int, int], oldest: tuple[int, ...] | None) -> None:
    assert drivers.min_driver(cuda) == oldest


@pytest.mark.parametrize(("branch", "newer"), [(580, False), (615, False), (619, False), (620, True), (700, True)])
def test_which_drivers_are_newer_than_the_table(branch: int, *, newer: bool) -> None:
    assert drivers.is_newer_than_table((branch, 1)) == newer


@pytest.mark.parametrize(("gpu", "branch"), [((3, 5), 470), ((7, 0), 580), ((7, 5), None), ((12, 0), None)])
def test_the_last_branch_for_a_gpu(gpu: tuple[int, int], branch: int | None) -> None:
    assert drivers.last_branch_for(gpu) == branch


@pytest.mark.parametrize(
    ("gpu", "name", "needed"),
    [
        ((7, 0), "Tesla V100-SXM2-16GB", "proprietary"),
        ((7, 2), "Xavier", "proprietary"),
        ((7, 5), "Tesla T4", ""),
        ((9, 0), "NVIDIA H100 80GB HBM3", ""),
        ((9, 0), "NVIDIA GH200 480GB", "open"),
        ((10, 0), "NVIDIA B200", "open"),
        ((12, 0), "NVIDIA GeForce RTX 5090", "open"),
    ],
)
def test_which_kernel_module_a_gpu_needs(gpu: tuple[int, int], name: str, needed: Flavour) -> None:
    assert drivers.needed_flavour(gpu, name) == needed


@pytest.mark.parametrize(
    ("module", "flavour", "gpu", "drives"),
    [
        ((580, 95, 5), "open", (12, 0), True),
        ((580, 95, 5), "proprietary", (12, 0), False),
        ((580, 95, 5), "", (12, 0), True),
        ((580, 95, 5), "proprietary", (7, 0), True),
        ((580, 95, 5), "open", (7, 0), False),
        ((581, 1), "proprietary", (7, 0), False),
        ((590, 48, 1), "open", (8, 9), True),
    ],
)
def test_whether_a_module_takes_a_gpu(
    module: tuple[int, ...], flavour: Flavour, gpu: tuple[int, int], *, drives: bool
) -> None:
    assert drivers.drives(module, flavour, gpu, "a GPU") == drives


def test_consumer_and_data_centre_gpus_by_their_names() -> None:
    consumer = ("NVIDIA GeForce RTX 4090", "GeForce GTX 1080 Ti", "NVIDIA TITAN V", "TITAN RTX")
    data_centre = (
        "Tesla T4",
        "Tesla V100-SXM2-16GB",
        "NVIDIA A100-SXM4-80GB",
        "NVIDIA A10G",
        "NVIDIA A2",
        "NVIDIA H100 80GB HBM3",
        "NVIDIA H200",
        "NVIDIA B200",
        "NVIDIA GH200 480GB",
        "NVIDIA GB200",
        "NVIDIA L4",
        "NVIDIA L40S",
    )
    workstation = (
        "NVIDIA T400 4GB",
        "Quadro P400",
        "NVIDIA RTX A6000",
        "NVIDIA RTX 6000 Ada Generation",
        "Quadro RTX 8000",
        "NVIDIA RTX A2000",
    )
    assert [name for name in consumer if not drivers.is_consumer(name) or drivers.is_data_centre(name)] == []
    assert [name for name in data_centre if drivers.is_consumer(name) or not drivers.is_data_centre(name)] == []
    assert [name for name in workstation if drivers.is_consumer(name) or drivers.is_data_centre(name)] == []


def test_the_table_of_pci_ids_says_its_own_date() -> None:
    assert f"As of {gpus.AS_OF}." in gpus.TABLE.read_text(encoding="utf-8").splitlines()[0]


def test_a_gpu_is_named_without_a_driver() -> None:
    row = gpus.gpu_of_device("2684")
    assert row is not None
    assert (row.name, row.capability) == ("GeForce RTX 4090", (8, 9))
    assert gpus.gpu_of_device("ffff") is None


def test_every_gpu_row_is_whole() -> None:
    assert len(gpus.gpu_rows()) > 800
    assert all(len(row.device_id) == 4 and row.name and row.capability >= (3, 0) for row in gpus.gpu_rows().values())


def test_newer_toolkits_accept_no_older_compilers_than_before() -> None:
    newest_gcc = [row.gcc_max for row in toolkits.TOOLKITS]
    assert newest_gcc == sorted(newest_gcc, reverse=True)


def test_every_torch_build_names_real_architectures() -> None:
    for row in RELEASES:
        for build in row.builds:
            assert any(coverage(build.archs.split(), gpu) == "native" for gpu in ((7, 0), (7, 5), (8, 0)))


def test_what_the_table_says_of_the_pinned_torch() -> None:
    assert archs_of((2, 11, 0), (13, 0)) == ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
    assert archs_of((2, 11, 0), (9, 0)) is None
    assert torch_row((9, 9)) is None


@pytest.mark.parametrize(
    ("version", "cuda", "new_abi"),
    [
        ((1, 9, 1), (11, 1), False),
        ((2, 5, 1), (12, 4), False),
        ((2, 6, 0), (12, 4), False),
        ((2, 6, 0), None, False),
        ((2, 6, 0), (12, 6), True),
        ((2, 7, 0), (12, 6), True),
        ((2, 11, 0), None, True),
        ((1, 0, 0), (9, 0), None),
    ],
)
def test_which_string_abi_an_official_build_has(
    version: tuple[int, ...], cuda: tuple[int, int] | None, *, new_abi: bool | None
) -> None:
    assert cxx11_abi(version, cuda) is new_abi


def test_arm_s_lists_start_where_they_were_read() -> None:
    assert archs_of((2, 9, 0), (12, 8), "aarch64") == ("sm_80", "sm_90", "sm_100", "sm_120")
    assert archs_of((2, 8, 0), (12, 8), "aarch64") is None
    assert archs_of((2, 11, 0), (12, 3), "aarch64") is None
    assert archs_of((2, 11, 0), (13, 0), "riscv64") is None


class TestOpenMmlab:
    def test_each_line_of_torch_stands_once(self) -> None:
        for table in (mmcv.MMCV_FULL, mmcv.MMCV_2):
            assert len({row.torch for row in table}) == len(table)
            assert all(row.oldest <= row.newest and row.cudas for row in table)

    def test_the_windows_are_not_empty_and_of_one_generation(self) -> None:
        for window in mmcv.WINDOWS:
            assert window.low < window.high
            if window.other != "mmengine":
                generations = {
                    mmcv.generation(window.package, window.version),
                    mmcv.generation(window.other, window.low),
                }
                assert len(generations) == 1

    @pytest.mark.parametrize(
        ("version", "accepted"), [((1, 4), True), ((1, 4, 1), False), ((1, 3, 8), True), ((1,), False)]
    )
    def test_a_window_counts_missing_numbers_as_zero(self, version: tuple[int, ...], *, accepted: bool) -> None:
        assert mmcv.Window("mmdet", (2, 14, 0), "mmcv-full", (1, 3, 8), (1, 4, 0)).accepts(version) is accepted

    def test_the_lite_package_ages_as_mmcv_does(self) -> None:
        assert (mmcv.generation("mmcv-lite", (2, 0)), mmcv.generation("mmcv-lite", (1, 7))) == (2, 1)


class TestDrifts:
    def test_every_row_names_its_source_and_a_way_out(self) -> None:
        for row in packages.DRIFTS:
            assert row.source
            assert row.pin.startswith(row.package)
            assert row.first < row.below

    @pytest.mark.parametrize(
        ("numba", "numpy"), [((0, 56, 4), (1, 23)), ((0, 60), (2, 0)), ((9, 9), None), ((1,), None)]
    )
    def test_the_newest_numpy_of_a_numba(self, numba: tuple[int, ...], numpy: tuple[int, int] | None) -> None:
        assert packages.newest_numpy(numba) == numpy


@pytest.mark.parametrize(
    ("memory", "recipe"),
    [
        (6499, None),
        (6500, "bevformer_tiny"),
        (10500, "bevformer_small"),
        (28499, "bevformer_small"),
        (28500, "bevformer_base"),
    ],
)
def test_the_largest_recipe_that_trains(memory: int, recipe: str | None) -> None:
    assert recipes.smaller(memory << 20) == recipe
