"""DRV, the driver's libraries, and CON: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doctor.facts import (
    CudaVariables,
    Disagreement,
    Disagreements,
    Driver,
    DriverLibraries,
    Fabric,
    Gpu,
    Gpus,
    KernelModule,
    LibraryFile,
    LibraryFiles,
    PciGpu,
    PciGpus,
    System,
    Unknown,
)
from doctor.rules import driver

if TYPE_CHECKING:
    from doctor.finding import Finding

KERNEL = "6.8.0-87-generic"
UBUNTU = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=False)
IN_DOCKER = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", container="docker")
WSL = System(kernel="6.6.87-microsoft-standard-WSL2", machine="x86_64", distribution="Ubuntu 24.04", wsl=True, dxg=True)
NODES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
LOADED = KernelModule(loaded=(580, 95, 5), nodes=NODES, built_for=(KERNEL,))
NOT_LOADED = KernelModule(loaded=None)
NO_NODES = KernelModule(loaded=(580, 95, 5))
WELL = DriverLibraries(nvml_code=0, cuda_code=0, version=(580, 95, 5))
NO_LIBRARY = DriverLibraries(nvml_code=None, cuda_code=None)
DRIVER = Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
NOTHING = Unknown("nothing there")
NO_FILES = Unknown("no driver library stands in the usual folders")
COMPAT = "/usr/local/cuda-13.0/compat/libcuda.so.580.95.05"
STUB = "/usr/local/cuda/lib64/stubs/libcuda.so"
OLD_FILE = LibraryFile("/usr/lib64/libcuda.so.570.195.03", (570, 195, 3))
NEW_FILE = LibraryFile("/usr/lib64/libnvidia-ml.so.580.95.05", (580, 95, 5))
FREE = CudaVariables()
RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9))
H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0))
CUT = Gpu("NVIDIA A100-SXM4-80GB", (8, 0), mig=True, mig_instances=0)
ON_BUS = PciGpus((PciGpu("0000:01:00.0", "2684", "nvidia", "GeForce RTX 4090", (8, 9)),))
BLACKWELL_ON_BUS = PciGpus((PciGpu("0000:01:00.0", "2b85", "nvidia", "GeForce RTX 5090", (12, 0)),))
OLD_ON_BUS = PciGpus((PciGpu("0000:01:00.0", "1db1", "nvidia", "Tesla V100-SXM2-16GB", (7, 0)),))
NEW_ON_BUS = PciGpus((PciGpu("0000:01:00.0", "ffff", "nvidia"),))


class TestLibraryAndModule:
    def test_nvml_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=18, cuda_code=803, version=(570, 195))
        found = driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES)
        assert found is not None
        assert found.saw == "the loaded kernel module is 580.95.05, the library is 570.195"
        assert found.fix[0] == "sudo reboot"

    def test_nvml_alone_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=18, cuda_code=None)
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is not None

    def test_a_module_that_is_not_loaded_cannot_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(570, 195, 3))
        assert driver.library_matches_module(libraries=libraries, module=NOT_LOADED, files=NO_FILES) is None

    def test_cuda_alone_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=None, cuda_code=803)
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is not None

    def test_seen_in_the_file_names_while_nvml_fails_otherwise(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(570, 195, 3))
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is not None

    def test_a_compat_library_that_works_is_no_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=0, version=(590, 44, 1))
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is None

    def test_silent_where_they_agree(self) -> None:
        assert driver.library_matches_module(libraries=WELL, module=LOADED, files=NO_FILES) is None

    def test_a_shorter_version_of_the_same_is_no_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(580, 95))
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is None

    def test_the_files_tell_the_version_that_no_library_told(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100)
        files = LibraryFiles(found=(OLD_FILE,))
        found = driver.library_matches_module(libraries=libraries, module=LOADED, files=files)
        assert found is not None
        assert found.saw == "the loaded kernel module is 580.95.05, the library is 570.195.03"

    def test_files_of_two_versions_tell_nothing(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100)
        older = LibraryFile("/usr/lib64/libcuda.so.550.163.01", (550, 163, 1))
        for found in ((OLD_FILE, NEW_FILE), (OLD_FILE, older)):
            files = LibraryFiles(found=found)
            assert driver.library_matches_module(libraries=libraries, module=LOADED, files=files) is None

    def test_the_library_that_answered_counts_more_than_the_files(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(580, 95, 5))
        files = LibraryFiles(found=(OLD_FILE,))
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=files) is None

    @pytest.mark.parametrize("path", [COMPAT, STUB])
    def test_a_library_of_another_package_has_its_own_rule(self, path: str) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=803, version=(590, 44, 1), cuda_path=path)
        assert driver.library_matches_module(libraries=libraries, module=LOADED, files=NO_FILES) is None

    def test_libcuda_missing(self) -> None:
        found = driver.library_is_there(libraries=NO_LIBRARY, module=LOADED, system=UBUNTU)
        assert found is not None
        assert "libnvidia-compute-580" in found.fix[0]

    @pytest.mark.parametrize(
        ("libraries", "module", "system"),
        [(WELL, LOADED, UBUNTU), (NO_LIBRARY, NOT_LOADED, UBUNTU), (NO_LIBRARY, LOADED, IN_DOCKER)],
    )
    def test_libcuda_rule_is_silent(self, libraries: DriverLibraries, module: KernelModule, system: System) -> None:
        assert driver.library_is_there(libraries=libraries, module=module, system=system) is None


class TestNodes:
    def test_closed_to_this_user(self) -> None:
        module = KernelModule(loaded=(580, 95, 5), nodes=NODES, closed_nodes=("/dev/nvidia0",))
        found = driver.nodes_are_open(module=module, system=UBUNTU)
        assert found is not None
        assert found.saw == "this user cannot open /dev/nvidia0"

    def test_none_at_all_is_a_problem(self) -> None:
        found = driver.nodes_are_open(module=KernelModule(loaded=(580, 95, 5)), system=UBUNTU)
        assert found is not None
        assert found.severity == "problem"

    def test_only_uvm_missing_is_a_warning(self) -> None:
        module = KernelModule(loaded=(580, 95, 5), nodes=("/dev/nvidia0", "/dev/nvidiactl"))
        found = driver.nodes_are_open(module=module, system=UBUNTU)
        assert found is not None
        assert (found.severity, found.saw) == ("warning", "the module is loaded without /dev/nvidia-uvm")
        assert found.confidence == "likely"

    @pytest.mark.parametrize(
        ("module", "system"),
        [(LOADED, UBUNTU), (NOT_LOADED, UBUNTU), (NO_NODES, IN_DOCKER), (NO_NODES, WSL)],
        ids=["open", "no module", "a container's are another rule's", "WSL has none"],
    )
    def test_silent(self, module: KernelModule, system: System) -> None:
        assert driver.nodes_are_open(module=module, system=system) is None


class TestCudaStarts:
    @staticmethod
    def judged(
        code: int | None,
        *,
        gpus: Gpus | Unknown = NOTHING,
        variables: CudaVariables = FREE,
        fabric: Fabric | Unknown = NOTHING,
        pci: PciGpus | Unknown = ON_BUS,
        module: KernelModule = LOADED,
    ) -> Finding | None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=code, version=(580, 95, 5))
        return driver.cuda_starts(
            libraries=libraries, driver=DRIVER, gpus=gpus, variables=variables, fabric=fabric, pci=pci, module=module
        )

    def test_802_is_the_fabric_manager(self) -> None:
        found = self.judged(802)
        assert found is not None
        assert "nvidia-fabricmanager" in found.fix[0]
        assert found.saw == "driver 580.95.05 answers, but cuInit returns 802"

    def test_999_is_uvm_after_a_suspend(self) -> None:
        found = self.judged(999)
        assert found is not None
        assert "nvidia_uvm" in found.fix[0]
        assert found.confidence == "sure"

    def test_an_unlisted_code_is_only_a_guess(self) -> None:
        found = self.judged(304)
        assert found is not None
        assert found.confidence == "guess"

    @pytest.mark.parametrize("code", [None, 0, 34, 803, 804])
    def test_silent(self, code: int | None) -> None:
        assert self.judged(code) is None

    def test_100_without_a_better_reason(self) -> None:
        assert self.judged(100) is not None
        assert self.judged(100, gpus=Gpus((RTX_4090,)), pci=NOTHING) is not None

    def test_100_gives_way_to_mig_without_instances(self) -> None:
        assert self.judged(100, gpus=Gpus((CUT,))) is None
        assert self.judged(100, gpus=Gpus((CUT, RTX_4090))) is not None

    def test_100_gives_way_to_hidden_devices(self) -> None:
        assert self.judged(100, gpus=Gpus((RTX_4090,)), variables=CudaVariables(visible="")) is None
        assert self.judged(100, variables=CudaVariables(visible="")) is None
        assert self.judged(100, gpus=Gpus((RTX_4090,)), variables=CudaVariables(visible="0")) is not None
        assert self.judged(100, variables=CudaVariables(visible="0")) is not None
        two_on_bus = PciGpus(ON_BUS.found * 2)
        assert self.judged(100, variables=CudaVariables(visible="1"), pci=two_on_bus) is not None
        assert self.judged(100, variables=CudaVariables(visible="2"), pci=two_on_bus) is None
        assert self.judged(100, variables=CudaVariables(visible=""), pci=NOTHING) is not None

    def test_100_gives_way_to_a_module_that_takes_no_gpu(self) -> None:
        proprietary = KernelModule(loaded=(580, 95, 5), flavour="proprietary")
        assert self.judged(100, pci=BLACKWELL_ON_BUS, module=proprietary) is None
        assert self.judged(100, pci=BLACKWELL_ON_BUS, module=KernelModule(loaded=(580, 95, 5), flavour="open"))
        assert self.judged(100, pci=PciGpus(ON_BUS.found + BLACKWELL_ON_BUS.found), module=proprietary) is not None
        assert self.judged(100, pci=NEW_ON_BUS, module=proprietary) is not None
        assert self.judged(100, pci=PciGpus(()), module=proprietary) is not None
        assert self.judged(100, pci=BLACKWELL_ON_BUS, module=NOT_LOADED) is not None
        assert self.judged(100, pci=OLD_ON_BUS, module=NOT_LOADED) is not None
        assert self.judged(100, pci=OLD_ON_BUS, module=KernelModule(loaded=(590, 48, 1))) is None

    def test_802_gives_way_to_the_fabric_s_own_rule(self) -> None:
        assert self.judged(802, fabric=Fabric(switches=4, active=False)) is None
        assert self.judged(802, gpus=Gpus((Gpu("NVIDIA B200", (10, 0), fabric=2),))) is None
        assert self.judged(802, fabric=Fabric(switches=4, active=True)) is not None
        assert self.judged(802, fabric=Fabric(switches=4)) is not None
        assert self.judged(802, gpus=Gpus((Gpu("NVIDIA B200", (10, 0), fabric=3),))) is not None

    def test_other_codes_give_way_to_neither(self) -> None:
        assert self.judged(999, gpus=Gpus((CUT,)), fabric=Fabric(switches=4, active=False)) is not None


class TestDriverAge:
    def test_newer_than_the_table_is_a_note(self) -> None:
        newest = Driver(version=(640, 1, 1), cuda=(14, 0), source="NVML")
        found = driver.driver_is_known(driver=newest)
        assert found is not None
        assert found.severity == "note"
        assert "2026-11" in found.saw

    @pytest.mark.parametrize("version", [(580, 95, 5), (615, 71, 9), (616, 0), (390, 157)])
    def test_known_drivers_pass(self, version: tuple[int, ...]) -> None:
        assert driver.driver_is_known(driver=Driver(version=version, cuda=None, source="NVML")) is None


class TestCompat:
    def test_a_consumer_card_cannot_use_it(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=804, cuda_path=COMPAT)
        found = driver.compat_fits(libraries=libraries, gpus=Gpus((H100, RTX_4090)), pci=NOTHING, files=NO_FILES)
        assert found is not None
        assert "NVIDIA GeForce RTX 4090 cannot use one (cuInit: 804)" in found.saw
        assert (found.severity, found.confidence) == ("problem", "sure")

    def test_the_bus_names_the_card_where_the_driver_does_not(self) -> None:
        libraries = DriverLibraries(nvml_code=None, cuda_code=804)
        found = driver.compat_fits(libraries=libraries, gpus=NOTHING, pci=ON_BUS, files=NO_FILES)
        assert found is not None
        assert found.saw.startswith("libcuda is libcuda.so.1, ")
        assert "GeForce RTX 4090 cannot use one" in found.saw

    def test_a_package_older_than_the_driver_is_refused_on_any_gpu(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=803, cuda_path=COMPAT)
        found = driver.compat_fits(libraries=libraries, gpus=Gpus((H100,)), pci=NOTHING, files=NO_FILES)
        assert found is not None
        assert "refuses this driver or GPU (cuInit: 803)" in found.saw
        assert found.confidence == "likely"

    def test_the_folder_is_named_where_the_library_is_not(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=804)
        files = LibraryFiles(compat_folders=("/usr/local/cuda-13.0/compat",))
        found = driver.compat_fits(libraries=libraries, gpus=Gpus((H100,)), pci=NOTHING, files=files)
        assert found is not None
        assert found.saw.startswith("libcuda is /usr/local/cuda-13.0/compat, ")

    def test_the_library_is_named_before_the_folder(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=804, cuda_path=COMPAT)
        files = LibraryFiles(compat_folders=("/elsewhere/compat",))
        found = driver.compat_fits(libraries=libraries, gpus=Gpus((H100,)), pci=NOTHING, files=files)
        assert found is not None
        assert found.saw.startswith(f"libcuda is {COMPAT}, ")

    @pytest.mark.parametrize("path", [COMPAT, "/opt/conda/cuda-compat/libcuda.so.1"])
    def test_conda_s_package_is_one_too(self, path: str) -> None:
        assert DriverLibraries(nvml_code=0, cuda_code=0, cuda_path=path).is_compat
        assert not DriverLibraries(nvml_code=0, cuda_code=0, cuda_path=STUB).is_compat

    def test_where_nothing_names_the_gpu(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=804, cuda_path=COMPAT)
        assert driver.compat_fits(libraries=libraries, gpus=NOTHING, pci=NOTHING, files=NO_FILES) is not None

    @pytest.mark.parametrize(("code", "path"), [(0, COMPAT), (None, COMPAT), (803, "/usr/lib64/libcuda.so.1"), (0, "")])
    def test_silent(self, code: int | None, path: str) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=code, cuda_path=path)
        assert driver.compat_fits(libraries=libraries, gpus=Gpus((RTX_4090,)), pci=ON_BUS, files=NO_FILES) is None


class TestStub:
    @pytest.mark.parametrize(("code", "path"), [(34, ""), (34, STUB), (3, STUB)])
    def test_is_loaded(self, code: int, path: str) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=code, cuda_path=path)
        found = driver.libcuda_is_no_stub(libraries=libraries, files=NO_FILES)
        assert found is not None
        assert (found.severity, found.saw) == (
            "problem",
            "libcuda.so.1 is the stub of a toolkit: CUDA answers 34",
        )

    @pytest.mark.parametrize("libraries", [WELL, NOTHING], ids=["CUDA works", "nobody answered"])
    def test_is_only_in_the_way(self, libraries: DriverLibraries | Unknown) -> None:
        files = LibraryFiles(stub_folders=("/usr/local/cuda/lib64/stubs",))
        found = driver.libcuda_is_no_stub(libraries=libraries, files=files)
        assert found is not None
        assert (found.severity, found.saw) == ("warning", "LD_LIBRARY_PATH holds /usr/local/cuda/lib64/stubs")

    @pytest.mark.parametrize("files", [NO_FILES, LibraryFiles(found=(NEW_FILE,), compat_folders=("/c/compat",))])
    def test_silent(self, files: LibraryFiles | Unknown) -> None:
        assert driver.libcuda_is_no_stub(libraries=WELL, files=files) is None


class TestFiles:
    def test_two_versions(self) -> None:
        files = LibraryFiles(found=(OLD_FILE, NEW_FILE))
        found = driver.one_version_is_installed(files=files, system=UBUNTU)
        assert found is not None
        assert "570.195.03" in found.saw
        assert "580.95.05" in found.saw
        assert found.fix[0].startswith("dpkg -S /usr/lib64/libcuda.so.570.195.03")
        assert (found.severity, found.confidence) == ("warning", "likely")

    def test_one_version_in_several_files_is_silent(self) -> None:
        files = LibraryFiles(found=(NEW_FILE, LibraryFile("/usr/lib/libcuda.so.580.95.05", (580, 95, 5))))
        assert driver.one_version_is_installed(files=files, system=UBUNTU) is None

    def test_wsl_has_its_own_rule(self) -> None:
        files = LibraryFiles(found=(OLD_FILE, NEW_FILE))
        assert driver.one_version_is_installed(files=files, system=WSL) is None


class TestSources:
    VERSIONS = Disagreement("driver version", (("NVML", "580.95.05"), ("kernel module", "570.172.08")))
    NUMBERS = Disagreement("number of GPUs", (("NVML", "1"), ("kernel module", "2")))
    NAMES = Disagreement("names of the GPUs", (("NVML", "A"), ("kernel module", "B")))
    ONE = Gpus((RTX_4090,))
    LOST = Gpus((RTX_4090,), lost=(15,))
    IN_JOB = CudaVariables(in_job=True)

    def test_say_different_things(self) -> None:
        told = Disagreements((self.VERSIONS, self.NUMBERS))
        found = driver.sources_agree(disagreements=told, gpus=self.ONE, system=UBUNTU, variables=FREE, libraries=WELL)
        assert found is not None
        assert found.saw == "driver version: 580.95.05 (NVML), 570.172.08 (kernel module)"
        assert found.evidence == ("number of GPUs: 1 (NVML), 2 (kernel module)",)
        assert (found.severity, found.confidence) == ("warning", "likely")

    @pytest.mark.parametrize("one", [NUMBERS, NAMES], ids=str)
    def test_about_the_gpus_too(self, one: Disagreement) -> None:
        told = Disagreements((one,))
        assert (
            driver.sources_agree(disagreements=told, gpus=self.ONE, system=UBUNTU, variables=FREE, libraries=WELL)
            is not None
        )

    @pytest.mark.parametrize(
        ("gpus", "system", "variables"),
        [(ONE, IN_DOCKER, FREE), (ONE, UBUNTU, IN_JOB), (LOST, UBUNTU, FREE)],
        ids=["a container sees some", "a job sees some", "DRV27 knows of the lost one"],
    )
    def test_a_part_of_the_gpus_may_be_meant(self, gpus: Gpus, system: System, variables: CudaVariables) -> None:
        told = Disagreements((self.NUMBERS, self.NAMES))
        assert (
            driver.sources_agree(disagreements=told, gpus=gpus, system=system, variables=variables, libraries=WELL)
            is None
        )
        versions = Disagreements((self.VERSIONS,))
        assert (
            driver.sources_agree(disagreements=versions, gpus=gpus, system=system, variables=variables, libraries=WELL)
            is not None
        )

    def test_without_gpus_the_versions_still_count(self) -> None:
        told = Disagreements((self.VERSIONS,))
        assert (
            driver.sources_agree(disagreements=told, gpus=NOTHING, system=UBUNTU, variables=FREE, libraries=WELL)
            is not None
        )

    def test_forward_compatibility_explains_another_cuda(self) -> None:
        compat = DriverLibraries(nvml_code=0, cuda_code=0, cuda_path=COMPAT)
        told = Disagreements((Disagreement("newest CUDA", (("NVML", "12.4"), ("libcuda", "13.0"))),))
        for libraries, silent in ((compat, True), (WELL, False), (NOTHING, False)):
            found = driver.sources_agree(
                disagreements=told, gpus=self.ONE, system=UBUNTU, variables=FREE, libraries=libraries
            )
            assert (found is None) is silent
        versions = Disagreements((self.VERSIONS,))
        assert driver.sources_agree(
            disagreements=versions, gpus=self.ONE, system=UBUNTU, variables=FREE, libraries=compat
        )

    def test_silent(self) -> None:
        agree = Disagreements()
        assert (
            driver.sources_agree(disagreements=agree, gpus=self.ONE, system=UBUNTU, variables=FREE, libraries=WELL)
            is None
        )
