"""The operating system, its memory and disk."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import GIB


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU cores that this process may run on, and how many of them the control group pays for, if it limits that."""

    cores: int
    quota: float | None = None

    @property
    def effective(self) -> int:
        """Return how many processes at once make sense: at least one."""
        return self.cores if self.quota is None else max(1, min(self.cores, int(self.quota)))

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.cores} CPU cores" + (f", limited to {self.quota:g}" if self.quota is not None else "")


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """How many files this process may hold open: `soft` applies, `hard` is as far as it may be raised."""

    soft: int
    hard: int

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.soft} open files at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder that builds and downloads need; `noexec` says that programs in it do not start."""

    path: str
    writable: bool
    free: int | None = None
    noexec: bool = False

    def __str__(self) -> str:
        """Return one line."""
        free = "" if self.free is None else f", {self.free / GIB:.1f} GiB free"
        return f"{self.path}{'' if self.writable else ', not writable'}{free}{', noexec' if self.noexec else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folder for temporary files and the home folder; None where there is none."""

    temporary: Place | None
    home: Place | None

    def __str__(self) -> str:
        """Return one line."""
        return "; ".join(str(place) for place in (self.temporary, self.home) if place)
