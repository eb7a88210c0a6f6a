"""The GPUs, NVIDIA's kernel module and its driver."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import GIB, Capability, Version, dotted, dotted_driver


@dataclass(frozen=True, slots=True)
class PciGpu:
    """An NVIDIA display function on the PCI bus; `driver` is the kernel driver that holds it, or empty."""

    address: str
    device_id: str
    driver: str
    name: str = ""
    capability: Capability | None = None

    def __str__(self) -> str:
        """Return one line."""
        return self.name or f"10de:{self.device_id}"


@dataclass(frozen=True, slots=True)
class PciGpus:
    """All NVIDIA GPUs on the PCI bus; none is a fact too."""

    found: tuple[PciGpu, ...]

    def __str__(self) -> str:
        """Return one line."""
        return ", ".join(map(str, self.found)) or "no NVIDIA GPU on the PCI bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelModule:
    """What the running kernel holds of NVIDIA's driver, and what lies on disk for it.

    `loaded` is the loaded module's version. `nodes` are the device files, `closed_nodes` those this user cannot open.
    `built_for` names the kernels for which a module file exists.
    """

    loaded: Version | None
    nouveau: bool = False
    nodes: tuple[str, ...] = ()
    closed_nodes: tuple[str, ...] = ()
    built_for: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        return f"kernel module {dotted_driver(self.loaded)}" if self.loaded else "no NVIDIA kernel module loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver that answered: its version, the newest CUDA it can run, and who said so."""

    version: Version
    cuda: tuple[int, int] | None
    source: str

    def __str__(self) -> str:
        """Return one line."""
        upto = f", up to CUDA {dotted(self.cuda)}" if self.cuda else ""
        return f"driver {dotted_driver(self.version)}{upto}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLibraries:
    """How NVIDIA's user-space libraries answer: NVML's and CUDA's return codes (0 is success; None: not there)."""

    nvml_code: int | None
    cuda_code: int | None
    version: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        names = [name for name, code in (("NVML", self.nvml_code), ("libcuda", self.cuda_code)) if code is not None]
        version = f" {dotted_driver(self.version)}" if self.version else ""
        return (" and ".join(names) or "no driver library") + version


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the driver can use; memory in bytes."""

    name: str
    capability: Capability
    memory: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        size = f", {self.memory / GIB:.0f} GiB" if self.memory else ""
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]}{size})"


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that the driver can use, at least one."""

    found: tuple[Gpu, ...]

    def __str__(self) -> str:
        """Return one line; equal GPUs are counted, not repeated."""
        lines = [str(gpu) for gpu in self.found]
        return ", ".join(
            f"{lines.count(line)} × {line}" if lines.count(line) > 1 else line for line in dict.fromkeys(lines)
        )
