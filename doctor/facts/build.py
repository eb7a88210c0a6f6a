"""What could compile: CUDA toolkits and host compilers."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import Version, dotted


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
