"""The images of bevready's stacks: which are built, what they need, what they were built from, and room for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.words import say

if TYPE_CHECKING:
    from doctor.facts.base import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image of a stack that is on this machine, as its labels describe it."""

    stack: str
    min_driver: Version | None = None
    base: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images that are built, the bases that docker/images.lock does not pin, and the free bytes at `place`.

    `place` is the folder where the engine keeps its images; `free` is None where that is unknown.
    """

    built: tuple[BuiltImage, ...] = ()
    unpinned: tuple[str, ...] = ()
    place: str = ""
    free: int | None = None

    def __str__(self) -> str:
        """Return one line."""
        stacks = ", ".join(image.stack for image in self.built)
        return say("images of the stacks {stacks}", stacks=stacks) if stacks else "no image of a stack"
