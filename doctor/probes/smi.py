"""What nvidia-smi prints, read: its banner in both generations, its CSV, its XML. Starting it is `driver.py`'s."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from doctor.compat.gpus import gpu_of_device
from doctor.facts import ComputeMode, Gpu, Version
from doctor.versions import find_version

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY = ("nvidia-smi", "--query-gpu=name,compute_cap,memory.total,driver_version", "--format=csv,noheader,nounits")
XML = ("nvidia-smi", "-q", "-x")
MIB = 1 << 20
MAX_XML = 1 << 20
MAX_DEPTH = 32
COMPUTE_MODES: dict[str, ComputeMode] = {
    "Default": "default",
    "Exclusive_Process": "exclusive",
    "Exclusive_Thread": "exclusive",
    "Prohibited": "prohibited",
}


def parse_smi_banner(text: str) -> tuple[Version | None, tuple[int, int] | None]:
    """Return driver and CUDA version of nvidia-smi's banner, of both generations.

    Up to release 595: `Driver Version: 535.183.01   CUDA Version: 12.2`.
    From release 610: `KMD Version: 610.43.02   CUDA UMD Version: 13.3`.
    """
    driver = re.search(r"(?:Driver|KMD) Version\s*:\s*([0-9]{3,4}(?:\.[0-9]{1,4}){1,2})\b", text, re.ASCII)
    cuda = re.search(r"CUDA(?: UMD)? Version\s*:\s*([0-9]{1,3})\.([0-9]{1,3})\b", text, re.ASCII)
    return find_version(driver[1]) if driver else None, (int(cuda[1]), int(cuda[2])) if cuda else None


def parse_smi_query(text: str) -> tuple[tuple[Gpu, ...], Version | None]:
    """Read the CSV of `nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version`, no other line."""
    gpus: list[Gpu] = []
    version: Version | None = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.rsplit(",", 3)]
        capability = re.fullmatch(r"([0-9]{1,2})\.([0-9])", cells[1], re.ASCII) if len(cells) == 4 else None
        if capability:
            memory = int(cells[2]) * MIB if re.fullmatch(r"[0-9]{1,9}", cells[2], re.ASCII) else None
            gpus.append(Gpu(cells[0], (int(capability[1]), int(capability[2])), memory))
            version = find_version(cells[3]) or version
    return tuple(gpus), version


def parse_smi_xml(text: str) -> tuple[tuple[Gpu, ...], Version | None, tuple[int, int] | None]:
    """Read `nvidia-smi -q -x`: the GPUs whose PCI id the table knows, the driver's version and its CUDA.

    The text may be hostile: its size and depth are limited, and a document that declares an entity is not read on.
    """
    rows = _rows(text)
    top, gpus = rows[0], [gpu for number, row in enumerate(rows[1:]) if (gpu := _gpu(row, number))]
    cuda = re.match(r"([0-9]{1,3})\.([0-9]{1,3})", top.get("cuda_version", top.get("cuda_umd_version", "")), re.ASCII)
    driver = re.match(r"[0-9]{3,4}(?:\.[0-9]{1,4}){1,2}", top.get("driver_version", top.get("kmd_version", "")))
    return tuple(gpus), find_version(driver[0]) if driver else None, (int(cuda[1]), int(cuda[2])) if cuda else None


class _RefusedError(ValueError):
    """An XML document that nvidia-smi does not write."""


def _refuse(*_: object) -> None:
    raise _RefusedError


class _Reader:
    """Collects the texts of an nvidia-smi document: rows[0] of the whole, one further row for each GPU."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = [{}]
        self._path: list[str] = []
        self._text = ""

    def start(self, name: str, _: dict[str, str]) -> None:
        """Enter an element."""
        self._path.append(name)
        self._text = ""
        if len(self._path) > MAX_DEPTH:
            raise _RefusedError
        if len(self._path) == 2 and name == "gpu":
            self.rows.append({})

    def text(self, text: str) -> None:
        """Take characters."""
        self._text += text

    def end(self, _: str) -> None:
        """Leave an element and keep its text under its path below the GPU, the first one where it repeats."""
        inside = self._path[1:2] == ["gpu"]
        key = "/".join(self._path[2 if inside else 1 :])
        row = self.rows[-1 if inside else 0]
        row.setdefault(key, self._text.strip())
        if inside and key == "mig_devices/mig_device":
            row["mig_count"] = str(int(row.get("mig_count", "0")) + 1)
        self._path.pop()
        self._text = ""


def _rows(text: str) -> list[dict[str, str]]:
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    refuse: Callable[..., None] = _refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text[:MAX_XML].encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError):
        return [{}]
    return reader.rows


def _gpu(row: dict[str, str], number: int) -> Gpu | None:
    """Return the GPU of one `<gpu>` row: its PCI id reads 268410DE, the device before the vendor."""
    device = re.fullmatch(r"(?:0x)?([0-9A-Fa-f]{4})10[Dd][Ee]", row.get("pci/pci_device_id", ""))
    known = gpu_of_device(device[1]) if device else None
    if known is None:
        return None
    mig = row.get("mig_mode/current_mig")
    return Gpu(
        row.get("product_name") or known.name,
        known.capability,
        _bytes(row.get("fb_memory_usage/total", "")),
        free=_bytes(row.get("fb_memory_usage/free", "")),
        index=number,
        mig={"Enabled": True, "Disabled": False}.get(mig or ""),
        mig_instances=int(row.get("mig_count", "0")) if mig == "Enabled" else None,
        persistence={"Enabled": True, "Disabled": False}.get(row.get("persistence_mode", "")),
        compute_mode=COMPUTE_MODES.get(row.get("compute_mode", ""), ""),
    )


def _bytes(text: str) -> int | None:
    """Return the bytes of `24564 MiB`, None for N/A."""
    found = re.fullmatch(r"([0-9]{1,9}) MiB", text, re.ASCII)
    return int(found[1]) * MIB if found else None
