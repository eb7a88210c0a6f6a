"""The tables: the binary-compatibility rule, driver bounds, and that rows are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doctor.compat import drivers, gpus, toolkits
from doctor.compat.archs import coverage
from doctor.compat.torch import RELEASES, archs_of, torch_row

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
