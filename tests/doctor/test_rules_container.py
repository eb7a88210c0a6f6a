"""CON: both sides of each rule about a container, seen from within."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import (
    DriverLibraries,
    Inside,
    KernelModule,
    Memory,
    System,
    Unknown,
)
from doctor.finding import Goal
from doctor.rules import container

KERNEL = "6.8.0-87-generic"
UBUNTU = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
IN_DOCKER = replace(UBUNTU, container="docker")
LOADED = KernelModule(loaded=(580, 95, 5), nodes=("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"))
NO_NODES = KernelModule(loaded=(580, 95, 5))
NOT_LOADED = KernelModule(loaded=None)
WELL = DriverLibraries(nvml_code=0, cuda_code=0, version=(580, 95, 5))
NO_LIBRARY = DriverLibraries(nvml_code=None, cuda_code=None)
OUTSIDE = Unknown("not in a container")
INSIDE = Inside(engine="docker")
RUN, BUILD = Goal("run"), Goal("build-ext")


class TestGpuArrives:
    def test_without_the_gpu_runtime(self) -> None:
        found = container.container_has_gpu(
            system=IN_DOCKER, module=NO_NODES, libraries=NO_LIBRARY, inside=INSIDE, goal=RUN
        )
        assert found is not None
        assert "--gpus all" in found.fix[0]
        assert found.saw == "the host's driver is loaded, but this docker container has no device files"
        assert found.severity == "problem"

    @pytest.mark.parametrize(
        ("engine", "command"),
        [
            ("apptainer", "apptainer exec --nv"),
            ("kubernetes", "in the pod: resources"),
            ("podman", "podman run --device"),
        ],
    )
    def test_each_engine_has_its_own_words(self, engine: str, command: str) -> None:
        found = container.container_has_gpu(
            system=replace(UBUNTU, container=engine), module=LOADED, libraries=NO_LIBRARY, inside=INSIDE, goal=RUN
        )
        assert found is not None
        assert found.fix[0].startswith(command)

    def test_a_build_without_the_gpu_is_ordinary(self) -> None:
        found = container.container_has_gpu(
            system=IN_DOCKER, module=NO_NODES, libraries=NO_LIBRARY, inside=INSIDE, goal=BUILD
        )
        assert found is not None
        assert found.severity == "note"

    def test_with_the_library_but_without_devices(self) -> None:
        found = container.container_has_gpu(system=IN_DOCKER, module=NO_NODES, libraries=WELL, inside=INSIDE, goal=RUN)
        assert found is not None
        assert "no device files" in found.saw

    @pytest.mark.parametrize("inside", [INSIDE, OUTSIDE, Inside(engine="docker", capabilities="compute,utility")])
    def test_without_the_library(self, inside: Inside | Unknown) -> None:
        found = container.container_has_gpu(
            system=IN_DOCKER, module=LOADED, libraries=NO_LIBRARY, inside=inside, goal=RUN
        )
        assert found is not None
        assert "no libcuda.so.1" in found.saw

    def test_the_variable_that_explains_it_has_a_rule_of_its_own(self) -> None:
        graphics = Inside(engine="docker", capabilities="graphics,utility")
        assert (
            container.container_has_gpu(
                system=IN_DOCKER, module=LOADED, libraries=NO_LIBRARY, inside=graphics, goal=RUN
            )
            is None
        )
        found = container.container_has_gpu(
            system=IN_DOCKER, module=NO_NODES, libraries=NO_LIBRARY, inside=graphics, goal=RUN
        )
        assert found is not None

    @pytest.mark.parametrize(
        ("system", "module", "libraries"),
        [(IN_DOCKER, LOADED, WELL), (IN_DOCKER, NOT_LOADED, NO_LIBRARY), (UBUNTU, LOADED, NO_LIBRARY)],
        ids=["with GPU", "host without GPU", "no container"],
    )
    def test_silent(self, system: System, module: KernelModule, libraries: DriverLibraries) -> None:
        judged = container.container_has_gpu(system=system, module=module, libraries=libraries, inside=INSIDE, goal=RUN)
        assert judged is None


class TestSharedMemory:
    def test_64_mib(self) -> None:
        found = container.shm_is_large(memory=Memory(32 << 30, 30 << 30, 64 << 20), system=IN_DOCKER)
        assert found is not None
        assert "--shm-size" in found.fix[0]
        assert (found.saw, found.severity) == ("shared memory (/dev/shm) is 64 MiB", "warning")

    @pytest.mark.parametrize(
        ("engine", "words"), [("kubernetes", "emptyDir"), ("podman", "podman run"), ("lxc", "docker")]
    )
    def test_64_mib_in_another_engine(self, engine: str, words: str) -> None:
        memory = Memory(32 << 30, 30 << 30, 64 << 20)
        found = container.shm_is_large(memory=memory, system=replace(UBUNTU, container=engine))
        assert found is not None
        assert words in found.fix[0]

    def test_none(self) -> None:
        found = container.shm_is_large(memory=Memory(32 << 30, 30 << 30, None), system=UBUNTU)
        assert found is not None
        assert found.saw == "shared memory (/dev/shm) is missing"
        assert found.fix[0].startswith("sudo mount")

    @pytest.mark.parametrize("size", [(64 << 20) + 1, 16 << 30])
    def test_enough(self, size: int) -> None:
        assert container.shm_is_large(memory=Memory(32 << 30, 30 << 30, size), system=IN_DOCKER) is None


class TestVariables:
    def test_graphics_only(self) -> None:
        graphics = Inside(engine="docker", visible_devices="all", capabilities="graphics, utility")
        found = container.container_asks_for_compute(inside=graphics, module=LOADED, libraries=NO_LIBRARY)
        assert found is not None
        assert found.saw.startswith("NVIDIA_DRIVER_CAPABILITIES=graphics, utility, and libcuda.so.1")
        assert found.severity == "problem"

    @pytest.mark.parametrize("word", ["void", "none"])
    def test_no_gpu_asked_for(self, word: str) -> None:
        nobody = Inside(engine="docker", visible_devices=word)
        found = container.container_asks_for_compute(inside=nobody, module=NO_NODES, libraries=NO_LIBRARY)
        assert found is not None
        assert (found.saw, found.severity) == (f"NVIDIA_VISIBLE_DEVICES={word} asks for no GPU", "warning")

    @pytest.mark.parametrize(
        ("inside", "module", "libraries"),
        [
            (Inside(engine="docker", capabilities="compute,utility"), LOADED, NO_LIBRARY),
            (Inside(engine="docker", capabilities="all"), LOADED, NO_LIBRARY),
            (INSIDE, LOADED, NO_LIBRARY),
            (Inside(engine="docker", capabilities="graphics"), LOADED, WELL),
            (Inside(engine="docker", capabilities="graphics"), NO_NODES, NO_LIBRARY),
            (Inside(engine="docker", visible_devices="void"), LOADED, WELL),
            (Inside(engine="docker", visible_devices="void"), NOT_LOADED, NO_LIBRARY),
            (Inside(engine="docker", visible_devices="all"), NO_NODES, NO_LIBRARY),
        ],
        ids=["compute", "all", "unset", "libcuda is here", "no GPU", "CDI says void", "no driver", "all GPUs"],
    )
    def test_silent(self, inside: Inside, module: KernelModule, libraries: DriverLibraries) -> None:
        judged = container.container_asks_for_compute(inside=inside, module=module, libraries=libraries)
        assert judged is None


class TestAge:
    OLD = DriverLibraries(nvml_code=18, cuda_code=803, version=(570, 172, 8))

    def test_made_before_the_driver_was_updated(self) -> None:
        found = container.container_is_as_old_as_driver(inside=INSIDE, module=LOADED, libraries=self.OLD)
        assert found is not None
        assert found.saw == "libraries of driver 570.172.08 in this docker container, the host's module is 580.95.05"
        assert "docker rm" in found.fix[0]

    @pytest.mark.parametrize(
        ("module", "libraries"),
        [(LOADED, WELL), (LOADED, NO_LIBRARY), (NO_NODES, OLD), (replace(LOADED, loaded=None), OLD)],
        ids=["of one age", "no library", "no GPU", "version hidden"],
    )
    def test_silent(self, module: KernelModule, libraries: DriverLibraries) -> None:
        judged = container.container_is_as_old_as_driver(inside=INSIDE, module=module, libraries=libraries)
        assert judged is None
