"""Python interpreters and what is installed for them."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.base import Unknown, Version, dotted
from doctor.words import say

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
        return say("{name} {version} at {path}", name="Python", version=dotted(self.version), path=self.path)


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
        return say("{number} packages for {python}", number=len(self.found), python=self.python)


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """An installed PyTorch: its CUDA (None: a CPU-only build) and the GPU code it carries, as far as known.

    `archs` holds entries such as sm_80 and compute_90. `imported` is None where nobody tried (`--deep` does), and so is
    `cxx11_abi`, whether it uses the C++11 ABI of std::string.
    """

    version: str
    cuda: tuple[int, int] | None
    archs: tuple[str, ...] | Unknown = NOT_IN_TABLE
    imported: bool | None = None
    import_error: str = ""
    usable_gpus: int | None = None
    cxx11_abi: bool | None = None

    def __str__(self) -> str:
        """Return one line."""
        if not self.cuda:
            return say("torch {version}, CPU only", version=self.version)
        return say("torch {version}, CUDA {cuda}", version=self.version, cuda=dotted(self.cuda))


@dataclass(frozen=True, slots=True)
class Copy:
    """One of several installations of a distribution: its version, and the folder and file that say so."""

    name: str
    version: str
    folder: str
    file: str

    @property
    def is_egg(self) -> bool:
        """Return whether it is an egg, as `setup.py install` left them."""
        return self.file.endswith(".egg")


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFiles:
    """What an installed torch consists of, without importing it.

    `files` are its start-up files, `libraries` those in lib/, `requires` the exact versions its metadata asks for, by
    distribution. `installer` is pip, conda or uv where the metadata says so.
    """

    folder: str
    files: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    installer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How the packages of the interpreter under examination lie on disk.

    `copies` are distributions found more than once, eggs, and what an interrupted pip left (`~`). `shadows` are folders
    in `here` that carry a known package's name. `modules` are (name, folder) pairs of packages that can be imported.
    `editable` are (name, folder) pairs of links into checkouts, `dead_links` those whose folder is gone.
    `overrides` are CUDA libraries in folders of LD_LIBRARY_PATH. `libstdcxx` is the newest GLIBCXX of the C++ library.
    """

    prefix: str
    here: str = ""
    folders: tuple[str, ...] = ()
    pythonpath: tuple[str, ...] = ()
    user_site: str = ""
    conda: tuple[tuple[str, str], ...] = ()
    copies: tuple[Copy, ...] = ()
    torch: TorchFiles | None = None
    editable: tuple[tuple[str, str], ...] = ()
    dead_links: tuple[tuple[str, str], ...] = ()
    shadows: tuple[str, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    glibc: Version | None = None
    libstdcxx: Version | None = None

    def __str__(self) -> str:
        """Return one line."""
        return say("environment {prefix} (conda)" if self.conda else "environment {prefix}", prefix=self.prefix)
