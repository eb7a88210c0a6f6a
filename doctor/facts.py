"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, ...]
Capability = tuple[int, int]
GIB = 1 << 30


def dotted(version: Version) -> str:
    """Return `580.95.5` for (580, 95, 5)."""
    return ".".join(map(str, version))


def dotted_driver(version: Version) -> str:
    """Return `580.95.05` for (580, 95, 5): NVIDIA writes two digits at least."""
    return ".".join([str(version[0]), *(f"{part:02d}" for part in version[1:])])


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such fact, and why: nothing there (`looked`), or it could not be looked at (not `looked`)."""

    why: str
    looked: bool = True

    def __str__(self) -> str:
        """Return the reason."""
        return self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The operating system, and the container it runs in, if any. `secure_boot` is None where that cannot be told."""

    kernel: str
    machine: str
    distribution: str
    container: str = ""
    wsl: bool = False
    dxg: bool = False
    secure_boot: bool | None = None

    def __str__(self) -> str:
        """Return one line."""
        inside = f", in {self.container}" if self.container else ", WSL2" if self.wsl else ""
        return f"{self.distribution}, kernel {self.kernel}, {self.machine}{inside}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory and the shared-memory file system, in bytes; `shm` is None where /dev/shm is missing."""

    total: int
    available: int
    shm: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        shm = "none" if self.shm is None else f"{self.shm / GIB:.1f} GiB"
        return f"{self.total / GIB:.0f} GiB memory, {self.available / GIB:.0f} free, /dev/shm {shm}"


@dataclass(frozen=True, slots=True)
class Disk:
    """Room, in bytes, where the environment goes."""

    path: str
    free: int

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.free / GIB:.0f} GiB free at {self.path}"


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


@dataclass(frozen=True, slots=True)
class Toolkit:
    """The CUDA toolkit that a build would take, and by which rule; `others` are further /usr/local/cuda-X.Y folders."""

    version: Version
    nvcc: str
    found_by: str = "PATH"
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        return f"nvcc {dotted(self.version)} at {self.nvcc} ({self.found_by})"


@dataclass(frozen=True, slots=True)
class CudaHome:
    """The folder that the variable CUDA_HOME (or CUDA_PATH) names, and whether it holds bin/nvcc."""

    path: str
    has_nvcc: bool

    def __str__(self) -> str:
        """Return one line."""
        return f"CUDA_HOME={self.path}"


@dataclass(frozen=True, slots=True)
class HostCompiler:
    """The C++ compiler that a build would take: `family` is gcc or clang."""

    family: str
    version: Version
    path: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{'g++' if self.family == 'gcc' else 'clang++'} {dotted(self.version)} at {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """A Python interpreter and whether it can make virtual environments."""

    path: str
    version: Version
    has_venv: bool = True
    glibc: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        return f"Python {dotted(self.version)} at {self.path}"


@dataclass(frozen=True, slots=True)
class Pythons:
    """Every interpreter found, the one that runs the doctor first."""

    found: tuple[Python, ...]

    def __str__(self) -> str:
        """Return one line."""
        return ", ".join(f"{dotted(python.version)} ({python.path})" for python in self.found)


@dataclass(frozen=True, slots=True)
class Packages:
    """The distributions installed for the interpreter under examination, by normalised name."""

    python: str
    version: Version
    found: tuple[tuple[str, str], ...]

    def of(self, name: str) -> str | None:
        """Return the version of the distribution `name`, or None."""
        return dict(self.found).get(name)

    def __str__(self) -> str:
        """Return one line."""
        return f"{len(self.found)} packages for {self.python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """An installed PyTorch: its CUDA (None: a CPU-only build) and the GPU code it carries, as far as known.

    `archs` holds entries such as sm_80 and compute_90. `imported` is None where nobody tried (`--deep` tries).
    """

    version: str
    cuda: tuple[int, int] | None
    archs: tuple[str, ...] | Unknown = Unknown("not in the table of PyTorch builds")
    imported: bool | None = None
    import_error: str = ""
    usable_gpus: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        return f"torch {self.version}, " + (f"CUDA {dotted(self.cuda)}" if self.cuda else "CPU only")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A nuScenes folder: which table versions are there, and what else the data path needs."""

    path: str
    versions: tuple[str, ...]
    missing_tables: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    can_bus: bool = False

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path}: {', '.join(self.versions) or 'no tables'}"
