"""TOR: each rule fires on its fault and stays silent beside it; disputes F1 to F3 and F8 of other doctors are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doctor.facts import Driver, Gpu, Gpus, Packages, PciGpu, PciGpus, System, Torch, Unknown
from doctor.rules import torch
from doctor.stacks import read_stacks

STACKS = read_stacks(Path(__file__).resolve().parents[2] / "env")

X86 = System(kernel="6.8.0", machine="x86_64", distribution="Ubuntu 22.04")
ARM = System(kernel="6.8.0", machine="aarch64", distribution="Ubuntu 22.04")
RTX_4090 = Gpus((Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24 << 30),))
RTX_5090 = Gpus((Gpu("NVIDIA GeForce RTX 5090", (12, 0), 32 << 30),))
GTX_1080 = Gpus((Gpu("NVIDIA GeForce GTX 1080", (6, 1), 8 << 30),))
V100 = Gpus((Gpu("Tesla V100-SXM2-16GB", (7, 0), 16 << 30),))
NO_GPU = Unknown("no NVIDIA driver library can be loaded")
NO_PCI = PciGpus(())
CU130 = Torch(version="2.11.0+cu130", cuda=(13, 0))
CPU = Torch(version="2.13.0+cpu", cuda=None)


def driver(*version: int) -> Driver:
    return Driver(version=version, cuda=None, source="NVML")


def packages(**found: str) -> Packages:
    return Packages("/venv/bin/python", (3, 11, 7), tuple((name.replace("_", "-"), v) for name, v in found.items()))


def on(system: System, *version: int, python: tuple[int, ...] = (3, 11, 7)) -> dict[str, Any]:
    """Return what a reinstallation depends on besides the GPUs."""
    return {
        "system": system,
        "driver": driver(*version) if version else Unknown("no driver"),
        "packages": Packages("/venv/bin/python", python, ()),
        "stacks": STACKS,
    }


HERE = on(X86)


def command(stack: str, torch_version: str, torchvision: str) -> str:
    return (
        f"/venv/bin/python -m pip install --force-reinstall torch=={torch_version} torchvision=={torchvision}"
        f" --index-url https://download.pytorch.org/whl/{stack}"
    )


class TestTheBuildToInstall:
    """pip's own choice is the newest build: of no use on an older driver or GPU."""

    @pytest.mark.parametrize(
        ("gpus", "version", "expected"),
        [
            (RTX_4090, (580, 65, 6), command("cu130", "2.11.0", "0.26.0")),
            (RTX_4090, (570, 172, 8), command("cu128", "2.9.1", "0.24.1")),
            (RTX_4090, (), command("cu130", "2.11.0", "0.26.0")),
            (GTX_1080, (580, 95, 5), command("cu126", "2.7.1", "0.22.1")),
            (Gpus((*RTX_5090.found, *V100.found)), (580, 95, 5), command("cu128", "2.9.1", "0.24.1")),
        ],
    )
    def test_it_fits_driver_and_gpus(self, gpus: Gpus, version: tuple[int, ...], expected: str) -> None:
        found = torch.torch_is_a_cuda_build(torch=CPU, gpus=gpus, pci=NO_PCI, **on(X86, *version))
        assert found is not None
        assert found.fix[1:] == (expected,)

    def test_of_a_build_without_code_for_the_gpu(self) -> None:
        found = torch.torch_covers_gpus(torch=CU130, gpus=GTX_1080, **on(X86, 580, 95, 5))
        assert found is not None
        assert found.fix[1:] == (command("cu126", "2.7.1", "0.22.1"),)

    def test_the_gpu_of_the_bus_counts_where_no_driver_answers(self) -> None:
        pci = PciGpus((PciGpu("0000:01:00.0", "15f8", "", "Tesla P100 PCIe 16GB", (6, 0)),))
        found = torch.torch_is_a_cuda_build(torch=CPU, gpus=NO_GPU, pci=pci, **HERE)
        assert found is not None
        assert found.fix[1:] == (command("cu126", "2.7.1", "0.22.1"),)

    def test_none_is_named_where_none_fits(self) -> None:
        mixed = Gpus((*RTX_5090.found, *GTX_1080.found))
        for gpus, here in (
            (mixed, on(X86, 580, 95, 5)),
            (RTX_4090, on(X86, 470, 82, 1)),
            (RTX_4090, on(X86, python=(3, 8, 19))),
            (RTX_4090, on(X86, python=(3, 13, 1))),
        ):
            found = torch.torch_is_a_cuda_build(torch=CPU, gpus=gpus, pci=NO_PCI, **here)
            assert found is not None
            assert found.fix == ("./bevready repro … installs a pinned stack into .venv and uses that",)

    @pytest.mark.parametrize("python", [(3, 10, 12), (3, 12, 3)])
    def test_the_first_and_the_last_python(self, python: tuple[int, ...]) -> None:
        found = torch.torch_is_a_cuda_build(torch=CPU, gpus=RTX_4090, pci=NO_PCI, **on(X86, python=python))
        assert found is not None
        assert len(found.fix) == 2


def test_an_import_that_fails_is_quoted() -> None:
    broken = Torch(version="2.11.0", cuda=(13, 0), imported=False, import_error="ImportError: libcudart.so.13")
    found = torch.torch_imports(torch=broken)
    assert found is not None
    assert "libcudart.so.13" in found.saw


@pytest.mark.parametrize("imported", [None, True])
def test_an_import_that_works_or_was_not_tried_is_silent(*, imported: bool | None) -> None:
    assert torch.torch_imports(torch=Torch(version="2.11.0", cuda=(13, 0), imported=imported)) is None


class TestCpuBuild:
    def test_with_a_gpu_the_driver_shows(self) -> None:
        found = torch.torch_is_a_cuda_build(torch=CPU, gpus=RTX_4090, pci=NO_PCI, **HERE)
        assert found is not None
        assert "RTX 4090" in found.saw

    def test_with_a_gpu_that_only_the_bus_shows(self) -> None:
        pci = PciGpus((PciGpu("0000:01:00.0", "2684", "", "NVIDIA GeForce RTX 4090", (8, 9)),))
        assert torch.torch_is_a_cuda_build(torch=CPU, gpus=NO_GPU, pci=pci, **HERE) is not None

    def test_without_a_gpu_it_is_fine(self) -> None:
        assert torch.torch_is_a_cuda_build(torch=CPU, gpus=NO_GPU, pci=NO_PCI, **HERE) is None
        assert torch.torch_is_a_cuda_build(torch=CPU, gpus=NO_GPU, pci=Unknown("no /sys"), **HERE) is None

    def test_a_cuda_build_is_fine(self) -> None:
        assert torch.torch_is_a_cuda_build(torch=CU130, gpus=RTX_4090, pci=NO_PCI, **HERE) is None


class TestArchitectures:
    def test_f1_same_major_code_runs_on_a_higher_minor(self) -> None:
        assert torch.torch_covers_gpus(torch=CU130, gpus=RTX_4090, **on(X86)) is None

    def test_f2_ptx_runs_and_is_only_a_note(self) -> None:
        build = Torch(version="2.9.0", cuda=(12, 8), archs=("sm_80", "sm_90", "compute_90"))
        found = torch.torch_covers_gpus(torch=build, gpus=RTX_5090, **on(X86))
        assert found is not None
        assert found.severity == "note"

    def test_f2_architecture_specific_ptx_does_not(self) -> None:
        build = Torch(version="2.9.0", cuda=(12, 8), archs=("sm_80", "compute_90a"))
        found = torch.torch_covers_gpus(torch=build, gpus=RTX_5090, **on(X86))
        assert found is not None
        assert found.severity == "problem"

    def test_blackwell_with_a_build_that_predates_it(self) -> None:
        old = Torch(version="2.5.1+cu124", cuda=(12, 4))
        found = torch.torch_covers_gpus(torch=old, gpus=RTX_5090, **on(X86))
        assert found is not None
        assert "sm_90" in found.saw

    def test_a_mixed_host_is_judged_by_every_gpu(self) -> None:
        mixed = Gpus((*RTX_4090.found, Gpu("Tesla P100-PCIE-16GB", (6, 0))))
        found = torch.torch_covers_gpus(torch=CU130, gpus=mixed, **on(X86))
        assert found is not None
        assert "P100" in found.saw

    def test_an_unknown_build_is_not_judged(self) -> None:
        custom = Torch(version="2.11.0+custom", cuda=(12, 3))
        assert torch.torch_covers_gpus(torch=custom, gpus=RTX_5090, **on(X86)) is None

    def test_arm_has_lists_of_its_own(self) -> None:
        thor, hopper, ada = (Gpus((Gpu("GPU", capability),)) for capability in ((11, 0), (9, 0), (8, 9)))
        assert [torch.torch_covers_gpus(torch=CU130, gpus=gpu, **on(ARM)) for gpu in (thor, hopper, ada)] == [None] * 3
        turing = Gpus((Gpu("T4G", (7, 5)),))
        assert torch.torch_covers_gpus(torch=CU130, gpus=turing, **on(X86)) is None
        found = torch.torch_covers_gpus(torch=CU130, gpus=turing, **on(ARM))
        assert found is not None
        assert "sm_110" in found.saw

    def test_arm_before_its_lists_were_read_and_other_cpus_are_not_judged(self) -> None:
        turing = Gpus((Gpu("T4G", (7, 5)),))
        old = Torch(version="2.8.0+cu128", cuda=(12, 8))
        power = System(kernel="6.8.0", machine="ppc64le", distribution="RHEL 8")
        assert torch.torch_covers_gpus(torch=old, gpus=turing, **on(ARM)) is None
        assert torch.torch_covers_gpus(torch=CU130, gpus=turing, **on(power)) is None


class TestDriverForTorch:
    def test_f3_minor_version_compatibility(self) -> None:
        assert (
            torch.driver_runs_torch(torch=Torch(version="2.5.1+cu124", cuda=(12, 4)), driver=driver(535, 183, 1))
            is None
        )

    @pytest.mark.parametrize(
        ("cuda", "version"),
        [((12, 8), (525, 60, 12)), ((13, 0), (580, 65, 5)), ((13, 0), (570, 195, 3)), ((11, 8), (450, 80, 1))],
    )
    def test_one_step_below_the_bound(self, cuda: tuple[int, int], version: tuple[int, ...]) -> None:
        found = torch.driver_runs_torch(torch=Torch(version="2.9.1", cuda=cuda), driver=driver(*version))
        assert found is not None

    @pytest.mark.parametrize(
        ("cuda", "version"), [((12, 8), (525, 60, 13)), ((13, 0), (580, 65, 6)), ((11, 1), (450, 80, 2))]
    )
    def test_on_the_bound(self, cuda: tuple[int, int], version: tuple[int, ...]) -> None:
        assert torch.driver_runs_torch(torch=Torch(version="2.9.1", cuda=cuda), driver=driver(*version)) is None

    def test_before_cuda_11_each_minor_counts(self) -> None:
        old = Torch(version="1.9.1+cu102", cuda=(10, 2))
        assert torch.driver_runs_torch(torch=old, driver=driver(440, 32)) is not None
        assert torch.driver_runs_torch(torch=old, driver=driver(440, 33)) is None

    def test_a_cuda_that_the_table_does_not_know_is_not_judged(self) -> None:
        ancient = Torch(version="1.0.0", cuda=(9, 0))
        assert torch.driver_runs_torch(torch=ancient, driver=driver(300, 1)) is None

    def test_a_cpu_build_needs_none(self) -> None:
        assert torch.driver_runs_torch(torch=CPU, driver=driver(390, 157)) is None


class TestNeighbours:
    def test_torchvision_of_another_torch(self) -> None:
        found = torch.torchvision_matches(torch=CU130, packages=packages(torchvision="0.24.1"))
        assert found is not None
        index = "https://download.pytorch.org/whl/cu130"
        assert found.fix == (f'pip install --force-reinstall --no-deps "torchvision==0.26.*" --index-url {index}',)

    @pytest.mark.parametrize("version", ["2.7.1", "2.7.1+rocm6.3", "2.7.1+git1234"])
    def test_torchvision_for_a_build_of_no_such_index(self, version: str) -> None:
        found = torch.torchvision_matches(
            torch=Torch(version=version, cuda=(12, 6)), packages=packages(torchvision="0.24.1")
        )
        assert found is not None
        assert found.fix == ('pip install --force-reinstall --no-deps "torchvision==0.22.*"',)

    @pytest.mark.parametrize("tag", ["cpu", "cu118"])
    def test_torchvision_comes_from_where_torch_came(self, tag: str) -> None:
        build = Torch(version=f"2.7.1+{tag}", cuda=None)
        found = torch.torchvision_matches(torch=build, packages=packages(torchvision="0.24.1"))
        assert found is not None
        assert found.fix[0].endswith(f"/whl/{tag}")

    @pytest.mark.parametrize(
        ("version", "torchvision"),
        [("2.11.0+cu130", "0.26.0+cu130"), ("2.7.1", "0.22.1"), ("2.15.0", "0.29.2"), ("3.0.0", "0.31.0")],
    )
    def test_torchvision_that_belongs(self, version: str, torchvision: str) -> None:
        build = Torch(version=version, cuda=(13, 0))
        assert torch.torchvision_matches(torch=build, packages=packages(torchvision=torchvision)) is None

    def test_no_torchvision(self) -> None:
        assert torch.torchvision_matches(torch=CU130, packages=packages()) is None

    def test_numpy_2_with_an_old_torch_breaks(self) -> None:
        found = torch.numpy_is_old_enough(packages=packages(numpy="2.1.0", torch="2.1.2"))
        assert found is not None
        assert found.severity == "problem"

    def test_numpy_2_with_the_devkit_is_a_warning(self) -> None:
        found = torch.numpy_is_old_enough(packages=packages(numpy="2.0.0", torch="2.11.0", nuscenes_devkit="1.2.0"))
        assert found is not None
        assert found.severity == "warning"

    @pytest.mark.parametrize("version", ["2", "2.0.0"])
    def test_numpy_2_with_the_devkit_and_no_torch(self, version: str) -> None:
        found = torch.numpy_is_old_enough(packages=packages(numpy=version, nuscenes_devkit="1.2.0"))
        assert found is not None
        assert found.saw == f"numpy {version} with nuscenes-devkit 1.2.0"

    @pytest.mark.parametrize(
        "found",
        [{"numpy": "1.26.4", "torch": "2.1.2"}, {"numpy": "2.1.0", "torch": "2.11.0"}, {"torch": "2.1.2"}],
        ids=["numpy 1", "both new", "no numpy"],
    )
    def test_numpy_silent(self, found: dict[str, str]) -> None:
        assert torch.numpy_is_old_enough(packages=packages(**found)) is None

    def test_torch_in_a_python_without_wheels(self) -> None:
        old = Torch(version="1.9.1+cu111", cuda=(11, 1))
        found = torch.torch_fits_python(torch=old, packages=packages(torch="1.9.1"))
        assert found is not None
        assert found.expected == "Python 3.6 to 3.9"

    @pytest.mark.parametrize("version", [(3, 10, 0), (3, 14, 0)])
    def test_torch_in_the_first_and_last_of_its_pythons(self, version: tuple[int, ...]) -> None:
        assert torch.torch_fits_python(torch=CU130, packages=Packages("/venv/bin/python", version, ())) is None

    def test_torch_in_its_python(self) -> None:
        assert torch.torch_fits_python(torch=CU130, packages=packages()) is None
        assert torch.torch_fits_python(torch=Torch(version="9.9.0", cuda=None), packages=packages()) is None


class TestNewerThanTheTable:
    def test_is_its_own_answer_with_the_date(self) -> None:
        found = torch.torch_is_known(torch=Torch(version="2.16.0", cuda=(13, 4)))
        assert found is not None
        assert found.severity == "note"
        assert "2026-11" in found.saw

    def test_known(self) -> None:
        assert torch.torch_is_known(torch=Torch(version="2.15.0", cuda=(13, 2))) is None


class TestTensors:
    TWO = Gpus((*RTX_4090.found, *RTX_4090.found))

    def test_one_gpu_of_two(self) -> None:
        build = Torch(version="2.11.0", cuda=(13, 0), imported=True, usable_gpus=1, import_error="out of memory")
        found = torch.tensors_land(torch=build, gpus=self.TWO)
        assert found is not None
        assert found.saw == "torch computes on 1 of 2 GPUs: out of memory"

    @pytest.mark.parametrize("usable", [None, 2])
    def test_all_or_not_tried(self, usable: int | None) -> None:
        build = Torch(version="2.11.0", cuda=(13, 0), usable_gpus=usable)
        assert torch.tensors_land(torch=build, gpus=self.TWO) is None

    def test_a_cpu_build_has_its_own_rule(self) -> None:
        assert torch.tensors_land(torch=Torch(version="2.13.0+cpu", cuda=None, usable_gpus=0), gpus=self.TWO) is None
