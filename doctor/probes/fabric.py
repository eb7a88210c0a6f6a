"""NVSwitches, and the fabric manager that must set them up before CUDA starts. Most machines have neither."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from doctor.facts import Fabric, Unknown, Version
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.shell import Host

PCI = "/sys/bus/pci/devices"
NVIDIA, BRIDGE_CLASS = "0x10de", "0x0680"  # an NVSwitch calls itself "other bridge"
SERVICE = "nvidia-fabricmanager"
PID_FILE = f"/run/{SERVICE}/nv-fabricmanager.pid"
STATES = {"active": True, "activating": False, "inactive": False, "failed": False}


def parse_fabric_version(text: str) -> Version | None:
    """Return the version in `Fabric Manager version is : 580.95.05`."""
    found = re.search(r"Fabric Manager version is\s*:\s*([0-9]{3,4}(?:\.[0-9]{1,4}){1,2})\b", text, re.ASCII)
    return find_version(found[1]) if found else None


def parse_active(text: str) -> bool | None:
    """Read the word of `systemctl is-active`; None for any other text."""
    return STATES.get(text.strip())


def probe_fabric(host: Host) -> Fabric | Unknown:
    """Count the switches; ask for the service only where there are some."""
    addresses = host.listing(PCI)
    switches = sum(_is_switch(host, address) for address in addresses)
    if not switches:
        return Unknown("no NVSwitch on the PCI bus")
    program = host.which("nv-fabricmanager")
    version = parse_fabric_version(host.run(program, "--version").out) if program else None
    return Fabric(switches=switches, active=_active(host), version=version)


def _is_switch(host: Host, address: str) -> bool:
    if not (host.read(f"{PCI}/{address}/class") or "").startswith(BRIDGE_CLASS):
        return False
    return (host.read(f"{PCI}/{address}/vendor") or "").strip() == NVIDIA


def _active(host: Host) -> bool | None:
    """Follow the service's process id; ask systemd where it left none."""
    pid = (host.read(PID_FILE) or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", pid, re.ASCII) and host.access(f"/proc/{pid}").exists:
        return True
    return parse_active(host.run("systemctl", "is-active", SERVICE).out)
