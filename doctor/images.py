"""Device code inside bevready's own extension: the blob of cubins and PTX that the builder writes and the host reads.

The layout is that of `repro/ops/csrc/images.h`, little endian: a header (magic, count, bytes of a row), then rows
(kind; arch: 90 for 9.0; offset from the blob's start; size, of PTX with its closing zero; the source's name), then
the payloads, each at a multiple of 64. No row: a build without device code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"BEVIMG01"
HEADER = struct.Struct("<8sII")
ROW = struct.Struct("<IIQQ40s")
ALIGNMENT = 64
CUBIN, PTX = 0, 1
MAX_IMAGES = 4096
SECTION, MANIFEST_SECTION = ".bevready.images", ".bevready.manifest"


@dataclass(frozen=True, slots=True)
class Image:
    """One source compiled for one architecture, such as sm_90 (a cubin) or compute_90 (PTX)."""

    name: str
    target: str
    data: bytes


def pack(images: list[Image]) -> bytes:
    """Return the blob. Raises ValueError for a name of more than 39 bytes."""
    place = _aligned(HEADER.size + len(images) * ROW.size)
    rows, payloads = [], []
    for image in images:
        if len(image.name.encode()) > 39:
            raise ValueError(f"{image.name}: the name of a device source has at most 39 bytes")
        virtual, arch = image.target.startswith("compute"), int(image.target.partition("_")[2])
        rows.append(ROW.pack(PTX if virtual else CUBIN, arch, place, len(image.data), image.name.encode()))
        room = _aligned(len(image.data) + 1)
        payloads.append(image.data.ljust(room, b"\0"))
        place += room
    head = HEADER.pack(MAGIC, len(images), ROW.size) + b"".join(rows)
    return head.ljust(_aligned(len(head)), b"\0") + b"".join(payloads)


def unpack(blob: memoryview) -> list[Image]:
    """Return the images. Raises ValueError where the blob is damaged or something else."""
    if len(blob) < HEADER.size:
        raise ValueError("the index of device code is cut short")
    magic, count, step = HEADER.unpack_from(blob)
    if magic != MAGIC or step != ROW.size or count > MAX_IMAGES or HEADER.size + count * ROW.size > len(blob):
        raise ValueError("the index of device code is damaged")
    images = []
    for number in range(count):
        kind, arch, place, size, name = ROW.unpack_from(blob, HEADER.size + number * ROW.size)
        if kind not in {PTX, CUBIN} or place + size > len(blob):
            raise ValueError("an image of device code lies outside of the file")
        target = f"{'compute' if kind == PTX else 'sm'}_{arch}"
        images.append(Image(name.rstrip(b"\0").decode("utf-8", "replace"), target, bytes(blob[place : place + size])))
    return images


def targets(blob: memoryview) -> tuple[str, ...]:
    """Return the architectures of the blob's code once each, machine code first; none where it is damaged."""
    try:
        found = {image.target for image in unpack(blob)}
    except ValueError:
        return ()
    return tuple(sorted(found, key=lambda target: (target.startswith("compute"), int(target.partition("_")[2]))))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
