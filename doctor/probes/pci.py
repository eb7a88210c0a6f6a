"""The GPUs on the PCI bus and NVIDIA's part of the running kernel: files below /sys, /proc, /dev and /lib/modules."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from doctor.compat.gpus import gpu_of_device
from doctor.facts import KernelModule, PciGpu, PciGpus, Unknown, Version
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.shell import Host

PCI = "/sys/bus/pci/devices"
NVIDIA, DISPLAY_CLASSES = "0x10de", ("0x0300", "0x0302")
MODULE_FOLDERS = ("updates/dkms", "updates", "extra", "kernel/drivers/video", "kernel/drivers/video/nvidia")


def parse_module_version(text: str) -> Version | None:
    """Return the version in /proc/driver/nvidia/version: the number after `Kernel Module` on the NVRM line."""
    found = re.search(
        r"^NVRM version:.*?Kernel Module\s+(?:for \S+\s+)?([0-9]{2,4}(?:\.[0-9]{1,4}){1,2})\b",
        text,
        re.MULTILINE | re.ASCII,
    )
    return find_version(found[1]) if found else None


def parse_modules(text: str) -> frozenset[str]:
    """Return the names of the loaded modules in /proc/modules."""
    return frozenset(line.split()[0] for line in text.splitlines() if line.split())


def probe_pci(host: Host) -> PciGpus | Unknown:
    """List the display functions of vendor 0x10de; no driver is needed for that."""
    addresses = host.listing(PCI)
    if not addresses:
        return Unknown(f"{PCI} shows no device (WSL, or a container without /sys)")
    found = [gpu for address in addresses if (gpu := _pci_gpu(host, address))]
    return PciGpus(tuple(found))


def probe_kernel_module(host: Host) -> KernelModule:
    """Look for the module: loaded, on disk for which kernels, with which device files."""
    modules = parse_modules(host.read("/proc/modules") or "")
    version = (host.read("/sys/module/nvidia/version") or "").strip()
    nodes = tuple(f"/dev/{name}" for name in host.listing("/dev") if re.fullmatch(r"nvidia([0-9]+|ctl|-uvm)", name))
    access = {node: host.access(node) for node in nodes}
    return KernelModule(
        loaded=find_version(version) or parse_module_version(host.read("/proc/driver/nvidia/version") or ""),
        nouveau="nouveau" in modules,
        nodes=nodes,
        closed_nodes=tuple(node for node in nodes if not (access[node].readable and access[node].writable)),
        built_for=tuple(kernel for kernel in host.listing("/lib/modules") if _has_module(host, kernel)),
    )


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


def _has_module(host: Host, kernel: str) -> bool:
    places = [f"/lib/modules/{kernel}/{folder}" for folder in MODULE_FOLDERS]
    kernel_folder = f"/lib/modules/{kernel}/kernel"  # Ubuntu's signed modules: kernel/nvidia-570/
    places += [f"{kernel_folder}/{name}" for name in host.listing(kernel_folder) if name.startswith("nvidia-")]
    return any(name.startswith("nvidia.ko") for place in places for name in host.listing(place))
