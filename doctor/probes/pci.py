"""The GPUs on the PCI bus and NVIDIA's part of the running kernel: files below /sys, /proc, /dev and /lib/modules."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from doctor.compat.gpus import gpu_of_device
from doctor.facts import Flavour, KernelModule, PciGpu, PciGpus, Unknown, Version
from doctor.versions import find_version
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

PCI = "/sys/bus/pci/devices"
NVIDIA, DISPLAY_CLASSES = "0x10de", ("0x0300", "0x0302")
PROC_VERSION = "/proc/driver/nvidia/version"
BLACKLIST_FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/lib/modprobe.d")
PRIME = "/etc/prime-discrete"  # prime-select's choice: on, on-demand, off
MODULE_FILE = r"(?:nvidia|nvidia-current(?:-open)?)\.ko"  # Debian adds -current
MODULE_FOLDERS = (
    "updates/dkms",
    "updates",
    "extra",
    "extra/nvidia",
    "weak-updates/nvidia",
    "kernel/drivers/video",
    "kernel/drivers/video/nvidia",
)


def parse_module_version(text: str) -> Version | None:
    """Return the version in /proc/driver/nvidia/version: the number after `Kernel Module` on the NVRM line."""
    found = re.search(
        r"^NVRM version:.*?Kernel Module\s+(?:for \S+\s+)?([0-9]{2,4}(?:\.[0-9]{1,4}){1,2})\b",
        text,
        re.MULTILINE | re.ASCII,
    )
    return find_version(found[1]) if found else None


def parse_flavour(text: str) -> Flavour:
    """Return which of NVIDIA's two modules /proc/driver/nvidia/version names."""
    line = re.search(r"^NVRM version:[^\n]*Kernel Module", text, re.MULTILINE)
    if line is None:
        return ""
    return "open" if "Open Kernel Module" in line[0] else "proprietary"


def parse_blacklist(text: str) -> bool:
    """Return whether a file of modprobe.d forbids the module nvidia, by `blacklist` or by a command in its place."""
    return bool(
        re.search(
            r"^[ \t]*(?:blacklist[ \t]+nvidia[ \t]*$|(?:alias|install)[ \t]+nvidia[ \t]+(?:off|/\S*(?:true|false))\b)",
            text,
            re.MULTILINE,
        )
    )


def parse_modules(text: str) -> frozenset[str]:
    """Return the names of the loaded modules in /proc/modules."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.split())


def probe_pci(host: Host) -> PciGpus | Unknown:
    """List the display functions of vendor 0x10de; no driver is needed for that."""
    addresses = host.listing(PCI)
    if not addresses:
        return Unknown(say("{folder} shows no device (WSL, or a container without /sys)", folder=PCI))
    found = [gpu for address in addresses if (gpu := _pci_gpu(host, address))]
    return PciGpus(tuple(found))


def probe_kernel_module(host: Host) -> KernelModule:
    """Look for the module: loaded, on disk for which kernels, with which device files."""
    modules = parse_modules(host.read("/proc/modules") or "")
    loaded = loaded_version(host)
    nodes = tuple(f"/dev/{name}" for name in host.listing("/dev") if re.fullmatch(r"nvidia([0-9]+|ctl|-uvm)", name))
    access = {node: host.access(node) for node in nodes}
    return KernelModule(
        loaded=loaded,
        nouveau="nouveau" in modules,
        nodes=nodes,
        closed_nodes=tuple(node for node in nodes if not (access[node].readable and access[node].writable)),
        built_for=tuple(kernel for kernel in host.listing("/lib/modules") if module_path(host, kernel)),
        flavour=parse_flavour(host.read(PROC_VERSION) or ""),
        caps="nvidia-caps" in host.listing("/dev"),
        blacklisted_in="" if loaded else _blacklist(host),
        prime=(host.read(PRIME) or "").strip(),
    )


def loaded_version(host: Host) -> Version | None:
    """Return the version of the loaded module, None where none is."""
    version = find_version((host.read("/sys/module/nvidia/version") or "").strip())
    return version or parse_module_version(host.read(PROC_VERSION) or "")


def module_path(host: Host, kernel: str) -> str:
    """Return the module's file for a kernel, empty where there is none."""
    folders = [f"/lib/modules/{kernel}/{folder}" for folder in MODULE_FOLDERS]
    kernel_folder = f"/lib/modules/{kernel}/kernel"  # Ubuntu's signed modules: kernel/nvidia-570/
    folders += [f"{kernel_folder}/{name}" for name in host.listing(kernel_folder) if name.startswith("nvidia-")]
    files = (f"{folder}/{name}" for folder in folders for name in host.listing(folder) if re.match(MODULE_FILE, name))
    return next(files, "") if kernel else ""


def _blacklist(host: Host) -> str:
    files = (f"{folder}/{name}" for folder in BLACKLIST_FOLDERS for name in host.listing(folder))
    return next((path for path in files if parse_blacklist(host.read(path) or "")), "")


def _pci_gpu(host: Host, address: str) -> PciGpu | None:
    folder = f"{PCI}/{address}"
    if (host.read(f"{folder}/vendor") or "").strip() != NVIDIA:
        return None
    if not (host.read(f"{folder}/class") or "").startswith(DISPLAY_CLASSES):
        return None
    device = (host.read(f"{folder}/device") or "").strip().removeprefix("0x")
    driver = host.real_path(f"{folder}/driver")
    known = gpu_of_device(device)
    return PciGpu(
        address,
        device,
        PurePosixPath(driver).name if driver else "",
        known.name if known else "",
        known.capability if known else None,
    )
