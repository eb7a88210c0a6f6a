"""The probes of containers, limits and folders on small recorded worlds."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.facts import (
    Cpu,
    Docker,
    GpuContainers,
    Inside,
    OpenFiles,
    Place,
    Podman,
    Unknown,
)
from doctor.probes.container import probe_docker, probe_gpu_containers, probe_inside, probe_podman
from doctor.probes.system import (
    container_of,
    probe_cpu,
    probe_memory,
    probe_open_files,
    probe_places,
)
from tests.doctor.worlds import there, world

PROGRAMS = {"docker": "/usr/bin/docker"}


class TestSystem:
    @pytest.mark.parametrize(
        ("kinds", "kind"),
        [
            ({"variables": {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "files": {"/.dockerenv": ""}}, "kubernetes"),
            ({"files": {"/run/.containerenv": ""}}, "podman"),
            ({"files": {"/.dockerenv": ""}}, "docker"),
            ({"folders": {"/.singularity.d": ["env"]}}, "apptainer"),
            ({"variables": {"container": "lxc"}}, "lxc"),
            ({"files": {"/run/systemd/container": "systemd-nspawn\n"}}, "systemd-nspawn"),
            ({}, ""),
        ],
    )
    def test_each_container_leaves_its_mark(self, kinds: dict[str, Any], kind: str) -> None:
        assert container_of(world(**kinds)) == kind

    @pytest.mark.parametrize(
        ("files", "quota"),
        [
            ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
            (
                {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
                4.0,
            ),
            ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
            (
                {
                    "/proc/self/cgroup": "0::/system.slice/slurmstepd.scope/job_7/step_0\n",
                    "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/cpu.max": "600000 100000\n",
                    "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/step_0/cpu.max": "max 100000\n",
                },
                6.0,
            ),
            (
                {
                    "/proc/self/cgroup": "4:cpu,cpuacct:/job_7\n3:memory:/\n",
                    "/sys/fs/cgroup/cpu/job_7/cpu.cfs_quota_us": "200000",
                    "/sys/fs/cgroup/cpu/job_7/cpu.cfs_period_us": "100000",
                    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "700000",
                    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                },
                2.0,
            ),
            ({"/proc/self/cgroup": "0::/../../other\n", "/sys/fs/cgroup/cpu.max": "300000 100000"}, 3.0),
            ({}, None),
        ],
        ids=["version 2", "version 1", "no limit in version 1", "a job", "a job in version 1", "a namespace", "none"],
    )
    def test_cores(self, files: dict[str, str], quota: float | None) -> None:
        host = world(files={"/proc/self/status": "Cpus_allowed_list:\t0-7\n", **files})
        assert probe_cpu(host) == Cpu(cores=8, quota=quota)

    def test_cores_and_limits_that_nobody_tells(self) -> None:
        assert probe_cpu(world()) == Unknown("/proc/self/status names no CPUs")
        assert probe_open_files(world()) == Unknown("/proc/self/limits names no limit of open files")

    def test_open_files(self) -> None:
        line = "Max open files            1024                 524288               files     \n"
        assert probe_open_files(world(files={"/proc/self/limits": line})) == OpenFiles(1024, 524288)

    @pytest.mark.parametrize(
        "path",
        [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/user.slice/memory.max",
            "/sys/fs/cgroup/memory/job_7/memory.limit_in_bytes",
        ],
    )
    def test_the_control_groups_memory(self, path: str) -> None:
        groups = "3:memory:/job_7\n0::/user.slice\n"
        memory = "MemTotal: 1000 kB\nMemAvailable: 900 kB\n"
        host = world(files={"/proc/meminfo": memory, "/proc/self/cgroup": groups, path: "512000\n"})
        found = probe_memory(host)
        assert not isinstance(found, Unknown)
        assert (found.total, found.available) == (512000, 512000)

    def test_places(self) -> None:
        host = world(
            variables={"TMPDIR": "/scratch", "HOME": "/home/user"},
            access={"/scratch": "rw", "/home/user": "r"},
            space={"/scratch": [100, 50]},
            mounts={"/scratch": ["ro", "noexec"]},
        )
        found = probe_places(host)
        assert found.temporary == Place(path="/scratch", writable=True, free=50, noexec=True)
        assert found.home == Place(path="/home/user", writable=False)
        assert str(found) == "/scratch, 0.0 GiB free, noexec; /home/user, not writable"

    def test_places_that_are_not_there(self) -> None:
        found = probe_places(world(variables={"HOME": "/nonexistent"}))
        assert (found.temporary, found.home) == (None, None)


class TestDocker:
    def test_none(self) -> None:
        assert probe_docker(world()) == Unknown("docker is not on PATH")
        assert probe_podman(world()) == Unknown("podman is not on PATH")
        assert probe_podman(world(programs={"podman": "/usr/bin/podman"})) == Podman("/usr/bin/podman")

    def test_an_ordinary_one(self) -> None:
        host = world(
            programs=PROGRAMS,
            access={"/var/run/docker.sock": "rw", "/run/user/1000/docker.sock": "rw"},
            variables={"XDG_RUNTIME_DIR": "/run/user/1000"},
            files={"/etc/docker/daemon.json": '{"runtimes": {"nvidia": {}}}'},
        )
        found = probe_docker(host)
        assert found == Docker(
            path="/usr/bin/docker", socket="/var/run/docker.sock", reachable=True, runtimes=("nvidia",)
        )
        assert str(found) == "docker at /usr/bin/docker, runtimes nvidia"

    def test_a_closed_socket(self) -> None:
        found = probe_docker(world(programs=PROGRAMS, access={"/var/run/docker.sock": ""}))
        assert found == Docker(path="/usr/bin/docker", socket="/var/run/docker.sock")

    @pytest.mark.parametrize("variables", [{}, {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}])
    def test_a_rootless_one_has_its_own_file(self, variables: dict[str, str]) -> None:
        host = world(
            programs=PROGRAMS,
            variables={"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/user", **variables},
            access={"/run/user/1000/docker.sock": "rw"},
            files={"/home/user/.config/docker/daemon.json": "[]", "/etc/docker/daemon.json": "{"},
        )
        found = probe_docker(host)
        assert isinstance(found, Docker)
        assert (found.rootless, found.reachable) == (True, True)
        assert found.broken_config == "/home/user/.config/docker/daemon.json: not a JSON object"

    def test_the_snap_has_its_own_file(self) -> None:
        host = world(
            programs={"docker": "/usr/local/bin/docker"},
            links={"/usr/local/bin/docker": "/snap/docker/2932/bin/docker"},
            files={"/var/snap/docker/current/config/daemon.json": '{"exec-opts": ["native.cgroupdriver=cgroupfs"]}'},
        )
        found = probe_docker(host)
        assert isinstance(found, Docker)
        assert (found.snap, found.cgroupfs, found.socket) == (True, True, "")

    def test_desktop(self) -> None:
        host = world(
            programs=PROGRAMS,
            variables={"HOME": "/home/user"},
            access={"/home/user/.docker/desktop/docker.sock": "rw"},
        )
        found = probe_docker(host)
        assert isinstance(found, Docker)
        assert found.desktop
        assert str(found) == "docker Desktop at /usr/bin/docker"

    def test_a_remote_one_has_no_socket_here(self) -> None:
        host = world(
            programs=PROGRAMS,
            variables={"DOCKER_HOST": "tcp://10.0.0.1"},
            access={"/var/run/docker.sock": "", "": "rw"},
        )
        assert probe_docker(host) == Docker(path="/usr/bin/docker", remote=True)

    def test_without_a_runtime_folder_there_is_no_socket_in_the_root_folder(self) -> None:
        host = world(programs=PROGRAMS, access={"/docker.sock": "rw"})
        assert probe_docker(host) == Docker(path="/usr/bin/docker")

    def test_the_snap_by_its_path(self) -> None:
        assert probe_docker(world(programs={"docker": "/snap/bin/docker"})) == Docker(
            path="/snap/bin/docker", snap=True
        )

    def test_a_configuration_folder_of_ones_own(self) -> None:
        host = world(
            programs=PROGRAMS,
            variables={"XDG_RUNTIME_DIR": "/run/user/1000", "XDG_CONFIG_HOME": "/etc/own", "HOME": "/home/user"},
            access={"/run/user/1000/docker.sock": "rw"},
            files={"/etc/own/docker/daemon.json": '{"runtimes": {"nvidia": {}}}'},
        )
        found = probe_docker(host)
        assert isinstance(found, Docker)
        assert found.runtimes == ("nvidia",)


class TestGpuContainers:
    def test_nothing(self) -> None:
        assert probe_gpu_containers(world()) == GpuContainers()
        assert str(GpuContainers()) == "nothing hands GPUs to containers"

    def test_everything(self) -> None:
        spec = "kind: nvidia.com/gpu\n- hostPath: /usr/lib64/libcuda.so.580.95.05\n"
        host = world(
            programs={
                "nvidia-container-toolkit": "/usr/bin/nvidia-container-toolkit",
                "nvidia-ctk": "/usr/bin/nvidia-ctk",
            },
            folders={
                "/etc/cdi": ["README", "intel.yaml", "nvidia.yml"],
                "/var/run/cdi": ["nvidia.json", "secret.yaml"],
                "/dev/char": ["1:3", "195:0"],
            },
            files={
                "/etc/cdi/intel.yaml": "kind: intel.com/gpu",
                "/etc/cdi/nvidia.yml": spec,
                "/var/run/cdi/nvidia.json": '{"kind": "nvidia.com/gpu"}',
                "/etc/nvidia-container-runtime/config.toml": "no-cgroups = true",
            },
            access={
                "/sys/fs/cgroup/cgroup.controllers": "r",
                "/run/systemd/system": "r",
                "/var/run/cdi/secret.yaml": "",
            },
        )
        found = probe_gpu_containers(host)
        assert [(one.path, one.driver) for one in found.specs] == [
            ("/etc/cdi/nvidia.yml", (580, 95, 5)),
            ("/var/run/cdi/nvidia.json", None),
        ]
        assert found.unreadable == ("/var/run/cdi/secret.yaml",)
        assert (found.hook, found.ctk) == ("/usr/bin/nvidia-container-toolkit", "/usr/bin/nvidia-ctk")
        assert (found.no_cgroups, found.device_links, found.systemd_groups) == (True, True, True)
        assert str(found).endswith("/etc/cdi/nvidia.yml for driver 580.95.05, /var/run/cdi/nvidia.json")

    @pytest.mark.parametrize("paths", [["/sys/fs/cgroup/cgroup.controllers"], ["/run/systemd/system"]])
    def test_systemd_owns_only_groups_of_version_2(self, paths: list[str]) -> None:
        assert not probe_gpu_containers(world(access=there(*paths))).systemd_groups


def test_inside_and_outside() -> None:
    assert probe_inside(world()) == Unknown("not in a container")
    host = world(files={"/.dockerenv": ""}, variables={"NVIDIA_VISIBLE_DEVICES": "all"})
    assert probe_inside(host) == Inside(engine="docker", visible_devices="all")
    assert str(probe_inside(host)) == "inside docker, NVIDIA_VISIBLE_DEVICES=all"
    graphics = world(files={"/.dockerenv": ""}, variables={"NVIDIA_DRIVER_CAPABILITIES": "graphics"})
    assert probe_inside(graphics) == Inside(engine="docker", capabilities="graphics")
