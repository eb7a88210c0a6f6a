"""DRV and CON: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

import pytest

from doctor.facts import Driver, DriverLibraries, Gpu, Gpus, KernelModule, PciGpu, PciGpus, System, Unknown
from doctor.rules import driver

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
RTX_4090 = PciGpu("0000:01:00.0", "2684", "nvidia", "NVIDIA GeForce RTX 4090", (8, 9))
V100 = PciGpu("0000:01:00.0", "1db1", "nvidia", "Tesla V100-SXM2-16GB", (7, 0))


def held_by(driver_name: str) -> PciGpus:
    return PciGpus((PciGpu("0000:01:00.0", "2684", driver_name, "NVIDIA GeForce RTX 4090", (8, 9)),))


class TestModuleIsLoaded:
    def test_no_driver_installed(self) -> None:
        found = driver.module_is_loaded(pci=held_by(""), module=NOT_LOADED, system=UBUNTU)
        assert found is not None
        assert "no NVIDIA driver is installed" in found.saw

    def test_built_for_another_kernel_names_the_headers(self) -> None:
        module = KernelModule(loaded=None, built_for=("6.8.0-60-generic",))
        found = driver.module_is_loaded(pci=held_by(""), module=module, system=UBUNTU)
        assert found is not None
        assert f"linux-headers-{KERNEL}" in found.fix[0]

    def test_secure_boot_does_not_excuse_a_driver_that_is_not_installed(self) -> None:
        locked = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=True)
        assert driver.module_is_loaded(pci=held_by(""), module=NOT_LOADED, system=locked) is not None

    def test_built_but_not_loaded(self) -> None:
        module = KernelModule(loaded=None, built_for=(KERNEL,))
        found = driver.module_is_loaded(pci=held_by(""), module=module, system=UBUNTU)
        assert found is not None
        assert found.fix[0].startswith("sudo modprobe nvidia")

    @pytest.mark.parametrize(
        ("pci", "module", "system"),
        [
            (held_by("nvidia"), LOADED, UBUNTU),
            (PciGpus(()), NOT_LOADED, UBUNTU),
            (held_by(""), NOT_LOADED, WSL),
            (held_by(""), NOT_LOADED, IN_DOCKER),
            (held_by("vfio-pci"), NOT_LOADED, UBUNTU),
            (held_by("nouveau"), KernelModule(loaded=None, nouveau=True), UBUNTU),
        ],
        ids=["loaded", "no GPU", "WSL", "container", "passed through", "nouveau has its own rule"],
    )
    def test_silent(self, pci: PciGpus, module: KernelModule, system: System) -> None:
        assert driver.module_is_loaded(pci=pci, module=module, system=system) is None


class TestNouveau:
    def test_holds_the_gpu(self) -> None:
        found = driver.nouveau_is_away(pci=held_by("nouveau"), module=KernelModule(loaded=None, nouveau=True))
        assert found is not None
        assert "blacklist nouveau" in found.fix[1]

    def test_is_loaded_while_nothing_holds_the_gpu(self) -> None:
        assert driver.nouveau_is_away(pci=held_by(""), module=KernelModule(loaded=None, nouveau=True)) is not None

    def test_holds_the_gpu_from_inside_the_kernel(self) -> None:
        assert driver.nouveau_is_away(pci=held_by("nouveau"), module=NOT_LOADED) is not None

    def test_silent_where_nvidia_is_loaded_beside_it(self) -> None:
        assert driver.nouveau_is_away(pci=held_by("nouveau"), module=LOADED) is None

    def test_silent_where_nvidia_holds_it(self) -> None:
        assert driver.nouveau_is_away(pci=held_by("nvidia"), module=LOADED) is None

    def test_silent_without_a_gpu(self) -> None:
        assert driver.nouveau_is_away(pci=PciGpus(()), module=KernelModule(loaded=None, nouveau=True)) is None


class TestLibraryAndModule:
    def test_nvml_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=18, cuda_code=803, version=(570, 195))
        found = driver.library_matches_module(libraries=libraries, module=LOADED)
        assert found is not None
        assert found.saw == "the loaded kernel module is 580.95.05, the library is 570.195"
        assert found.fix[0] == "sudo reboot"

    def test_nvml_alone_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=18, cuda_code=None)
        assert driver.library_matches_module(libraries=libraries, module=LOADED) is not None

    def test_a_module_that_is_not_loaded_cannot_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(570, 195, 3))
        assert driver.library_matches_module(libraries=libraries, module=NOT_LOADED) is None

    def test_cuda_alone_says_so(self) -> None:
        libraries = DriverLibraries(nvml_code=None, cuda_code=803)
        assert driver.library_matches_module(libraries=libraries, module=LOADED) is not None

    def test_seen_in_the_file_names_while_nvml_fails_otherwise(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(570, 195, 3))
        assert driver.library_matches_module(libraries=libraries, module=LOADED) is not None

    def test_a_compat_library_that_works_is_no_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=0, version=(590, 44, 1))
        assert driver.library_matches_module(libraries=libraries, module=LOADED) is None

    def test_silent_where_they_agree(self) -> None:
        assert driver.library_matches_module(libraries=WELL, module=LOADED) is None

    def test_a_shorter_version_of_the_same_is_no_mismatch(self) -> None:
        libraries = DriverLibraries(nvml_code=9, cuda_code=100, version=(580, 95))
        assert driver.library_matches_module(libraries=libraries, module=LOADED) is None

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

    @pytest.mark.parametrize(
        ("module", "system"),
        [(LOADED, UBUNTU), (NOT_LOADED, UBUNTU), (NO_NODES, IN_DOCKER), (NO_NODES, WSL)],
        ids=["open", "no module", "a container's are another rule's", "WSL has none"],
    )
    def test_silent(self, module: KernelModule, system: System) -> None:
        assert driver.nodes_are_open(module=module, system=system) is None


class TestCudaStarts:
    def test_802_is_the_fabric_manager(self) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=802, version=(580, 95, 5))
        found = driver.cuda_starts(libraries=libraries, driver=DRIVER)
        assert found is not None
        assert "nvidia-fabricmanager" in found.fix[0]

    def test_an_unlisted_code_is_only_a_guess(self) -> None:
        found = driver.cuda_starts(libraries=DriverLibraries(nvml_code=0, cuda_code=304), driver=DRIVER)
        assert found is not None
        assert found.confidence == "guess"

    @pytest.mark.parametrize("code", [None, 0, 803])
    def test_silent(self, code: int | None) -> None:
        libraries = DriverLibraries(nvml_code=0, cuda_code=code)
        assert driver.cuda_starts(libraries=libraries, driver=DRIVER) is None


class TestDriverAge:
    def test_branch_590_dropped_volta(self) -> None:
        module = KernelModule(loaded=(590, 48, 1), nodes=NODES)
        found = driver.driver_supports_gpus(pci=PciGpus((RTX_4090, V100)), module=module)
        assert found is not None
        assert "Tesla V100" in found.saw
        assert "branch 580" in found.expected

    def test_branch_580_still_has_it(self) -> None:
        assert driver.driver_supports_gpus(pci=PciGpus((V100,)), module=LOADED) is None

    def test_newer_gpus_have_no_last_branch(self) -> None:
        module = KernelModule(loaded=(615, 71, 9), nodes=NODES)
        assert driver.driver_supports_gpus(pci=PciGpus((RTX_4090,)), module=module) is None

    def test_no_driver_cannot_be_too_new(self) -> None:
        assert driver.driver_supports_gpus(pci=PciGpus((V100,)), module=NOT_LOADED) is None

    def test_newer_than_the_table_is_a_note(self) -> None:
        newest = Driver(version=(640, 1, 1), cuda=(14, 0), source="NVML")
        found = driver.driver_is_known(driver=newest)
        assert found is not None
        assert found.severity == "note"
        assert "2026-11" in found.saw

    @pytest.mark.parametrize("version", [(580, 95, 5), (615, 71, 9), (616, 0), (390, 157)])
    def test_known_drivers_pass(self, version: tuple[int, ...]) -> None:
        assert driver.driver_is_known(driver=Driver(version=version, cuda=None, source="NVML")) is None


class TestOtherHolders:
    def test_vfio_without_another_gpu_is_a_problem(self) -> None:
        found = driver.gpu_is_not_passed_through(pci=held_by("vfio-pci"), gpus=Unknown("none"))
        assert found is not None
        assert found.severity == "problem"

    def test_vfio_beside_a_usable_gpu_is_a_note(self) -> None:
        usable = Gpus((Gpu("NVIDIA L4", (8, 9)),))
        found = driver.gpu_is_not_passed_through(pci=held_by("vfio-pci"), gpus=usable)
        assert found is not None
        assert found.severity == "note"

    def test_vfio_silent(self) -> None:
        assert driver.gpu_is_not_passed_through(pci=held_by("nvidia"), gpus=Unknown("none")) is None


class TestSecureBoot:
    LOCKED = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=True)
    BUILT = KernelModule(loaded=None, built_for=(KERNEL,))

    def test_module_on_disk_and_not_loaded(self) -> None:
        found = driver.secure_boot_lets_it_in(pci=held_by(""), module=self.BUILT, system=self.LOCKED)
        assert found is not None
        assert "Key was rejected by service" in found.fix[0]

    def test_then_the_general_rule_holds_its_tongue(self) -> None:
        assert driver.module_is_loaded(pci=held_by(""), module=self.BUILT, system=self.LOCKED) is None

    @pytest.mark.parametrize(
        ("module", "system"),
        [(BUILT, UBUNTU), (LOADED, LOCKED), (NOT_LOADED, LOCKED)],
        ids=["off", "loaded all the same", "nothing to load"],
    )
    def test_silent(self, module: KernelModule, system: System) -> None:
        assert driver.secure_boot_lets_it_in(pci=held_by(""), module=module, system=system) is None

    def test_it_is_not_blamed_for_nouveau(self) -> None:
        module = KernelModule(loaded=None, nouveau=True, built_for=(KERNEL,))
        assert driver.secure_boot_lets_it_in(pci=held_by("nouveau"), module=module, system=self.LOCKED) is None

    def test_without_a_gpu_nothing_wants_in(self) -> None:
        assert driver.secure_boot_lets_it_in(pci=PciGpus(()), module=self.BUILT, system=self.LOCKED) is None

    def test_in_a_container_it_is_the_host_s_business(self) -> None:
        system = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu", secure_boot=True, container="docker")
        assert driver.secure_boot_lets_it_in(pci=held_by(""), module=self.BUILT, system=system) is None

    def test_unknown_state_accuses_nobody(self) -> None:
        unknown = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu", secure_boot=None)
        assert driver.secure_boot_lets_it_in(pci=held_by(""), module=self.BUILT, system=unknown) is None


class TestWsl:
    def test_no_dxg(self) -> None:
        system = System(kernel="4.4.0-19041-Microsoft", machine="x86_64", distribution="Ubuntu", wsl=True)
        found = driver.wsl_reaches_windows(system=system, libraries=NO_LIBRARY)
        assert found is not None
        assert found.saw == "there is no /dev/dxg"

    def test_no_dxg_although_a_libcuda_is_there(self) -> None:
        system = System(kernel="4.4.0-19041-Microsoft", machine="x86_64", distribution="Ubuntu", wsl=True)
        assert driver.wsl_reaches_windows(system=system, libraries=WELL) is not None

    def test_no_libcuda(self) -> None:
        found = driver.wsl_reaches_windows(system=WSL, libraries=NO_LIBRARY)
        assert found is not None
        assert "libcuda" in found.saw

    def test_silent(self) -> None:
        assert driver.wsl_reaches_windows(system=WSL, libraries=WELL) is None
        assert driver.wsl_reaches_windows(system=UBUNTU, libraries=NO_LIBRARY) is None
