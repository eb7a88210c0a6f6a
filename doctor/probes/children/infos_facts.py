"""Reads info files (.pkl) that converters wrote, without executing anything in them; prints one JSON document.

A pickle is a program. Here it may make plain containers and NumPy arrays, and the latter stay raw bytes: every other
name that it asks for ends the reading. A large file is read at its head and tail only.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import resource
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

WHOLE = 12 << 20  # mini has about 6 MiB, trainval hundreds
HEAD, TAIL = 1 << 20, 1 << 12
MEMORY = 2 << 30
CARS = 200
BOX = 7
GENERATIONS = ("infos", "data_list")
VERSION = re.compile(rb"version.{0,16}?(v1\.0-(?:trainval|mini|test))", re.DOTALL)


class Array:
    """A NumPy array, its bytes untouched."""

    shape: tuple[int, ...] = ()
    type = ""
    data = b""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Take shape, type and bytes where they are that."""
        _, shape, dtype, _, data = state
        if isinstance(dtype, Type) and isinstance(shape, tuple) and isinstance(data, bytes):
            self.shape, self.type, self.data = shape, dtype.name, data


class Type:
    """A NumPy dtype: its letter and size, f8 for example."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name = str(name).lstrip("<=|")

    def __setstate__(self, state: object) -> None:
        """Forget byte order and the rest: the files are little-endian."""


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """Return bytes as protocol 2 writes them."""
    return text.encode("latin1") if isinstance(text, str) and encoding == "latin1" else b""


def _array(data: object = b"", dtype: object = None, shape: object = (), *_: object) -> Array:
    """Return an array as protocol 5 writes it."""
    made = Array()
    made.__setstate__((1, shape, dtype, False, bytes(data) if isinstance(data, (bytes, bytearray)) else b""))
    return made


def _scalar(*_: object) -> None:
    """Stand for a NumPy scalar."""


NAMES: dict[str, Any] = {
    "ndarray": Array,
    "_reconstruct": Array,
    "dtype": Type,
    "_frombuffer": _array,
    "scalar": _scalar,
}
MODULES = re.compile(r"numpy(?:\._?core)?(?:\.(?:multiarray|numeric|_multiarray_umath))?")


class _Reader(pickle.Unpickler):
    """An unpickler that makes nothing but containers and the stand-ins above."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in. Raises UnpicklingError for every other name."""
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if MODULES.fullmatch(module) and name in NAMES:
            return NAMES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}: more than plain data")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse."""
        raise pickle.UnpicklingError(f"it refers to something outside: {pid!r:.40}")


def facts_of(path: str) -> dict[str, Any]:
    """Return what one file says of itself; `problem` says why it says nothing."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116 — a size, nothing else
        with Path(path).open("rb") as file:
            if size <= WHOLE:
                return _whole(file.read(WHOLE))
            head = file.read(HEAD)
            file.seek(-TAIL, os.SEEK_END)
            return _part(head, file.read(TAIL))
    except OSError as why:
        return {"problem": why.strerror or type(why).__name__}
    except Exception as why:  # noqa: BLE001 — a hostile file may fail in any way; that is what there is to say of it
        return {"problem": f"{type(why).__name__}: {why}"[:200]}


def _whole(data: bytes) -> dict[str, Any]:
    document = _Reader(io.BytesIO(data)).load()
    if not isinstance(document, dict):
        return {"problem": f"it holds a {type(document).__name__}, not a dictionary"}
    generation = next((key for key in GENERATIONS if isinstance(document.get(key), (list, tuple))), "")
    frames = [frame for frame in document.get(generation, ()) if isinstance(frame, dict)]
    about = document.get("metadata", document.get("metainfo"))
    version = about.get("version") if isinstance(about, dict) else ""
    count = len(document[generation]) if generation else None
    return {"generation": generation, "version": _text(version), "count": count, **_first(frames)}


def _part(head: bytes, tail: bytes) -> dict[str, Any]:
    """Judge by what stands at the beginning; the version stands at the end."""
    reader = _Reader(io.BytesIO(head))
    try:
        reader.load()
    except (EOFError, pickle.UnpicklingError) as why:
        if "it asks for" in str(why) or "it refers to" in str(why):
            raise
    things: list[Any] = list(reader.memo.copy().values())
    strings = [thing for thing in things if isinstance(thing, str)]
    frames = [thing for thing in things if isinstance(thing, dict) and "token" in thing and len(thing) > 5]
    found = VERSION.search(tail) or VERSION.search(head)
    version = found[1].decode("ascii") if found else ""
    generation = next((key for key in strings if key in GENERATIONS), "")
    return {"generation": generation, "version": version, "count": None, **_first(frames)}


def _first(frames: list[dict[Any, Any]]) -> dict[str, Any]:
    keys = sorted(str(key)[:40] for key in frames[0])[:60] if frames else []
    return {"keys": keys, "boxes": _boxes(frames)}


def _boxes(frames: list[dict[Any, Any]]) -> str:
    """Return which side of the cars comes first: `wlh`, `lwh`, or nothing where there are too few to tell."""
    longer_first = cars = 0
    for frame in frames:
        for name, box in zip(_names(frame.get("gt_names")), _rows(frame.get("gt_boxes")), strict=False):
            if name == "car" and box[3] != box[4]:
                cars += 1
                longer_first += box[3] > box[4]
        if cars >= CARS:
            break
    if cars < 3:
        return ""
    return "lwh" if longer_first * 2 > cars else "wlh"


def _names(array: object) -> list[str]:
    if not isinstance(array, Array) or not (match := re.fullmatch(r"U([0-9]{1,4})", array.type)):
        return []
    step = int(match[1]) * 4
    parts = [array.data[at : at + step] for at in range(0, len(array.data), step)] if step else []
    return [part.decode("utf-32-le", "replace").rstrip("\0") for part in parts]


def _rows(array: object) -> list[tuple[float, ...]]:
    letters = {"f8": "d", "f4": "f"}
    if not isinstance(array, Array) or array.type not in letters or array.shape[1:] not in {(BOX,), (BOX + 2,)}:
        return []
    row = struct.Struct(f"<{array.shape[1]}{letters[array.type]}")
    return list(row.iter_unpack(array.data[: len(array.data) // row.size * row.size]))


def _text(value: object) -> str:
    return value[:40] if isinstance(value, str) else ""


def main() -> None:
    """Print what each file on the command line says."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout.write(json.dumps([facts_of(path) for path in sys.argv[1:]]) + "\n")


if __name__ == "__main__":
    main()
