"""The operating system, its memory and disk."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import GIB
from doctor.words import joined, say


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
        words = "{distribution}, kernel {kernel}, {machine}"
        if self.container:
            words = "{distribution}, kernel {kernel}, {machine}, in {container}"
        elif self.wsl:
            words = "{distribution}, kernel {kernel}, {machine}, WSL2"
        return say(
            words,
            distribution=self.distribution,
            kernel=self.kernel,
            machine=self.machine,
            container=self.container,
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory and the shared-memory file system, in bytes; `shm` is None where /dev/shm is missing."""

    total: int
    available: int
    shm: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        shm = "none" if self.shm is None else f"{self.shm / GIB:.1f} GiB"
        total, free = f"{self.total / GIB:.0f}", f"{self.available / GIB:.0f}"
        return say("{total} GiB memory, {free} free, /dev/shm {shm}", total=total, free=free, shm=shm)


@dataclass(frozen=True, slots=True)
class Disk:
    """Room, in bytes, where the environment goes."""

    path: str
    free: int

    def __str__(self) -> str:
        """Return one line."""
        return say("{free} GiB free at {path}", free=f"{self.free / GIB:.0f}", path=self.path)


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
        if self.quota is None:
            return say("{cores} CPU cores", cores=self.cores)
        return say("{cores} CPU cores, limited to {quota}", cores=self.cores, quota=f"{self.quota:g}")


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """How many files this process may hold open: `soft` applies, `hard` is as far as it may be raised."""

    soft: int
    hard: int

    def __str__(self) -> str:
        """Return one line."""
        return say("{soft} open files at most", soft=self.soft)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder that builds and downloads need; `noexec` says that programs in it do not start."""

    path: str
    writable: bool
    free: int | None = None
    noexec: bool = False

    def __str__(self) -> str:
        """Return one line."""
        marks = [] if self.writable else ["not writable"]
        if self.free is not None:
            marks.append(say("{free} GiB free", free=f"{self.free / GIB:.1f}"))
        if self.noexec:
            marks.append("noexec")
        return say("{path}, {marks}", path=self.path, marks=joined(", ", marks)) if marks else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folder for temporary files and the home folder; None where there is none."""

    temporary: Place | None
    home: Place | None

    def __str__(self) -> str:
        """Return one line."""
        return joined("; ", (str(place) for place in (self.temporary, self.home) if place))
