"""Container engines on a host, what gives their containers GPUs, and what a container was started with."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import Version, dotted_driver
from doctor.words import joined, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """Docker on this machine. `socket` is where its daemon listens, `reachable` whether this user may write to it.

    `runtimes` and `cgroupfs` come from daemon.json; `broken_config` says what is wrong with that file, if anything.
    """

    path: str
    socket: str = ""
    reachable: bool = False
    snap: bool = False
    rootless: bool = False
    desktop: bool = False
    remote: bool = False
    runtimes: tuple[str, ...] = ()
    cgroupfs: bool = False
    broken_config: str = ""

    def __str__(self) -> str:
        """Return one line."""
        marks = (("snap", self.snap), ("rootless", self.rootless), ("Desktop", self.desktop))
        kind = " ".join(["docker", *(word for word, holds in marks if holds)])
        if not self.runtimes:
            return say("{kind} at {path}", kind=kind, path=self.path)
        runtimes = ", ".join(self.runtimes)
        return say("{kind} at {path}, runtimes {runtimes}", kind=kind, path=self.path, runtimes=runtimes)


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman on this machine."""

    path: str

    def __str__(self) -> str:
        """Return one line."""
        return say("{kind} at {path}", kind="podman", path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class CdiSpec:
    """A Container Device Interface file for NVIDIA GPUs: its devices, and the driver whose libraries it mounts."""

    path: str
    devices: tuple[str, ...] = ()
    driver: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        if not self.driver:
            return self.path
        return say("{path} for driver {driver}", path=self.path, driver=dotted_driver(self.driver))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuContainers:
    """What hands GPUs to containers on this host: the NVIDIA Container Toolkit's programs, and CDI files.

    `hook` serves `docker --gpus`; `ctk` configures. `unreadable` are CDI files that this user may not read.
    `no_cgroups` is the toolkit's switch for rootless engines; `device_links` are the GPUs' links below /dev/char.
    `systemd_groups` says that systemd owns the control groups (version 2).
    """

    hook: str = ""
    ctk: str = ""
    specs: tuple[CdiSpec, ...] = ()
    unreadable: tuple[str, ...] = ()
    no_cgroups: bool = False
    device_links: bool = False
    systemd_groups: bool = False

    def __str__(self) -> str:
        """Return one line."""
        parts = [path for path in (self.ctk, self.hook) if path] + [str(spec) for spec in self.specs]
        return joined(", ", parts) or "nothing hands GPUs to containers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the container around the doctor was started with: NVIDIA's two variables, None where not set."""

    engine: str
    visible_devices: str | None = None
    capabilities: str | None = None

    def __str__(self) -> str:
        """Return one line."""
        named = (
            ("NVIDIA_VISIBLE_DEVICES", self.visible_devices),
            ("NVIDIA_DRIVER_CAPABILITIES", self.capabilities),
        )
        set_ones = [f"{name}={value}" for name, value in named if value is not None]
        return joined(", ", (say("inside {engine}", engine=self.engine), *set_ones))
