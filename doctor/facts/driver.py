"""NVIDIA's driver as it answers: version, libraries, the GPUs it can use. The bus and the kernel: `kernel.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.kernel import PciGpus
from doctor.words import joined, say

ComputeMode = Literal["", "default", "exclusive", "prohibited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver that answered: its version, the newest CUDA it can run, and who said so."""

    version: Version
    cuda: tuple[int, int] | None
    source: str

    def reaches(self, needed: Version, cuda: tuple[int, int]) -> bool:
        """Whether code of this CUDA runs: by the driver's version, or by its libcuda (forward compatibility)."""
        return self.version >= needed or (self.cuda is not None and self.cuda >= cuda)

    def __str__(self) -> str:
        """Return one line."""
        version = dotted_driver(self.version)
        if not self.cuda:
            return say("driver {version}", version=version)
        return say("driver {version}, up to CUDA {cuda}", version=version, cuda=dotted(self.cuda))


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLibraries:
    """How NVIDIA's user-space libraries answer: NVML's and CUDA's return codes (0 is success; None: not there).

    `version` is the one in the file name of the library that was loaded; `cuda_path` is libcuda's place.
    """

    nvml_code: int | None
    cuda_code: int | None
    version: Version | None = None
    cuda_path: str = ""

    @property
    def is_compat(self) -> bool:
        """Whether libcuda comes from a forward-compatibility package (cuda-compat-X-Y) and not from the driver."""
        return "/compat/" in self.cuda_path or "/cuda-compat" in self.cuda_path

    @property
    def is_stub(self) -> bool:
        """Whether libcuda is the toolkit's stub, which only the linker may use."""
        return "/stubs/" in self.cuda_path

    def __str__(self) -> str:
        """Return one line."""
        names = [name for name, code in (("NVML", self.nvml_code), ("libcuda", self.cuda_code)) if code is not None]
        libraries = joined(" and ", names) or "no driver library"
        if not self.version:
            return libraries
        return say("{libraries} {version}", libraries=libraries, version=dotted_driver(self.version))


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A driver library in a folder where the loader looks, and the version in its file name."""

    path: str
    version: Version

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path} ({dotted_driver(self.version)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFiles:
    """The driver libraries on disk, and the folders of LD_LIBRARY_PATH that hold another libcuda."""

    found: tuple[LibraryFile, ...] = ()
    stub_folders: tuple[str, ...] = ()
    compat_folders: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[Version, ...]:
        """Return the versions found, each once, the newest first."""
        return tuple(sorted({file.version for file in self.found}, reverse=True))

    def __str__(self) -> str:
        """Return one line."""
        if not self.versions:
            return "driver libraries without a version"
        return say("driver libraries {versions}", versions=", ".join(map(dotted_driver, self.versions)))


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the driver can use; memory in bytes. What a source does not say is None.

    `index` is the driver's own. `mig_instances` counts where MIG is on. `fabric` is NVML's state of the NVLink fabric
    (1 not started, 2 in progress, 3 completed). `processes` counts those that hold memory of this GPU.
    """

    name: str
    capability: Capability
    memory: int | None = None
    free: int | None = None
    index: int | None = None
    mig: bool | None = None
    mig_instances: int | None = None
    persistence: bool | None = None
    compute_mode: ComputeMode = ""
    processes: int | None = None
    memory_errors: int | None = None
    remap_pending: bool | None = None
    fabric: int | None = None

    @property
    def fabric_waits(self) -> bool:
        """Whether the NVLink fabric exists and is not set up yet."""
        return self.fabric in {1, 2}

    @property
    def label(self) -> str:
        """Return the name, with the driver's index before it where that is known."""
        return self.name if self.index is None else f"GPU {self.index} {self.name}"

    def __str__(self) -> str:
        """Return one line."""
        size = f", {self.memory / GIB:.0f} GiB" if self.memory else ""
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]}{size})"


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that the driver can use, at least one, and who named them. libcuda names only the visible ones.

    `lost` holds NVML's code for each GPU that the driver counts but cannot open.
    """

    found: tuple[Gpu, ...]
    source: str = "NVML"
    lost: tuple[int, ...] = ()

    @property
    def uncut(self) -> tuple[Gpu, ...]:
        """Return the GPUs on which MIG is on without an instance: CUDA cannot use them."""
        return tuple(gpu for gpu in self.found if gpu.mig and gpu.mig_instances == 0)

    def __str__(self) -> str:
        """Return one line; equal GPUs are counted, not repeated."""
        lines = [str(gpu) for gpu in self.found]
        return ", ".join(
            f"{lines.count(line)} × {line}" if lines.count(line) > 1 else line for line in dict.fromkeys(lines)
        )


def num_gpus(gpus: Gpus | Unknown, pci: PciGpus | Unknown) -> int:
    """Return how many GPUs the driver has; libcuda counts only the visible ones, so then the bus is asked."""
    if isinstance(gpus, Gpus) and gpus.source != "libcuda":
        return len(gpus.found)
    return sum(gpu.driver == "nvidia" for gpu in pci.found) if isinstance(pci, PciGpus) else 0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One question to which sources gave different answers: (source, answer) in the order of trust."""

    what: str
    answers: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return one line."""
        answers = (say("{answer} ({source})", answer=answer, source=source) for source, answer in self.answers)
        return say("{what}: {answers}", what=self.what, answers=joined(", ", answers))


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Where the sources about the driver differ; none is a fact too."""

    found: tuple[Disagreement, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        return joined("; ", map(str, self.found)) or "the sources about the driver agree"


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaVariables:
    """The variables that choose GPUs for CUDA. `visible` is None where CUDA_VISIBLE_DEVICES is not set at all.

    `in_job` says that a scheduler started this shell, which may have confined it to some of the GPUs.
    """

    visible: str | None = None
    order: str = ""
    in_job: bool = False

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """Return the entries of CUDA_VISIBLE_DEVICES, None where it is not set."""
        if self.visible is None:
            return None
        return tuple(entry for part in self.visible.split(",") if (entry := part.strip()))

    def left_of(self, count: int) -> int:
        """Return how many of `count` GPUs stay visible: CUDA reads up to the first entry that names none of them."""
        if self.chosen is None:
            return count
        left = 0
        for entry in self.chosen:
            named = entry.startswith(("GPU-", "MIG-", "UUID"))  # a recording says UUID in their place
            if not named and not (entry.isascii() and entry.isdigit() and int(entry) < count):
                break
            left += 1
        return left

    def __str__(self) -> str:
        """Return one line."""
        visible = "CUDA_VISIBLE_DEVICES is not set" if self.visible is None else f"CUDA_VISIBLE_DEVICES={self.visible}"
        return joined(", ", (visible, f"CUDA_DEVICE_ORDER={self.order}")) if self.order else visible
