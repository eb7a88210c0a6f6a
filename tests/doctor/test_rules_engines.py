"""CON: both sides of each rule about container engines, seen from the host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import (
    CdiSpec,
    Docker,
    GpuContainers,
    Inside,
    KernelModule,
    Podman,
    System,
    Unknown,
)
from doctor.finding import Goal
from doctor.rules import container

KERNEL = "6.8.0-87-generic"
UBUNTU = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
LOADED = KernelModule(loaded=(580, 95, 5), nodes=("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"))
NOT_LOADED = KernelModule(loaded=None)
OUTSIDE = Unknown("not in a container")
INSIDE = Inside(engine="docker")
RUN, FOR_DOCKER = Goal("run"), Goal("docker")
DOCKER = Docker(path="/usr/bin/docker", socket="/var/run/docker.sock", reachable=True)
NOTHING = GpuContainers()
HOOK = GpuContainers(hook="/usr/bin/nvidia-container-runtime-hook", ctk="/usr/bin/nvidia-ctk")
FRESH = CdiSpec(path="/var/run/cdi/nvidia.yaml", devices=("0", "all"), driver=(580, 95, 5))
STALE = CdiSpec(path="/etc/cdi/nvidia.yaml", devices=("0", "all"), driver=(550, 144, 3))
PODMAN = Podman("/usr/bin/podman")


class TestDockerRuntime:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (FOR_DOCKER, "problem")])
    def test_nothing_hands_gpus_out(self, goal: Goal, severity: str) -> None:
        found = container.docker_has_gpu_runtime(
            docker=DOCKER, containers=NOTHING, module=LOADED, inside=OUTSIDE, goal=goal
        )
        assert found is not None
        assert found.severity == severity
        assert found.fix[0].startswith("sudo apt install nvidia-container-toolkit")
        assert found.evidence == ("runtimes in daemon.json: none",)

    @pytest.mark.parametrize(
        ("docker", "containers", "module", "inside"),
        [
            (DOCKER, HOOK, LOADED, OUTSIDE),
            (replace(DOCKER, runtimes=("nvidia",)), NOTHING, LOADED, OUTSIDE),
            (DOCKER, GpuContainers(specs=(FRESH,)), LOADED, OUTSIDE),
            (DOCKER, NOTHING, NOT_LOADED, OUTSIDE),
            (DOCKER, NOTHING, LOADED, INSIDE),
            (replace(DOCKER, snap=True), NOTHING, LOADED, OUTSIDE),
            (replace(DOCKER, desktop=True), NOTHING, LOADED, OUTSIDE),
        ],
        ids=["hook", "runtime", "CDI", "no driver", "docker in docker", "snap", "desktop"],
    )
    def test_silent(
        self, docker: Docker, containers: GpuContainers, module: KernelModule, inside: Inside | Unknown
    ) -> None:
        judged = container.docker_has_gpu_runtime(
            docker=docker, containers=containers, module=module, inside=inside, goal=FOR_DOCKER
        )
        assert judged is None

    def test_other_runtimes_are_named_as_evidence(self) -> None:
        docker = replace(DOCKER, runtimes=("crun", "kata"))
        found = container.docker_has_gpu_runtime(
            docker=docker, containers=NOTHING, module=LOADED, inside=OUTSIDE, goal=RUN
        )
        assert found is not None
        assert found.evidence == ("runtimes in daemon.json: crun, kata",)


class TestHiddenDriver:
    def test_the_snap(self) -> None:
        snap = Docker(path="/snap/bin/docker", snap=True)
        found = container.docker_sees_the_driver(docker=snap, module=LOADED, goal=FOR_DOCKER)
        assert found is not None
        assert (found.saw, found.fix[0], found.severity) == (
            "docker of the snap at /snap/bin/docker",
            "sudo snap remove docker",
            "problem",
        )

    def test_docker_desktop(self) -> None:
        found = container.docker_sees_the_driver(docker=replace(DOCKER, desktop=True), module=LOADED, goal=RUN)
        assert found is not None
        assert (found.saw, found.severity) == ("Docker Desktop on a GPU host", "note")

    def test_silent(self) -> None:
        assert container.docker_sees_the_driver(docker=DOCKER, module=LOADED, goal=FOR_DOCKER) is None
        snap = replace(DOCKER, snap=True)
        assert container.docker_sees_the_driver(docker=snap, module=NOT_LOADED, goal=FOR_DOCKER) is None


class TestDaemon:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (FOR_DOCKER, "problem")])
    def test_a_closed_socket(self, goal: Goal, severity: str) -> None:
        found = container.docker_socket_is_open(docker=replace(DOCKER, reachable=False), goal=goal)
        assert found is not None
        assert found.severity == severity
        assert "usermod -aG docker" in found.fix[0]

    def test_an_open_socket_or_none(self) -> None:
        assert container.docker_socket_is_open(docker=DOCKER, goal=FOR_DOCKER) is None
        nowhere = Docker(path="/usr/bin/docker")
        assert container.docker_socket_is_open(docker=nowhere, goal=FOR_DOCKER) is None

    def test_a_broken_file(self) -> None:
        broken = replace(DOCKER, broken_config="/etc/docker/daemon.json: not a JSON object")
        found = container.daemon_json_is_valid(docker=broken, goal=FOR_DOCKER)
        assert found is not None
        assert (found.saw, found.severity) == ("/etc/docker/daemon.json: not a JSON object", "problem")

    def test_a_good_file(self) -> None:
        assert container.daemon_json_is_valid(docker=DOCKER, goal=FOR_DOCKER) is None


class TestCdi:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "warning"), (FOR_DOCKER, "problem")])
    def test_made_for_another_driver(self, goal: Goal, severity: str) -> None:
        found = container.cdi_is_fresh(containers=GpuContainers(specs=(STALE,)), module=LOADED, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.saw == "/etc/cdi/nvidia.yaml for driver 550.144.03, but the loaded driver is 580.95.05"
        assert found.fix[0] == "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"

    @pytest.mark.parametrize(
        ("specs", "module"),
        [
            ((FRESH,), LOADED),
            ((STALE, FRESH), LOADED),
            ((), LOADED),
            ((STALE,), NOT_LOADED),
            ((replace(STALE, driver=None),), LOADED),
        ],
        ids=["fresh", "the fresh one wins", "none", "no driver", "of no version"],
    )
    def test_silent(self, specs: tuple[CdiSpec, ...], module: KernelModule) -> None:
        assert container.cdi_is_fresh(containers=GpuContainers(specs=specs), module=module, goal=RUN) is None

    def test_podman_needs_one(self) -> None:
        found = container.podman_has_cdi(podman=PODMAN, containers=HOOK, module=LOADED, inside=OUTSIDE, goal=FOR_DOCKER)
        assert found is not None
        assert (found.expected, found.severity) == ("/etc/cdi/nvidia.yaml", "warning")

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (FOR_DOCKER, "warning")])
    def test_one_that_cannot_be_read(self, goal: Goal, severity: str) -> None:
        closed = GpuContainers(unreadable=("/etc/cdi/nvidia.yaml",), specs=(FRESH,))
        found = container.podman_has_cdi(podman=PODMAN, containers=closed, module=LOADED, inside=OUTSIDE, goal=goal)
        assert found is not None
        assert (found.fix, found.severity) == (("sudo chmod a+r /etc/cdi/nvidia.yaml",), severity)

    @pytest.mark.parametrize(
        ("containers", "module", "inside"),
        [
            (GpuContainers(specs=(FRESH,)), LOADED, OUTSIDE),
            (NOTHING, NOT_LOADED, OUTSIDE),
            (NOTHING, LOADED, INSIDE),
        ],
        ids=["there", "no driver", "within a container"],
    )
    def test_podman_silent(self, containers: GpuContainers, module: KernelModule, inside: Inside | Unknown) -> None:
        judged = container.podman_has_cdi(
            podman=PODMAN, containers=containers, module=module, inside=inside, goal=FOR_DOCKER
        )
        assert judged is None

    def test_podman_without_one_is_a_note_to_others(self) -> None:
        found = container.podman_has_cdi(podman=PODMAN, containers=NOTHING, module=LOADED, inside=OUTSIDE, goal=RUN)
        assert found is not None
        assert found.severity == "note"


class TestReload:
    LEGACY = replace(DOCKER, runtimes=("nvidia",))
    BY_SYSTEMD = replace(HOOK, systemd_groups=True)

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (FOR_DOCKER, "warning")])
    def test_gpus_get_lost(self, goal: Goal, severity: str) -> None:
        found = container.gpus_survive_reload(docker=self.LEGACY, containers=self.BY_SYSTEMD, goal=goal)
        assert found is not None
        assert (found.severity, found.confidence) == (severity, "likely")

    @pytest.mark.parametrize(
        ("docker", "containers"),
        [
            (DOCKER, BY_SYSTEMD),
            (LEGACY, HOOK),
            (LEGACY, replace(BY_SYSTEMD, device_links=True)),
            (LEGACY, replace(BY_SYSTEMD, specs=(FRESH,))),
            (replace(LEGACY, cgroupfs=True), BY_SYSTEMD),
            (replace(LEGACY, rootless=True), BY_SYSTEMD),
        ],
        ids=["no runtime", "not systemd's", "links", "CDI", "cgroupfs", "rootless"],
    )
    def test_silent(self, docker: Docker, containers: GpuContainers) -> None:
        assert container.gpus_survive_reload(docker=docker, containers=containers, goal=FOR_DOCKER) is None


class TestRootless:
    ROOTLESS = replace(DOCKER, rootless=True)

    def test_the_hook_sets_control_groups(self) -> None:
        found = container.rootless_has_no_cgroups(docker=self.ROOTLESS, containers=HOOK, module=LOADED, goal=FOR_DOCKER)
        assert found is not None
        assert found.severity == "problem"
        assert "no-cgroups=true" in found.fix[0]

    @pytest.mark.parametrize(
        ("docker", "containers", "module"),
        [
            (DOCKER, HOOK, LOADED),
            (ROOTLESS, NOTHING, LOADED),
            (ROOTLESS, replace(HOOK, no_cgroups=True), LOADED),
            (ROOTLESS, replace(HOOK, specs=(FRESH,)), LOADED),
            (ROOTLESS, HOOK, NOT_LOADED),
        ],
        ids=["with root", "no hook", "switched off", "CDI", "no driver"],
    )
    def test_silent(self, docker: Docker, containers: GpuContainers, module: KernelModule) -> None:
        judged = container.rootless_has_no_cgroups(docker=docker, containers=containers, module=module, goal=FOR_DOCKER)
        assert judged is None
