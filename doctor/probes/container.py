"""Containers from both sides: engines and GPU runtimes on a host, and what a container was started with.

No engine is started: its daemon may hang, and files say enough.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.facts import CdiSpec, Docker, GpuContainers, Inside, Podman, Unknown
from doctor.probes.system import container_of
from doctor.versions import find_version
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

DAEMON_JSON = "/etc/docker/daemon.json"
SNAP_DAEMON_JSON = "/var/snap/docker/current/config/daemon.json"
DOCKER_SOCKET = "/var/run/docker.sock"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
CONFIG_TOML = "/etc/nvidia-container-runtime/config.toml"
HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-toolkit")
NVIDIA_MAJOR = "195:"  # the number of NVIDIA's character devices, fixed in the kernel's list


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """What daemon.json says of GPUs; `problem` where it is not what the daemon can read."""

    runtimes: tuple[str, ...] = ()
    cgroupfs: bool = False
    problem: str = ""


def parse_daemon_json(text: str) -> DaemonConfig:
    """Read Docker's daemon.json; an empty file is a valid one."""
    if not text.strip():
        return DaemonConfig()
    try:
        document: Any = json.loads(text.removeprefix("\ufeff"))
    except ValueError as why:
        return DaemonConfig(problem=say("not JSON: {why}", why=str(why)))
    except RecursionError:
        return DaemonConfig(problem="not JSON that a daemon can read: nested too deep")
    if not isinstance(document, dict):
        return DaemonConfig(problem="not a JSON object")
    runtimes, options = document.get("runtimes"), document.get("exec-opts")
    return DaemonConfig(
        tuple(sorted(map(str, runtimes))) if isinstance(runtimes, dict) else (),
        isinstance(options, list) and "native.cgroupdriver=cgroupfs" in options,
    )


def parse_cdi(text: str, path: str) -> CdiSpec | None:
    """Read what matters of a CDI file, YAML or JSON; None where it describes no NVIDIA GPUs.

    A regular expression finds the same words in both: `kind: nvidia.com/gpu`, `name: "0"` below devices, and the
    driver's version in the name of the libcuda that is mounted.
    """
    if not re.search(r"[\"']?\bkind[\"']?:\s*[\"']?nvidia\.com/gpu\b", text):
        return None
    names = re.findall(r"(?:^|[\s{,-])[\"']?name[\"']?:\s*[\"']?([\w.:-]{1,80})[\"']?\s*(?:,|\}|$)", text, re.MULTILINE)
    library = re.search(r"libcuda\.so\.([0-9]{3,4}(?:\.[0-9]{1,4}){1,2})\b", text, re.ASCII)
    driver = find_version(library[1]) if library else None
    return CdiSpec(path=path, devices=tuple(dict.fromkeys(names)), driver=driver)


def parse_no_cgroups(text: str) -> bool:
    """Return whether the container toolkit's config.toml switches control groups off, as rootless engines need."""
    return re.search(r"^[ \t]*no-cgroups[ \t]*=[ \t]*true\b", text, re.MULTILINE) is not None


def probe_docker(host: Host) -> Docker | Unknown:
    """Look at Docker's program, socket and daemon.json."""
    path = host.which("docker")
    if not path:
        return Unknown("docker is not on PATH")
    snap = path.startswith("/snap/") or "/snap/" in (host.real_path(path) or "")
    socket, kind = _socket(host)
    home = host.variable("XDG_CONFIG_HOME") or f"{host.variable('HOME')}/.config"
    place = SNAP_DAEMON_JSON if snap else f"{home}/docker/daemon.json" if kind == "rootless" else DAEMON_JSON
    config = parse_daemon_json(host.read(place) or "")
    return Docker(
        path=path,
        socket=socket,
        reachable=bool(socket) and host.access(socket).writable,
        snap=snap,
        rootless=kind == "rootless",
        desktop=kind == "desktop",
        remote=kind == "remote",
        runtimes=config.runtimes,
        cgroupfs=config.cgroupfs,
        broken_config=say("{place}: {problem}", place=place, problem=config.problem) if config.problem else "",
    )


def probe_podman(host: Host) -> Podman | Unknown:
    """Look for podman."""
    path = host.which("podman")
    return Podman(path) if path else Unknown("podman is not on PATH")


def probe_gpu_containers(host: Host) -> GpuContainers:
    """Look for the NVIDIA Container Toolkit and for CDI files. A machine without either is a fact too."""
    hook = next((path for name in HOOKS if (path := host.which(name))), "")
    ctk = host.which("nvidia-ctk") or ""
    files = [f"{folder}/{name}" for folder in CDI_FOLDERS for name in host.listing(folder) if _is_spec(name)]
    specs = [spec for path in files if (spec := parse_cdi(host.read(path) or "", path))]
    return GpuContainers(
        hook=hook,
        ctk=ctk,
        specs=tuple(specs),
        unreadable=tuple(path for path in files if not host.access(path).readable),
        no_cgroups=parse_no_cgroups(host.read(CONFIG_TOML) or ""),
        device_links=any(name.startswith(NVIDIA_MAJOR) for name in host.listing("/dev/char")),
        systemd_groups=host.access("/sys/fs/cgroup/cgroup.controllers").exists
        and host.access("/run/systemd/system").exists,
    )


def probe_inside(host: Host) -> Inside | Unknown:
    """Read the variables that NVIDIA's runtime reads, where this is a container."""
    engine = container_of(host)
    if not engine:
        return Unknown("not in a container")
    return Inside(
        engine=engine,
        visible_devices=host.variable("NVIDIA_VISIBLE_DEVICES") or None,
        capabilities=host.variable("NVIDIA_DRIVER_CAPABILITIES") or None,
    )


def _socket(host: Host) -> tuple[str, str]:
    """Return the socket that the docker command would use, and which kind of daemon listens there."""
    own = f"{host.variable('XDG_RUNTIME_DIR') or '/nowhere'}/docker.sock"
    desktop = f"{host.variable('HOME')}/.docker/desktop/docker.sock"
    named = host.variable("DOCKER_HOST")
    if named:
        path = named.removeprefix("unix://")
        kinds = {own: "rootless", desktop: "desktop"}
        return (path, kinds.get(path, "system")) if path != named else ("", "remote")
    for path, kind in ((DOCKER_SOCKET, "system"), (own, "rootless"), (desktop, "desktop")):
        if host.access(path).exists:
            return path, kind
    return "", "system"


def _is_spec(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json"))
