"""DRV, GPU by GPU, and their health: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

import pytest

from doctor.facts import (
    GIB,
    ComputeMode,
    CudaVariables,
    DriverLibraries,
    Fabric,
    Gpu,
    Gpus,
    KernelModule,
    PciGpu,
    PciGpus,
    System,
    Unknown,
)
from doctor.finding import Goal
from doctor.rules import gpus, health

UBUNTU = System(kernel="6.8.0-87-generic", machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
IN_DOCKER = System(kernel="6.8.0-87-generic", machine="x86_64", distribution="Ubuntu", container="docker")
RUN, BUILD, DOCKER, RECIPE = Goal("run"), Goal("build-ext"), Goal("docker"), Goal("recipe", "bevformer_tiny")
NOTHING = Unknown("nothing there")
LOADED = KernelModule(loaded=(580, 95, 5), flavour="open")
CAPS = KernelModule(loaded=(580, 95, 5), caps=True)
NOT_LOADED = KernelModule(loaded=None)
WELL = DriverLibraries(nvml_code=0, cuda_code=0)
NOT_READY = DriverLibraries(nvml_code=0, cuda_code=802)
FREE = CudaVariables()
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24 * GIB, index=0)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", (8, 6), 24 * GIB, index=1)
A100 = "NVIDIA A100-SXM4-80GB"
PCI_4090 = PciGpu("0000:01:00.0", "2684", "nvidia", "GeForce RTX 4090", (8, 9))
PCI_V100 = PciGpu("0000:02:00.0", "1db1", "nvidia", "Tesla V100-SXM2-16GB", (7, 0))
PCI_NEW = PciGpu("0000:03:00.0", "3fff", "nvidia")
TWO = Gpus((RTX_4090, RTX_4090))


def held_by(driver_name: str) -> PciGpus:
    return PciGpus((PciGpu("0000:01:00.0", "2684", driver_name, "NVIDIA GeForce RTX 4090", (8, 9)),))


class TestSupport:
    def test_branch_590_dropped_volta(self) -> None:
        module = KernelModule(loaded=(590, 48, 1))
        found = gpus.driver_supports_gpus(pci=PciGpus((PCI_NEW, PCI_4090, PCI_V100)), module=module)
        assert found is not None
        assert found.saw == "driver 590.48.01 no longer supports Tesla V100-SXM2-16GB"
        assert found.expected == "branch 580 or older for this GPU"
        assert "nvidia-driver-580" in found.fix[0]

    @pytest.mark.parametrize(
        ("gpu", "loaded"),
        [(PCI_V100, (580, 95, 5)), (PCI_4090, (615, 71, 9)), (PCI_V100, None), (PCI_NEW, (590, 48, 1))],
        ids=["branch 580 still has it", "newer GPUs have no last branch", "no driver is too new", "unknown GPU"],
    )
    def test_silent(self, gpu: PciGpu, loaded: tuple[int, ...] | None) -> None:
        assert gpus.driver_supports_gpus(pci=PciGpus((gpu,)), module=KernelModule(loaded=loaded)) is None


class TestOtherHolders:
    def test_vfio_without_another_gpu_is_a_problem(self) -> None:
        found = gpus.gpu_is_not_passed_through(pci=held_by("vfio-pci"), gpus=Unknown("none"))
        assert found is not None
        assert found.severity == "problem"

    def test_vfio_beside_a_usable_gpu_is_a_note(self) -> None:
        usable = Gpus((Gpu("NVIDIA L4", (8, 9)),))
        found = gpus.gpu_is_not_passed_through(pci=held_by("vfio-pci"), gpus=usable)
        assert found is not None
        assert found.severity == "note"

    def test_vfio_silent(self) -> None:
        assert gpus.gpu_is_not_passed_through(pci=held_by("nvidia"), gpus=Unknown("none")) is None


class TestMig:
    CUT = Gpu(A100, (8, 0), index=2, mig=True, mig_instances=0)

    def test_on_without_an_instance(self) -> None:
        found = gpus.mig_has_instances(gpus=Gpus((self.CUT,)), module=LOADED)
        assert found is not None
        assert (found.severity, found.saw) == ("problem", f"MIG is on without an instance: GPU 2 {A100}")
        assert found.fix[0].startswith("sudo nvidia-smi -i 2 -mig 0")

    def test_beside_a_usable_gpu_it_is_a_warning(self) -> None:
        found = gpus.mig_has_instances(gpus=Gpus((RTX_4090, self.CUT)), module=LOADED)
        assert found is not None
        assert found.severity == "warning"

    def test_a_gpu_without_an_index_is_the_first(self) -> None:
        found = gpus.mig_has_instances(gpus=Gpus((Gpu(A100, (8, 0), mig=True, mig_instances=0),)), module=LOADED)
        assert found is not None
        assert found.saw == f"MIG is on without an instance: {A100}"
        assert "-i 0 " in found.fix[0]

    def test_instances_without_their_device_files(self) -> None:
        cut = Gpus((RTX_4090, Gpu(A100, (8, 0), mig=True, mig_instances=2)))
        found = gpus.mig_has_instances(gpus=cut, module=LOADED)
        assert found is not None
        assert (found.severity, found.saw) == ("warning", "MIG instances exist, and /dev/nvidia-caps does not")
        assert found.confidence == "likely"
        assert gpus.mig_has_instances(gpus=cut, module=CAPS) is None
        assert gpus.mig_has_instances(gpus=TWO, module=LOADED) is None

    @pytest.mark.parametrize(("mig", "instances"), [(True, 1), (True, None), (False, None), (None, None), (False, 0)])
    def test_silent(self, mig: bool | None, instances: int | None) -> None:  # noqa: FBT001 — a table
        assert (
            gpus.mig_has_instances(gpus=Gpus((Gpu(A100, (8, 0), mig=mig, mig_instances=instances),)), module=CAPS)
            is None
        )


class TestVisible:
    @pytest.mark.parametrize("value", ["", " ", ","])
    def test_empty_hides_every_gpu(self, value: str) -> None:
        found = gpus.visible_devices_exist(variables=CudaVariables(visible=value), gpus=TWO, pci=NOTHING, goal=RUN)
        assert found is not None
        assert (found.severity, found.saw) == (
            "problem",
            "CUDA_VISIBLE_DEVICES is set and empty: it hides every GPU",
        )
        assert found.fix[0] == "unset CUDA_VISIBLE_DEVICES"

    @pytest.mark.parametrize("value", ["-1", "2", "7,0", "NoDevFiles", "²", "0x0"])
    def test_a_first_entry_that_names_nothing_hides_every_gpu(self, value: str) -> None:
        found = gpus.visible_devices_exist(variables=CudaVariables(visible=value), gpus=TWO, pci=NOTHING, goal=RUN)
        assert found is not None
        assert (found.severity, found.saw) == ("problem", f"CUDA_VISIBLE_DEVICES={value} hides every GPU")

    def test_a_later_entry_that_names_nothing_ends_the_list(self) -> None:
        variables = CudaVariables(visible="1, 2, 0")
        found = gpus.visible_devices_exist(variables=variables, gpus=TWO, pci=NOTHING, goal=RUN)
        assert found is not None
        assert found.severity == "warning"
        assert "names 2, which is no GPU here (there are 2): the list ends there" in found.saw
        assert found.expected == "indices below 2, or UUIDs of nvidia-smi -L"

    @pytest.mark.parametrize(
        ("goal", "severity"), [(RUN, "problem"), (RECIPE, "problem"), (BUILD, "note"), (DOCKER, "note")], ids=str
    )
    def test_building_needs_no_gpu(self, goal: Goal, severity: str) -> None:
        found = gpus.visible_devices_exist(variables=CudaVariables(visible=""), gpus=TWO, pci=NOTHING, goal=goal)
        assert found is not None
        assert found.severity == severity

    def test_the_bus_counts_where_the_driver_shows_only_the_visible_ones(self) -> None:
        visible = Gpus((RTX_4090,), source="libcuda")
        pci = PciGpus((PCI_4090, PCI_NEW, PciGpu("0000:09:00.0", "2684", "vfio-pci")))
        one = CudaVariables(visible="1")
        assert gpus.visible_devices_exist(variables=one, gpus=visible, pci=pci, goal=RUN) is None
        two = CudaVariables(visible="2")
        assert gpus.visible_devices_exist(variables=two, gpus=visible, pci=pci, goal=RUN) is not None

    @pytest.mark.parametrize("value", [None, "0", "0,1", "1", "1,0", "GPU-a230e637", "MIG-1b2c,GPU-3", "UUID"])
    def test_silent(self, value: str | None) -> None:
        variables = CudaVariables(visible=value)
        assert gpus.visible_devices_exist(variables=variables, gpus=TWO, pci=NOTHING, goal=RUN) is None

    def test_silent_where_there_is_no_gpu_to_hide(self) -> None:
        hidden = CudaVariables(visible="")
        assert gpus.visible_devices_exist(variables=hidden, gpus=NOTHING, pci=PciGpus(()), goal=RUN) is None
        assert gpus.visible_devices_exist(variables=hidden, gpus=NOTHING, pci=NOTHING, goal=RUN) is None


class TestOrder:
    MIXED = Gpus((RTX_4090, RTX_3090))

    def test_two_kinds_of_gpu_without_a_fixed_order(self) -> None:
        found = gpus.order_is_fixed(gpus=self.MIXED, variables=FREE)
        assert found is not None
        assert (found.severity, found.fix) == ("note", ("export CUDA_DEVICE_ORDER=PCI_BUS_ID",))

    def test_numbers_in_use_make_it_a_warning(self) -> None:
        found = gpus.order_is_fixed(gpus=self.MIXED, variables=CudaVariables(visible="1", order="FASTEST_FIRST"))
        assert found is not None
        assert found.severity == "warning"

    def test_a_uuid_names_one_gpu_whatever_the_order(self) -> None:
        found = gpus.order_is_fixed(gpus=self.MIXED, variables=CudaVariables(visible="GPU-a230e637"))
        assert found is not None
        assert found.severity == "note"

    def test_silent(self) -> None:
        assert gpus.order_is_fixed(gpus=TWO, variables=FREE) is None
        assert gpus.order_is_fixed(gpus=self.MIXED, variables=CudaVariables(order="PCI_BUS_ID")) is None


class TestMemory:
    FULL = Gpu("NVIDIA L4", (8, 9), 20 * GIB, free=GIB, index=0, processes=1)
    EMPTY = Gpu("NVIDIA L4", (8, 9), 20 * GIB, free=19 * GIB, index=1, processes=0)

    def test_is_taken_by_another_process(self) -> None:
        found = gpus.memory_is_free(gpus=Gpus((self.FULL, self.EMPTY)), goal=RUN)
        assert found is not None
        assert found.saw == "nearly all memory is taken (free / all): GPU 0 NVIDIA L4 1.0 / 20 GiB"
        assert found.evidence == ("GPU 0 NVIDIA L4: 1 processes",)
        assert found.fix[0].startswith("export CUDA_VISIBLE_DEVICES=1 ")
        assert found.severity == "warning"

    def test_no_other_gpu_has_room(self) -> None:
        full = Gpu("NVIDIA L4", (8, 9), 20 * GIB, free=0)
        found = gpus.memory_is_free(gpus=Gpus((full,)), goal=RECIPE)
        assert found is not None
        assert found.saw == "nearly all memory is taken (free / all): NVIDIA L4 0.0 / 20 GiB"
        assert found.evidence == ()
        assert found.fix[0].startswith("nvidia-smi ")

    def test_room_on_a_gpu_without_an_index_or_of_unknown_size_helps_nobody(self) -> None:
        nameless = Gpu("NVIDIA L4", (8, 9), 20 * GIB, free=19 * GIB)
        silent = Gpu("NVIDIA L4", (8, 9), 20 * GIB, index=3)
        found = gpus.memory_is_free(gpus=Gpus((self.FULL, nameless, silent)), goal=RUN)
        assert found is not None
        assert len(found.fix) == 1

    @pytest.mark.parametrize("goal", [BUILD, DOCKER], ids=str)
    def test_building_needs_none(self, goal: Goal) -> None:
        found = gpus.memory_is_free(gpus=Gpus((self.FULL,)), goal=goal)
        assert found is not None
        assert found.severity == "note"

    @pytest.mark.parametrize(("memory", "free"), [(20 * GIB, 2 * GIB), (20 * GIB, None), (None, GIB), (None, None)])
    def test_silent(self, memory: int | None, free: int | None) -> None:
        assert gpus.memory_is_free(gpus=Gpus((Gpu("NVIDIA L4", (8, 9), memory, free=free),)), goal=RUN) is None

    def test_just_under_a_tenth_is_full(self) -> None:
        nearly = Gpu("NVIDIA L4", (8, 9), 20 * GIB, free=2 * GIB - 1)
        assert gpus.memory_is_free(gpus=Gpus((nearly,)), goal=RUN) is not None


class TestComputeMode:
    @staticmethod
    def in_mode(mode: ComputeMode, processes: int | None = 0, index: int | None = 3) -> Gpu:
        return Gpu("NVIDIA L40S", (8, 9), index=index, processes=processes, compute_mode=mode)

    def test_prohibited(self) -> None:
        found = gpus.compute_mode_is_open(gpus=Gpus((self.in_mode("exclusive"), self.in_mode("prohibited", index=5))))
        assert found is not None
        assert (found.severity, found.saw) == ("problem", "the compute mode of GPU 5 NVIDIA L40S is Prohibited")
        assert found.fix == ("sudo nvidia-smi -i 5 -c DEFAULT",)

    def test_prohibited_alone(self) -> None:
        assert gpus.compute_mode_is_open(gpus=Gpus((self.in_mode("prohibited"),))) is not None

    def test_exclusive_and_taken(self) -> None:
        found = gpus.compute_mode_is_open(gpus=Gpus((self.in_mode("exclusive", 1),)))
        assert found is not None
        assert (found.severity, found.saw) == ("problem", "the compute mode of GPU 3 NVIDIA L40S is Exclusive_Process")

    @pytest.mark.parametrize("processes", [0, None])
    def test_exclusive_and_free_is_a_note(self, processes: int | None) -> None:
        found = gpus.compute_mode_is_open(gpus=Gpus((self.in_mode("exclusive", processes, None),)))
        assert found is not None
        assert (found.severity, found.fix) == ("note", ("sudo nvidia-smi -i 0 -c DEFAULT",))

    @pytest.mark.parametrize("mode", ["default", ""])
    def test_silent(self, mode: ComputeMode) -> None:
        assert gpus.compute_mode_is_open(gpus=Gpus((self.in_mode(mode, 1),))) is None


class TestKnown:
    def test_a_gpu_that_the_table_does_not_hold_is_a_note_with_its_date(self) -> None:
        found = gpus.gpus_are_known(pci=PciGpus((PCI_4090, PCI_NEW)))
        assert found is not None
        assert (found.severity, found.saw) == ("note", "10de:3fff is not in the table of PCI ids of 2026-11")

    def test_silent(self) -> None:
        assert gpus.gpus_are_known(pci=PciGpus((PCI_4090,))) is None
        assert gpus.gpus_are_known(pci=PciGpus(())) is None


class TestFabric:
    def test_the_manager_does_not_run(self) -> None:
        fabric = Fabric(switches=4, active=False)
        found = health.fabric_is_up(fabric=fabric, gpus=NOTHING, module=LOADED, libraries=NOT_READY)
        assert found is not None
        assert (found.severity, found.saw) == (
            "problem",
            "NVSwitches on the PCI bus: 4; the fabric manager does not run",
        )
        assert "nvidia-fabricmanager-580" in found.fix[1]

    def test_the_manager_has_another_version(self) -> None:
        fabric = Fabric(switches=4, active=True, version=(570, 195, 3))
        found = health.fabric_is_up(fabric=fabric, gpus=NOTHING, module=LOADED, libraries=NOTHING)
        assert found is not None
        assert (found.severity, found.saw) == ("problem", "the fabric manager is 570.195.03, the driver 580.95.05")

    def test_without_a_module_no_version_is_wrong(self) -> None:
        fabric = Fabric(switches=4, active=False, version=(570, 195, 3))
        found = health.fabric_is_up(fabric=fabric, gpus=NOTHING, module=NOT_LOADED, libraries=NOTHING)
        assert found is not None
        assert "does not run" in found.saw
        assert "nvidia-fabricmanager-615" in found.fix[1]

    @pytest.mark.parametrize("state", [1, 2])
    def test_the_fabric_is_not_ready_yet(self, state: int) -> None:
        waiting = Gpus((Gpu("NVIDIA B200", (10, 0), index=0, fabric=state), RTX_4090))
        found = health.fabric_is_up(fabric=NOTHING, gpus=waiting, module=LOADED, libraries=NOT_READY)
        assert found is not None
        assert found.saw == "the NVLink fabric is not set up yet: GPU 0 NVIDIA B200"
        assert found.confidence == "likely"

    def test_where_cuda_works_all_the_same_it_is_a_warning(self) -> None:
        fabric = Fabric(switches=4, active=False)
        found = health.fabric_is_up(fabric=fabric, gpus=NOTHING, module=LOADED, libraries=WELL)
        assert found is not None
        assert found.severity == "warning"

    def test_a_fabric_that_cuda_does_not_wait_for_is_no_matter(self) -> None:
        waiting = Gpus((Gpu("NVIDIA H100 80GB HBM3", (9, 0), fabric=2),))
        assert health.fabric_is_up(fabric=NOTHING, gpus=waiting, module=LOADED, libraries=WELL) is None
        assert health.fabric_is_up(fabric=NOTHING, gpus=waiting, module=LOADED, libraries=NOTHING) is not None

    @pytest.mark.parametrize(
        ("fabric", "state"),
        [
            (NOTHING, None),
            (NOTHING, 0),
            (NOTHING, 3),
            (Fabric(switches=4, active=True), 3),
            (Fabric(switches=4, active=None), None),
            (Fabric(switches=4, active=True, version=(580, 95, 5)), 3),
        ],
    )
    def test_silent(self, fabric: Fabric | Unknown, state: int | None) -> None:
        shown = Gpus((Gpu("NVIDIA H100", (9, 0), fabric=state),))
        assert health.fabric_is_up(fabric=fabric, gpus=shown, module=LOADED, libraries=WELL) is None
        for libraries in (WELL, NOT_READY, NOTHING):
            assert health.fabric_is_up(fabric=fabric, gpus=NOTHING, module=LOADED, libraries=libraries) is None
            assert health.fabric_is_up(fabric=fabric, gpus=shown, module=LOADED, libraries=libraries) is None


class TestLost:
    BUS = PciGpus((PCI_4090, PCI_4090))
    ONE = Gpus((RTX_4090,))

    def test_nvml_counts_a_gpu_that_it_cannot_open(self) -> None:
        lost = Gpus((RTX_4090,), lost=(15, 15))
        found = health.all_gpus_answer(gpus=lost, pci=NOTHING, module=LOADED, system=IN_DOCKER, variables=FREE)
        assert found is not None
        assert found.saw == "the driver counts GPUs that it cannot open: 2 (NVML code 15)"
        assert (found.severity, found.confidence) == ("problem", "sure")

    def test_the_bus_has_more_than_the_driver_shows(self) -> None:
        found = health.all_gpus_answer(gpus=self.ONE, pci=self.BUS, module=LOADED, system=UBUNTU, variables=FREE)
        assert found is not None
        assert found.saw == "the driver holds 2 of the GPUs on the PCI bus and shows 1"
        assert (found.severity, found.confidence) == ("warning", "likely")

    def test_a_gpu_that_the_table_does_not_know_counts_too(self) -> None:
        bus = PciGpus((PCI_4090, PCI_NEW))
        assert health.all_gpus_answer(gpus=self.ONE, pci=bus, module=LOADED, system=UBUNTU, variables=FREE) is not None

    @pytest.mark.parametrize(
        ("shown", "pci", "module", "system", "variables"),
        [
            (TWO, BUS, LOADED, UBUNTU, FREE),
            (ONE, NOTHING, LOADED, UBUNTU, FREE),
            (Gpus((RTX_4090,), source="libcuda"), BUS, LOADED, UBUNTU, FREE),
            (ONE, BUS, LOADED, IN_DOCKER, FREE),
            (ONE, BUS, LOADED, UBUNTU, CudaVariables(in_job=True)),
            (ONE, PciGpus((PCI_4090, PciGpu("0000:09:00.0", "2684", "vfio-pci"))), LOADED, UBUNTU, FREE),
            (ONE, PciGpus((PCI_4090, PCI_V100)), LOADED, UBUNTU, FREE),
            (ONE, BUS, NOT_LOADED, UBUNTU, FREE),
        ],
        ids=["all", "no bus", "libcuda's", "container", "job", "a guest's", "refused by the open module", "no module"],
    )
    def test_silent(
        self, shown: Gpus, pci: PciGpus | Unknown, module: KernelModule, system: System, variables: CudaVariables
    ) -> None:
        found = health.all_gpus_answer(gpus=shown, pci=pci, module=module, system=system, variables=variables)
        assert found is None


class TestMemoryErrors:
    @pytest.mark.parametrize(("errors", "pending"), [(1, False), (0, True), (None, True), (2, None)])
    def test_errors_or_a_pending_row(self, errors: int | None, pending: bool | None) -> None:  # noqa: FBT001 — a table
        bad = Gpu(A100, (8, 0), index=4, memory_errors=errors, remap_pending=pending)
        found = health.memory_is_sound(gpus=Gpus((RTX_4090, bad)))
        assert found is not None
        assert found.saw.endswith(f": GPU 4 {A100}")
        assert (found.severity, found.fix[1]) == (
            "warning",
            "sudo nvidia-smi --gpu-reset -i 4 # while no program uses it",
        )

    def test_a_gpu_without_an_index_is_the_first(self) -> None:
        found = health.memory_is_sound(gpus=Gpus((Gpu(A100, (8, 0), memory_errors=1),)))
        assert found is not None
        assert "--gpu-reset -i 0 " in found.fix[1]

    @pytest.mark.parametrize(("errors", "pending"), [(0, False), (None, None)])
    def test_silent(self, errors: int | None, pending: bool | None) -> None:  # noqa: FBT001 — a table
        assert (
            health.memory_is_sound(gpus=Gpus((Gpu(A100, (8, 0), memory_errors=errors, remap_pending=pending),))) is None
        )


class TestPersistence:
    def test_off_on_a_server(self) -> None:
        found = health.persistence_is_on(gpus=Gpus((Gpu(A100, (8, 0), index=0, persistence=False),)))
        assert found is not None
        assert (found.severity, found.saw) == ("note", f"persistence mode is off: GPU 0 {A100}")

    @pytest.mark.parametrize(
        ("name", "persistence"), [(A100, True), (A100, None), ("NVIDIA GeForce RTX 4090", False)], ids=str
    )
    def test_silent(self, name: str, persistence: bool | None) -> None:  # noqa: FBT001 — a table
        assert health.persistence_is_on(gpus=Gpus((Gpu(name, (8, 0), persistence=persistence),))) is None
