"""What the machine is: kernel, distribution, container, memory, room on disk. No GPU here, no judgement."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from doctor.facts import Cpu, Disk, Memory, OpenFiles, Place, Places, System, Unknown
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

GROUPS = "/sys/fs/cgroup"
UNLIMITED = 1 << 62
MAX_LEVELS = 12
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


def parse_cpu_list(text: str) -> int:
    """Return how many CPUs `Cpus_allowed_list:` of /proc/self/status names: 5 for `0-3,8`; 0 where it names none."""
    line = re.search(r"^Cpus_allowed_list:\s*([0-9,\-]{1,4000})$", text, re.MULTILINE | re.ASCII)
    spans = re.findall(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", line[1], re.ASCII) if line else []
    return sum(max(0, int(last or first) - int(first) + 1) for first, last in spans)


def parse_quota(text: str) -> float | None:
    """Return the CPUs that cpu.max (`200000 100000`) pays for; None for `max` and for nonsense."""
    found = re.match(r"([1-9][0-9]{0,14}) ([1-9][0-9]{0,14})\b", text, re.ASCII)
    return int(found[1]) / int(found[2]) if found else None


def parse_open_files(text: str) -> OpenFiles | None:
    """Read the line `Max open files` of /proc/self/limits; `unlimited` counts as a very large number."""
    found = re.search(r"^Max open files +([0-9]{1,18}|unlimited) +([0-9]{1,18}|unlimited)\b", text, re.MULTILINE)
    if not found:
        return None
    soft, hard = (UNLIMITED if word == "unlimited" else int(word) for word in found.groups())
    return OpenFiles(soft, hard)


def parse_groups(text: str) -> dict[str, str]:
    """Return this process's control group by controller, from /proc/self/cgroup; version 2's one group is under ``."""
    found = re.findall(r"^[0-9]{1,9}:([^:\n]{0,200}):(/[^\n]{0,2000})$", text, re.MULTILINE | re.ASCII)
    return {controller: path for controllers, path in found for controller in controllers.split(",")}


def probe_system(host: Host) -> System | Unknown:
    """Look at /proc, /etc and the markers of containers."""
    kernel = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    if not kernel:
        return Unknown("this is not Linux: there is no /proc/sys/kernel/osrelease")
    return System(
        kernel=kernel,
        machine=host.machine(),
        distribution=parse_os_release(host.read("/etc/os-release") or ""),
        container=container_of(host),
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
    folders = _groups(host, "memory")
    for path in [f"{folder}/{name}" for folder in folders for name in ("memory.max", "memory.limit_in_bytes")]:
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
    return Unknown(say("no room can be measured at {folder}", folder=folder), looked=False)


def probe_cpu(host: Host) -> Cpu | Unknown:
    """Count the CPUs that this process may use, and what its control groups give."""
    cores = parse_cpu_list(host.read("/proc/self/status") or "")
    if not cores:
        return Unknown("/proc/self/status names no CPUs")
    quotas = [quota for folder in _groups(host, "cpu") if (quota := _quota(host, folder)) is not None]
    return Cpu(cores=cores, quota=min(quotas, default=None))


def probe_open_files(host: Host) -> OpenFiles | Unknown:
    """Read this process's own limit, which its children inherit."""
    known = parse_open_files(host.read("/proc/self/limits") or "")
    return known or Unknown("/proc/self/limits names no limit of open files")


def probe_places(host: Host) -> Places:
    """Look at the folder for temporary files and at the home folder, as this user may use them."""
    temporary = host.variable("TMPDIR") or "/tmp"  # noqa: S108 — looked at, not written to
    home = host.variable("HOME")
    return Places(temporary=_place(host, temporary), home=_place(host, home) if home else None)


def _groups(host: Host, controller: str) -> list[str]:
    """Return the folders whose limits hold for this process: its control group's and all above, in both versions.

    A container sees its own group as the root; a batch system's job sits some levels down.
    """
    groups = parse_groups(host.read("/proc/self/cgroup") or "")
    folders = []
    for base, name in ((GROUPS, ""), (f"{GROUPS}/{controller}", controller)):
        path = PurePosixPath(groups.get(name, "/"))
        levels = [] if ".." in path.parts else [path, *path.parents]
        folders += [f"{base}{level}".rstrip("/") for level in levels[:MAX_LEVELS]] + [base]
    return list(dict.fromkeys(folders))


def _quota(host: Host, folder: str) -> float | None:
    """Return how many CPUs a group is given: cpu.max of version 2, two files of version 1."""
    parts = [(host.read(f"{folder}/cpu.cfs_{name}_us") or "").strip() for name in ("quota", "period")]
    return parse_quota(host.read(f"{folder}/cpu.max") or " ".join(parts))


def _place(host: Host, path: str) -> Place | None:
    access = host.access(path)
    if not access.exists:
        return None
    space = host.space(path)
    return Place(
        path=path, writable=access.writable, free=space[1] if space else None, noexec="noexec" in host.mount_flags(path)
    )


def container_of(host: Host) -> str:
    """Return the container around this process by the marks that each kind leaves, empty where there is none."""
    if host.variable("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    for mark, kind in (("/run/.containerenv", "podman"), ("/.dockerenv", "docker"), ("/.singularity.d", "apptainer")):
        if host.access(mark).exists:
            return kind
    return host.variable("container") or (host.read("/run/systemd/container") or "").strip()


def _secure_boot(host: Host) -> bool | None:
    """Return whether Secure Boot is on; None where that cannot be told (a container hides /sys/firmware)."""
    value = host.read(SECURE_BOOT)
    if value:
        return value.endswith("\x01")
    return False if host.listing("/sys/firmware") and not host.listing("/sys/firmware/efi") else None
