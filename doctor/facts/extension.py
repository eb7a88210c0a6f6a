"""Compiled extensions: what each shared object needs, lacks and has code for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from doctor.words import say

if TYPE_CHECKING:
    from doctor.facts.base import Version

Place = Literal["installed", "egg", "checkout", "asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A compiled extension and what stands in its file.

    `python` is the version in its file name, None where it names none. `archs` holds entries such as sm_80. `missing`
    names C++ symbols that neither it nor the installed torch defines, of `lacking` in all; both say something only
    where `compared`. `problem` says why the file cannot be read.
    """

    package: str
    path: str
    place: Place = "installed"
    python: Version | None = None
    machine: str = ""
    needed: tuple[str, ...] = ()
    archs: tuple[str, ...] = ()
    glibc: Version | None = None
    glibcxx: Version | None = None
    missing: tuple[str, ...] = ()
    lacking: int = 0
    compared: bool = False
    problem: str = ""

    def loads_in(self, python: Version) -> bool:
        """Return whether its file name fits this Python."""
        return self.python is None or self.python == python[:2]

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.package} ({self.path})"


@dataclass(frozen=True, slots=True)
class Extensions:
    """Every compiled extension found in the environment and the checkout; none is a fact too."""

    found: tuple[Extension, ...]

    def of(self, package: str) -> tuple[Extension, ...]:
        """Return the extensions of a package."""
        return tuple(extension for extension in self.found if extension.package == package)

    def loadable(self, python: Version) -> tuple[Extension, ...]:
        """Return the extensions that this Python would load, as far as their file names tell."""
        return tuple(extension for extension in self.found if extension.loads_in(python))

    def __str__(self) -> str:
        """Return one line."""
        names = ", ".join(extension.package for extension in self.found) or "none"
        return say("extensions: {names}", names=names)
