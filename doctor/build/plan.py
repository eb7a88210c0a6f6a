"""What is to be built: the sources, the architectures, the flags, and the key that names the result. Nothing is run."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.toolchain import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from doctor.facts import HostCompiler
    from doctor.toolchain import Nvrtc, TargetTorch

FORMAT = 2  # of what is built; a change makes every key new
SUFFIXES = frozenset({".cpp", ".h", ".inc", ".cu", ".cuh"})
DEVICE_FLAGS = ("--std=c++17",)
LIBRARY = "bevready_ops.so"
TORCH_HEADER = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<(ATen|c10|torch)/", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One build. `archs` are cubins (sm_90), and the newest of them also becomes PTX; none: no device code."""

    folder: Path
    torch: TargetTorch
    compiler: HostCompiler
    nvrtc: Nvrtc | None
    archs: tuple[str, ...]
    machine: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Return what is compiled for: every cubin, then the PTX of the newest architecture."""
        return (*self.archs, self.archs[-1].replace("sm_", "compute_")) if self.archs else ()

    def targets_of(self, arch: str) -> tuple[str, ...]:
        """Return what one run of the compiler for `arch` gives: its cubin, and for the newest also the PTX."""
        return (arch, self.targets[-1]) if arch == self.archs[-1] else (arch,)

    @property
    def host_units(self) -> tuple[tuple[Path, ...], ...]:
        """Return the C++ sources as they are compiled: those that include torch's headers as one unit, first.

        Torch's headers take five seconds; in one unit they are read once.
        """
        sources = sorted(self.folder.glob("*.cpp"), key=lambda path: (-path.stat().st_size, path.name))
        of_torch = tuple(path for path in sources if TORCH_HEADER.search(path.read_bytes()))
        return (*filter(None, (of_torch,)), *((path,) for path in sources if path not in of_torch))

    @property
    def device_sources(self) -> tuple[Path, ...]:
        """Return the device sources."""
        return tuple(sorted((self.folder / "device").glob("*.cu")))

    @property
    def compiler_name(self) -> str:
        """Return the compiler as the manifest names it."""
        return f"{self.compiler.family} {'.'.join(map(str, self.compiler.version))}"

    @property
    def host_flags(self) -> tuple[str, ...]:
        """Return the flags of the C++ sources, without their includes.

        None is for one processor only: a source for AVX2 says so by pragma behind its headers, else the linker might
        take that source's copy of an inline function of torch for everybody.
        """
        return (
            "-std=c++17",
            "-O3",
            "-fPIC",
            "-fvisibility=hidden",
            "-ffp-contract=fast",
            "-Wall",
            "-Wno-unknown-pragmas",
            f"-D_GLIBCXX_USE_CXX11_ABI={int(self.torch.cxx11_abi)}",
            *(("-fopenmp",) if self.openmp else ()),
        )

    @property
    def openmp(self) -> bool:
        """Whether at::parallel_for gets threads: g++ against the thread library that torch itself has loaded."""
        return bool(self.torch.openmp) and self.compiler.family == "gcc"

    @property
    def includes(self) -> tuple[Path, ...]:
        """Return torch's include folders."""
        root = self.torch.folder / "include"
        return root, root / "torch" / "csrc" / "api" / "include"

    def contents(self) -> dict[str, Any]:
        """Return everything that the result depends on, JSON-like: the manifest's first part."""
        return {
            "format": FORMAT,
            "sources": source_digest(self.folder),
            "torch": {
                "version": self.torch.version,
                "cxx11_abi": self.torch.cxx11_abi,
                "folder": str(self.torch.folder),
            },
            "cuda": self.nvrtc.version if self.nvrtc else None,
            "archs": list(self.targets),
            "compiler": self.compiler_name,
            "flags": list(self.host_flags),
            "device_flags": list(DEVICE_FLAGS) if self.archs else [],
            "machine": self.machine,
        }

    @property
    def key(self) -> str:
        """Return 16 hex digits that name the result."""
        return hashlib.sha256(json.dumps(self.contents(), sort_keys=True).encode()).hexdigest()[:16]


def source_digest(folder: Path) -> str:
    """Return 16 hex digits that name the sources under `folder`; `repro.ops.built` computes the same."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            state.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()[:16]


def check_sources(folder: Path) -> None:
    """Refuse a folder without C++ sources."""
    if not any(folder.glob("*.cpp")):
        raise ToolchainError(f"{folder} holds no .cpp file", "restore the sources: git checkout -- repro/ops/csrc")
