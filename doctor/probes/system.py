"""What the machine is: kernel, distribution, container, memory, room on disk. No GPU here, no judgement."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from doctor.facts import Disk, Memory, System, Unknown

if TYPE_CHECKING:
    from doctor.shell import Host

EFI = "/sys/firmware/efi/efivars"
SECURE_BOOT = (
    f"{EFI}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"  # 4 attribute bytes, then 1 = on (UEFI 2.10, 3.3)
)


def parse_os_release(text: str) -> str:
    """Return PRETTY_NAME of /etc/os-release, or `Linux`."""
    found = re.search(r"^PRETTY_NAME=[\"']?([^\"'\n]*)", text, re.MULTILINE)
    return (found[1].strip() if found else "") or "Linux"


def parse_meminfo(text: str) -> tuple[int, int] | None:
    """Return total and available bytes of /proc/meminfo; kernels before 3.14 have no MemAvailable."""
    rows: dict[str, str] = dict(re.findall(r"^(\w+):\s*([0-9]{1,18}) kB", text, re.MULTILINE | re.ASCII))
    if "MemTotal" not in rows:
        return None
    return int(rows["MemTotal"]) * 1024, int(rows.get("MemAvailable", rows.get("MemFree", "0"))) * 1024


def probe_system(host: Host) -> System | Unknown:
    """Look at /proc, /etc and the markers of containers."""
    kernel = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    if not kernel:
        return Unknown("this is not Linux: there is no /proc/sys/kernel/osrelease")
    return System(
        kernel=kernel,
        machine=host.machine(),
        distribution=parse_os_release(host.read("/etc/os-release") or ""),
        container=_container(host),
        wsl="microsoft" in kernel.lower(),
        dxg=host.access("/dev/dxg").exists,
        secure_boot=_secure_boot(host),
    )


def probe_memory(host: Host) -> Memory | Unknown:
    """Read /proc/meminfo and the control group's limit, whichever is smaller."""
    found = parse_meminfo(host.read("/proc/meminfo") or "")
    if found is None:
        return Unknown("/proc/meminfo cannot be read", looked=False)
    total, available = found
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = (host.read(path) or "").strip()
        if re.fullmatch(r"[0-9]{1,18}", limit, re.ASCII) and int(limit) < total:
            total, available = int(limit), min(available, int(limit))
    shm = host.space("/dev/shm")  # noqa: S108 — looked at, not written to
    return Memory(total, available, shm[0] if shm else None)


def probe_disk(host: Host, folder: str) -> Disk | Unknown:
    """Ask for the room in `folder` or the nearest parent that exists."""
    path = PurePosixPath(folder)
    for place in (path, *path.parents):
        space = host.space(str(place))
        if space:
            return Disk(str(place), space[1])
    return Unknown(f"no room can be measured at {folder}", looked=False)


def _container(host: Host) -> str:
    if host.access("/run/.containerenv").exists:
        return "podman"
    if host.access("/.dockerenv").exists:
        return "docker"
    return host.variable("container")


def _secure_boot(host: Host) -> bool | None:
    """Return whether Secure Boot is on; None where that cannot be told (a container hides /sys/firmware)."""
    value = host.read(SECURE_BOOT)
    if value:
        return value.endswith("\x01")
    return False if host.listing("/sys/firmware") and not host.listing("/sys/firmware/efi") else None
