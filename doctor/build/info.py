"""What is inside a built file, and which file is the current one. It reads; it loads nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from doctor.build.cache import manifest_of, places, pointed_at, pointer_name
from doctor.build.look import look
from doctor.build.plan import LIBRARY
from doctor.build.proof import entry_points, images_in, manifest_in
from doctor.consult import HOME
from doctor.elf import NotReadableError, open_object
from doctor.inspect import inspect
from doctor.toolchain import ToolchainError, find_torch

if TYPE_CHECKING:
    from pathlib import Path

    from doctor.shell import Host


def find_current(host: Host, python: str, folder: Path) -> Path:
    """Return the build that this interpreter's torch uses for these sources."""
    seen = look(host, python, gpus=False)
    torch = find_torch(python, seen.torch, seen.environment)
    candidates = places(os.environ, HOME)
    for place in candidates:
        told = pointed_at(place, pointer_name(torch.folder, folder))
        if told and manifest_of(place, told["key"]):
            return place.ext / str(told["key"]) / LIBRARY
    tried = ", ".join(str(place.ext) for place in candidates)
    raise ToolchainError(f"no build for torch {torch.version} in {tried}", "make one: ./bevready build-ext")


def describe(file: Path) -> dict[str, Any]:
    """Return what is inside, JSON-like. Raises ToolchainError for a file that is no shared object."""
    try:
        subject, told = open_object(str(file)), inspect(str(file))
        images = [
            {
                "source": f"{image.name}.cu",
                "target": image.target,
                "size": len(image.data),
                "kernels": list(entry_points(image)),
            }
            for image in images_in(file)
        ]
    except (NotReadableError, ValueError) as why:
        raise ToolchainError(f"{file}: {why}", "name a built file, as in: ./bevready build-ext --info FILE.so") from why
    return {
        "file": str(file),
        "size": file.stat().st_size,
        "machine": told["machine"],
        "needed": told["needed"],
        "search_path": told["search_path"],
        "versions": told["versions"],
        "archs": told["archs"],
        "images": images,
        "manifest": manifest_in(subject),
    }
