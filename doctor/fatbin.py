"""Which GPUs the device code in a library is for: the entries of the CUDA fat binaries in its `.nv_fatbin` section.

Layout, read off files that nvcc 13.0 made and off torch's and torchvision's own: a fat binary is a header (magic,
version, header size, size of what follows) and entries; an entry is a header (kind, -, header size, payload size …,
architecture at 28, flags at 40) and a payload, which may be compressed and is not looked into.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = 0xBA55ED50
HEADER = struct.Struct("<IHHQ")
ENTRY = struct.Struct("<HHIQ")
MIN_ENTRY = 48
KINDS = {1: "compute", 2: "sm"}  # 1: PTX, 2: machine code
EXACT_CHIP, CHIP_FAMILY = 0x100000, 0x200000  # flags of targets such as sm_90a and sm_100f
MAX_ENTRIES = 20000  # libtorch_cuda.so has more; what comes later repeats the same architectures


def architectures(section: memoryview) -> tuple[str, ...]:
    """Return such names as sm_80, sm_90a and compute_90, in order; what is damaged or foreign is left out."""
    found: dict[tuple[str, int, str], None] = {}
    for kind, number, flags in _entries(section):
        suffix = "a" if flags & EXACT_CHIP else "f" if flags & CHIP_FAMILY else ""
        if kind in KINDS and 10 <= number < 1000:
            found[KINDS[kind], number, suffix] = None
    ordered = sorted(found, key=lambda code: (code[0] == "compute", code[1], code[2]))
    return tuple(f"{kind}_{number}{suffix}" for kind, number, suffix in ordered)


def _entries(section: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield kind, architecture and flags of every entry of every fat binary in the section."""
    place, seen = 0, 0
    while place + HEADER.size <= len(section) and seen < MAX_ENTRIES:
        magic, _, header, size = HEADER.unpack_from(section, place)
        if magic != MAGIC or header < HEADER.size:
            place += 8  # padding between two of them
            seen += 1
            continue
        end = min(place + header + size, len(section))
        entry = place + header
        while entry + MIN_ENTRY <= end and seen < MAX_ENTRIES:
            kind, _, own, payload = ENTRY.unpack_from(section, entry)
            if own < MIN_ENTRY:
                break
            yield kind, *_target(section, entry)
            entry += own + payload
            seen += 1
        place = max(end, place + header)


def _target(section: memoryview, entry: int) -> tuple[int, int]:
    number: int = struct.unpack_from("<I", section, entry + 28)[0]
    flags: int = struct.unpack_from("<Q", section, entry + 40)[0]
    return number, flags
