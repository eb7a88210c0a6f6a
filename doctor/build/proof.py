"""What a built file must show before it is used: its device code, symbols and manifest. Nothing is loaded here.

That it computes what the reference does is for `repro/ops/prove.py`, in a child process.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from doctor.elf import NotReadableError, SharedObject, open_object
from doctor.images import MANIFEST_SECTION, SECTION, Image, unpack
from doctor.inspect import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from doctor.build.plan import Plan

CUDA_MACHINE = "machine 190"
ENTRY_POINT = 0x10  # marks kernels in a cubin's symbol table
FIRST_ABI_WITH_LATER_FIELD = 8  # from there on the architecture stands in the second byte of the flags


def shortcomings(library: Path, plan: Plan) -> tuple[str, ...]:
    """Return what the file lacks of what was asked for; nothing where it is whole."""
    try:
        images, subject = images_in(library), open_object(str(library))
    except (NotReadableError, ValueError) as why:
        return (f"{library.name}: {why}",)
    found = [_wrong_image(image) for image in images]
    have = {(image.name, image.target) for image in images}
    asked = [(source.stem, target) for source in plan.device_sources for target in plan.targets]
    found += [f"no {target} code of {name}.cu is in the file" for name, target in asked if (name, target) not in have]
    told = inspect(str(library), [str(path) for path in plan.torch.libraries])
    if told["lacking"]:
        found.append(
            f"torch {plan.torch.version} does not define {told['lacking']} symbols, {told['missing'][0]} first"
        )
    manifest = manifest_in(subject)
    if not manifest or manifest.get("key") != plan.key:
        found.append("its manifest is missing or of another build")
    return tuple(line for line in found if line)


def images_in(library: Path) -> list[Image]:
    """Return the device code in a built file. Raises NotReadableError or ValueError."""
    blob = open_object(str(library)).content(SECTION)
    return unpack(blob) if blob else []


def manifest_in(subject: SharedObject) -> dict[str, Any]:
    """Return the manifest in a built file, empty where there is none."""
    try:
        told = json.loads(bytes(subject.content(MANIFEST_SECTION)).rstrip(b"\0") or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def entry_points(image: Image) -> tuple[str, ...]:
    """Return the kernels of a cubin, or of PTX, sorted. Raises NotReadableError for a cubin that is damaged."""
    if image.target.startswith("compute"):
        lines = image.data.decode("utf-8", "replace").split("\n")
        named = [
            line.partition(".entry")[2].strip(" (\r")
            for line in lines
            if line.startswith((".entry", ".visible .entry"))
        ]
        return tuple(sorted(named))
    return tuple(sorted(SharedObject(memoryview(image.data)).functions(ENTRY_POINT)))


def _wrong_image(image: Image) -> str:
    """Return what is wrong with a cubin: it is none, for another architecture, or without a kernel; else nothing."""
    what = f"{image.name}.cu for {image.target}"
    try:
        names = entry_points(image)
    except NotReadableError as why:
        return f"{what}: {why}"
    if not names:
        return f"{what} holds no kernel"
    wanted = int(image.target.partition("_")[2])
    if image.target.startswith("compute"):
        return "" if f".target sm_{wanted}".encode() in image.data else f"{what} is PTX of another architecture"
    machine = SharedObject(memoryview(image.data)).machine
    found = cubin_arch(image.data)
    return "" if machine == CUDA_MACHINE and found == wanted else f"{what} is code for {machine}, sm_{found}"


def cubin_arch(data: bytes) -> int:
    """Return 90 for a cubin of sm_90, from the flags of its header."""
    flags: int = struct.unpack_from("<I", data, 48)[0]
    return flags >> 8 & 0xFF if data[8] >= FIRST_ABI_WITH_LATER_FIELD else flags & 0xFF
