"""Which GPU a PCI device id is, so that a machine without a driver can be named too. The rows stand in pci_gpus.tsv."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.versions import parse_pair

if TYPE_CHECKING:
    from doctor.facts import Capability

AS_OF = "2026-11"  # as the table's own first line says
TABLE = Path(__file__).with_name("pci_gpus.tsv")


@dataclass(frozen=True, slots=True)
class GpuRow:
    """A product: its chip and compute capability."""

    device_id: str
    capability: Capability
    chip: str
    name: str


@cache
def gpu_rows() -> dict[str, GpuRow]:
    """Return the table by device id, four hex digits in lower case."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {device: GpuRow(device, parse_pair(capability), chip, name) for device, capability, chip, name in cells}


def gpu_of_device(device_id: str) -> GpuRow | None:
    """Return the product with this PCI device id, None for one newer than the table."""
    return gpu_rows().get(device_id.lower())
