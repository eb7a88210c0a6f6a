"""Python interpreters and what is installed for them."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import Unknown, Version, dotted

NOT_IN_TABLE = Unknown("not in the table of PyTorch builds")


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
    archs: tuple[str, ...] | Unknown = NOT_IN_TABLE
    imported: bool | None = None
    import_error: str = ""
    usable_gpus: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        return f"torch {self.version}, " + (f"CUDA {dotted(self.cuda)}" if self.cuda else "CPU only")
