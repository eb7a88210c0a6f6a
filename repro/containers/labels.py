"""What an image says of itself in its labels, and whether that fits this checkout and this host. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = "bevready"
STACK, SOURCES, ARCHS, MIN_DRIVER = "bevready.stack", "bevready.sources", "bevready.archs", "bevready.min-driver"
BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
ROLE = "bevready.role"  # on containers: what they were started for
OWNER = "bevready.owner"  # on containers: the process on the host that started them


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the labels say; an empty text where a label is missing."""

    stack: str
    sources: str
    archs: str
    min_driver: str
    base: str
    base_digest: str

    @property
    def is_pinned(self) -> bool:
        """Return whether the base was named by its digest."""
        return bool(self.base_digest)


def read_labels(labels: Mapping[str, str] | None) -> ImageFacts:
    """Return what an image's labels say; none of them need be there."""
    told = labels or {}
    return ImageFacts(
        stack=told.get(STACK, ""),
        sources=told.get(SOURCES, ""),
        archs=told.get(ARCHS, ""),
        min_driver=told.get(MIN_DRIVER, ""),
        base=told.get(BASE_NAME, ""),
        base_digest=told.get(BASE_DIGEST, ""),
    )


class StackNameError(ValueError):
    """Words that name no stack."""


def tag_of(stack: str) -> str:
    """Return the name of a stack's image. Raises StackNameError for what an image cannot be called."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", stack, re.ASCII):
        raise StackNameError(f"--stack {stack!r}: that names no stack; expected a folder of env/, such as cu130")
    return f"{REPOSITORY}:{stack}"


def misfits(image: ImageFacts, *, stack: str, sources: str, driver: tuple[int, ...] | None) -> tuple[str, ...]:
    """Return in words why an image is not the one to run here; `driver` is the host's, None without a GPU."""
    if not image.stack:
        return (f"{tag_of(stack)} has no label {STACK}: bevready did not build it; build it: {_build(stack)}",)
    found = []
    if image.stack != stack:
        found.append(f"{tag_of(stack)} holds the stack {image.stack}, not {stack}; build it: {_build(stack)}")
    if image.sources != sources:
        found.append(
            f"{tag_of(stack)} was built from other sources ({image.sources or 'unnamed'}) than this checkout's "
            f"({sources}), so its numbers are not the host's; build it again: {_build(stack)}"
        )
    needed = _version(image.min_driver)
    if driver is not None and needed and driver < needed:
        found.append(
            f"{tag_of(stack)} needs the NVIDIA driver {image.min_driver} or newer, and {_dotted(driver)} is loaded; "
            "update the driver, or choose an older stack: ./bevready doctor names the one that fits"
        )
    return tuple(found)


def _build(stack: str) -> str:
    return f"./bevready docker-build --stack {stack}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", text, re.ASCII) else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
