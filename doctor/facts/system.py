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
