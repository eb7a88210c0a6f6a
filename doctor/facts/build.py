"""What could compile: CUDA toolkits, host compilers, and the variables and programs that steer them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from doctor.facts.base import Version, dotted
from doctor.words import joined, say


@dataclass(frozen=True, slots=True)
class Toolkit:
    """The CUDA toolkit that a build would take, and by which rule; `others` are further /usr/local/cuda-X.Y folders.

    `lacks` names the headers and libraries that an extension needs and this toolkit does not have.
    """

    version: Version
    nvcc: str
    found_by: str = "PATH"
    others: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        version = dotted(self.version)
        return say("nvcc {version} at {nvcc} ({found_by})", version=version, nvcc=self.nvcc, found_by=self.found_by)


ToolkitKind = Literal["folder", "conda", "distribution", "wheels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitFolder:
    """A CUDA toolkit on this machine, whether a build would take it or not; `version` where a file or name tells it.

    `kind` says who put it there: NVIDIA's installer (folder), conda, the distribution's own package, or pip's wheels.
    """

    root: str
    kind: ToolkitKind
    version: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        if not self.version:
            return say("CUDA of an unknown version at {root}", root=self.root)
        return say("CUDA {version} at {root}", version=dotted(self.version[:2]), root=self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkits:
    """Every folder with an nvcc; `taken` and `on_path` are the roots that a build and PATH lead to, or empty."""

    found: tuple[ToolkitFolder, ...]
    taken: str = ""
    on_path: str = ""

    def at(self, root: str) -> ToolkitFolder | None:
        """Return the toolkit at `root`."""
        return next((folder for folder in self.found if folder.root == root), None)

    @property
    def not_taken(self) -> tuple[ToolkitFolder, ...]:
        """Return the toolkits that a build would leave aside."""
        return tuple(folder for folder in self.found if folder.root != self.taken)

    def __str__(self) -> str:
        """Return one line."""
        return joined(", ", map(str, self.found))


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
        name = "g++" if self.family == "gcc" else "clang++"
        return say("{name} {version} at {path}", name=name, version=dotted(self.version), path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilers:
    """Every host compiler by name on PATH, and what the variables choose: CC's own, and the one given to nvcc.

    `absent` are variables that name a program which is not there, as `CXX=g++-13`.
    """

    found: tuple[HostCompiler, ...] = ()
    cc: HostCompiler | None = None
    for_nvcc: HostCompiler | None = None
    absent: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        return ", ".join(f"{PurePosixPath(compiler.path).name}" for compiler in self.found) or "no further compiler"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTools:
    """Where ninja, cmake, git and make are, empty where not on PATH; `hidden_ninja` is one that PATH does not reach."""

    ninja: str = ""
    cmake: str = ""
    git: str = ""
    make: str = ""
    hidden_ninja: str = ""
    cmake_version: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        tools = (("ninja", self.ninja), ("cmake", self.cmake), ("git", self.git), ("make", self.make))
        return ", ".join(name for name, path in tools if path) or "no ninja, cmake, git or make"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildVariables:
    """Variables that steer a build: the GPUs to build for, how many jobs, and where headers and libraries come from.

    `headers` holds (variable, folder) pairs with CUDA headers, `linkers` the folders of LD_LIBRARY_PATH with NVIDIA's
    linker library, and the CUDA release that it belongs to.
    """

    arch_list: str = ""
    max_jobs: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    linkers: tuple[tuple[str, Version], ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        named = (("TORCH_CUDA_ARCH_LIST", self.arch_list), ("MAX_JOBS", self.max_jobs))
        return ", ".join(f"{name}={value}" for name, value in named if value) or "no variable steers a build"


@dataclass(frozen=True, slots=True)
class CxxRuntime:
    """A libstdc++.so.6: its newest symbol version is GLIBCXX_3.4.`symbols`; `source` says who leads there."""

    path: str
    symbols: int
    source: Literal["system", "conda", "LD_LIBRARY_PATH"]

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path} (GLIBCXX_3.4.{self.symbols})"


@dataclass(frozen=True, slots=True)
class CxxRuntimes:
    """Every libstdc++ that a program could load, at least one."""

    found: tuple[CxxRuntime, ...]

    def by(self, source: str) -> CxxRuntime | None:
        """Return the first one that `source` leads to."""
        return next((runtime for runtime in self.found if runtime.source == source), None)

    def __str__(self) -> str:
        """Return one line."""
        return joined(", ", map(str, self.found))
