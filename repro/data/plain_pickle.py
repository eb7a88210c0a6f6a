"""Pickles of plain containers and numpy arrays, read without calling anything that the file names.

A positive list of opcodes, run by the standard library's Python unpickler, and stand-ins for the six numpy and codec
names that such files hold. Classes, functions, persistent objects and the copyreg table are refused by name.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import sys
from collections import OrderedDict
from typing import Any, ClassVar

import numpy as np

# what can make containers, strings, bytes and numbers, and call a stand-in; all others are refused
OPCODES = [
    "PROTO",
    "FRAME",
    "STOP",
    "MARK",
    "POP",
    "POP_MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_LIST",
    "LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "DICT",
    "SETITEM",
    "SETITEMS",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "GET",
    "BINGET",
    "LONG_BINGET",
    "MEMOIZE",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BUILD",
]
KINDS = re.compile(r"[|<>=]?([biuf][1248]|[SU]\d{1,4}|\?|O8?)")  # dtypes as numpy pickles them
MOST_ITEMS = 1 << 28


class RefusedError(ValueError):
    """A pickle that holds something else than containers, strings, numbers and arrays; the message names it."""


class Dtype:
    """Stands in for numpy.dtype: a kind like "f8" and its byte order."""

    def __init__(self, kind: object, *_: object) -> None:
        if not isinstance(kind, str) or not KINDS.fullmatch(kind):
            raise RefusedError(f"an array of the type {kind!r}")
        self.kind, self.order = kind, ""

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in {"<", ">", "|", "="}:
            raise RefusedError(f"an array type in the state {str(state)[:40]}")
        self.order = "" if order in {"|", "="} else str(order)

    def numpy(self) -> np.dtype[Any]:
        """Return the real type."""
        return np.dtype(self.order + self.kind.lstrip("|<>="))


class Array:
    """Stands in for numpy.ndarray; `value` is the array once its state is there."""

    def __init__(self, *_: object) -> None:
        self.value: Any = np.zeros(0)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], Dtype):
            raise RefusedError("an array without shape, type and data")
        _, shape, kind, fortran, data = state
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and 0 <= n <= MOST_ITEMS for n in shape):
            raise RefusedError(f"an array of the shape {str(shape)[:40]}")
        if isinstance(data, list) and kind.kind.startswith("O"):
            flat: Any = np.empty(len(data), object)
            flat[:] = data
        elif isinstance(data, (bytes, str)) and not kind.kind.startswith("O"):
            flat = np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), kind.numpy()).copy()
        else:
            raise RefusedError("an array whose data is not of its type")
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _scalar(kind: object, data: object = None) -> Any:
    if not isinstance(kind, Dtype) or kind.kind.startswith("O") or not isinstance(data, (bytes, str)):
        raise RefusedError("a number of an unknown type")
    return np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), kind.numpy(), count=1)[0]


def _encoded(text: object, codec: object = "utf-8") -> bytes:
    if not isinstance(text, str) or codec not in {"latin1", "latin-1"}:
        raise RefusedError(f"bytes under the codec {codec!r}")
    return text.encode("latin1")


def _from_buffer(data: object, kind: object, shape: object, order: object = "C") -> Array:
    """Make the array of protocol 5, which hands over its bytes as they lie."""
    array = Array()
    array.__setstate__((1, shape, kind, order == "F", bytes(data) if isinstance(data, (bytes, bytearray)) else data))
    return array


STAND_INS: dict[str, Any] = {
    "numpy dtype": Dtype,
    "numpy ndarray": Array,
    "numpy.core.multiarray _reconstruct": Array,
    "numpy._core.multiarray _reconstruct": Array,
    "numpy.core.multiarray scalar": _scalar,
    "numpy._core.multiarray scalar": _scalar,
    "numpy.core.numeric _frombuffer": _from_buffer,
    "numpy._core.numeric _frombuffer": _from_buffer,
    "collections OrderedDict": OrderedDict,
    "_codecs encode": _encoded,
}


class _Plain(pickle._Unpickler):  # noqa: SLF001 — its C twin has no table of opcodes
    dispatch: ClassVar[dict[int, Any]] = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]  # noqa: SLF001 — as above
        for name in OPCODES
    }

    def load_bytearray8(self: Any) -> None:
        """Read before making room: the original makes room for any size that a file claims."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(min(size, sys.maxsize))))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def find_class(self, module: str, name: str) -> Any:
        if f"{module} {name}" not in STAND_INS:
            raise RefusedError(f"{module}.{name}")
        return STAND_INS[f"{module} {name}"]


def read_plain_pickle(data: bytes) -> Any:
    """Return what a pickle holds: containers, strings, numbers, and `Array` for arrays (see `plain`).

    Raises RefusedError for anything else, and for bytes that are no whole pickle.
    """
    try:
        return _Plain(io.BytesIO(data), encoding="latin1").load()
    except RefusedError:
        raise
    except KeyError as error:
        code = error.args[0] if error.args else None
        what = f"the opcode {code}" if isinstance(code, int) else f"a broken reference ({error})"
        raise RefusedError(f"{what}, which plain data does not need") from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise RefusedError(f"no whole pickle ({type(error).__name__}: {str(error)[:80]})") from error
    except (OverflowError, MemoryError, RecursionError, UnicodeError, AssertionError) as error:
        raise RefusedError(f"no sound pickle ({type(error).__name__})") from error


def plain(value: Any) -> Any:
    """Return the numpy array of an `Array`, other values as they are."""
    return value.value if isinstance(value, Array) else value
