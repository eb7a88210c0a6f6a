"""What the bus and the kernel know of NVIDIA: GPUs, modules, DKMS, the NVLink fabric, WSL. No driver is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doctor.facts.base import Capability, Version, dotted_driver
from doctor.words import joined, say

Flavour = Literal["", "open", "proprietary"]
KINDS: dict[Flavour, str] = {
    "": "kernel module",
    "open": "open kernel module",
    "proprietary": "proprietary kernel module",
}
SIGNATURES = {True: "signed", False: "not signed", None: "signature unknown"}
STATES = {True: "running", False: "not running", None: "of unknown state"}


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
        return joined(", ", map(str, self.found)) or "no NVIDIA GPU on the PCI bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelModule:
    """What the running kernel holds of NVIDIA's driver, and what lies on disk for it.

    `loaded` is the loaded module's version and `flavour` its kind. `nodes` are the device files, `closed_nodes` those
    this user cannot open; `caps` says whether /dev/nvidia-caps, for MIG, is there. `built_for` names the kernels for
    which a module file exists. `blacklisted_in` is the file that forbids the module, and `prime` the choice of
    prime-select (on, on-demand, off) on a laptop.
    """

    loaded: Version | None
    nouveau: bool = False
    nodes: tuple[str, ...] = ()
    closed_nodes: tuple[str, ...] = ()
    built_for: tuple[str, ...] = ()
    flavour: Flavour = ""
    caps: bool = False
    blacklisted_in: str = ""
    prime: str = ""

    def __str__(self) -> str:
        """Return one line."""
        if not self.loaded:
            return "no NVIDIA kernel module loaded"
        return say("{kind} {version}", kind=KINDS[self.flavour], version=dotted_driver(self.loaded))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFile:
    """The module on disk for the running kernel, looked at where it is not loaded.

    `signed` says whether a signature is appended; by whose key, and whether that key is enrolled, it does not say.
    `signer` names the key where modinfo could be asked.
    """

    path: str
    signed: bool | None = None
    signer: str = ""
    flavour: Flavour = ""
    version: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        sign = SIGNATURES[self.signed]
        if not self.signer:
            return say("{path}, {sign}", path=self.path, sign=sign)
        return say("{path}, {sign} by {signer}", path=self.path, sign=sign, signer=self.signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePolicy:
    """What the kernel demands of a module: `lockdown` is its mode, `sig_enforce` whether a signature is a must.

    `shim_off` says that the user told shim to validate nothing: then Secure Boot, though on, refuses no module.
    """

    lockdown: str = ""
    sig_enforce: bool = False
    shim_off: bool = False

    @property
    def demands_signature(self) -> bool:
        """Whether an unsigned module is refused."""
        return self.sig_enforce or self.lockdown in {"integrity", "confidentiality"}

    def __str__(self) -> str:
        """Return one line."""
        mode = self.lockdown or "unknown"
        return say(
            "kernel lockdown {mode}, signatures enforced" if self.sig_enforce else "kernel lockdown {mode}", mode=mode
        )


@dataclass(frozen=True, slots=True)
class DkmsBuild:
    """A line of DKMS: a module's version, the kernel it was built for (empty: none), and how far it came."""

    module: str
    version: str
    kernel: str
    state: str

    def __str__(self) -> str:
        """Return one line, as `dkms status` writes it."""
        return f"{self.module}/{self.version}" + (f", {self.kernel}" if self.kernel else "") + f": {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dkms:
    """NVIDIA's module in DKMS: its builds, whether the running kernel's headers are there, the last build's error."""

    builds: tuple[DkmsBuild, ...]
    headers: bool = True
    error: str = ""

    def built_for(self, kernel: str) -> bool:
        """Whether DKMS has built or installed the module for this kernel."""
        return any(build.kernel == kernel and build.state in {"built", "installed"} for build in self.builds)

    def __str__(self) -> str:
        """Return one line."""
        return say("DKMS: {builds}", builds=joined("; ", map(str, self.builds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The NVSwitches on the PCI bus and the service that must configure them (None: it could not be told)."""

    switches: int
    active: bool | None = None
    version: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        state = STATES[self.active]
        if not self.version:
            return say("{switches} NVSwitches, fabric manager {state}", switches=self.switches, state=state)
        words = "{switches} NVSwitches, fabric manager {version} {state}"
        return say(words, switches=self.switches, version=dotted_driver(self.version), state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wsl:
    """Windows' subsystem for Linux: its kernel, its own driver libraries, and Linux driver files that do not belong."""

    generation: Literal[1, 2]
    kernel: Version
    has_library: bool = False
    intruders: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        if self.has_library:
            return say("WSL {generation}, with the Windows driver's libcuda", generation=self.generation)
        return say("WSL {generation}, without the Windows driver's libcuda", generation=self.generation)
