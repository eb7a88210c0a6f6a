"""Runs in a child process: compiles one device source with the NVRTC library that is named. No torch, no CUDA toolkit.

    python nvrtc.py LIBRARY [SOURCE TARGETS FOLDER OPTION…]

TARGETS are sm_90 (a cubin), compute_90 (PTX), or both with a comma: one compilation, for the first, gives both. The
code goes to FOLDER/NAME.TARGET. Without a source it prints what the library is: one JSON document.
"""

from __future__ import annotations

import ctypes
import json
import sys
from contextlib import suppress
from pathlib import Path


class NvrtcError(RuntimeError):
    """NVRTC refused; the message is its own."""


class Nvrtc:
    """The library, and its calls that are needed here."""

    def __init__(self, path: str) -> None:
        for file in sorted(Path(path).parent.glob("libnvrtc-builtins*.so*")):
            with suppress(OSError):  # where it is not loaded yet, NVRTC asks the loader, which knows no wheels
                ctypes.CDLL(str(file))
        self._library = ctypes.CDLL(path)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> str:
        """Return `13.0`."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def targets(self) -> list[int]:
        """Return the architectures it compiles for, 90 for 9.0."""
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        archs = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", archs)
        return list(archs)

    def compile(self, source: Path, targets: list[str], options: list[str]) -> tuple[list[bytes], str]:
        """Compile for the first target; return the code for each, and the log.

        Raises NvrtcError with the log where it does not compile.
        """
        program = ctypes.c_void_p()
        text, name = source.read_bytes(), str(source).encode()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text, name, 0, None, None)
        words = [f"--gpu-architecture={targets[0]}".encode(), *(option.encode() for option in options)]
        code = self._library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
        log = self._text(program, "ProgramLog").rstrip(b"\0").decode("utf-8", "replace")
        if code:
            raise NvrtcError(log or self._words_of(code))
        kinds = ["PTX" if target.startswith("compute") else "CUBIN" for target in targets]
        return [self._text(program, kind) for kind in kinds], log

    def _text(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        room = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, room)
        return room.raw

    def _call(self, name: str, *words: object) -> None:
        code = getattr(self._library, name)(*words)
        if code:
            raise NvrtcError(f"{name}: {self._words_of(code)}")

    def _words_of(self, code: int) -> str:
        return str(self._library.nvrtcGetErrorString(code).decode())


def main(words: list[str]) -> int:
    """Compile, or tell about the library; return the exit code."""
    try:
        nvrtc = Nvrtc(words[0])
        if len(words) == 1:
            sys.stdout.write(json.dumps({"version": nvrtc.version(), "targets": nvrtc.targets()}) + "\n")
            return 0
        source, targets, folder = Path(words[1]), words[2].split(","), Path(words[3])
        codes, log = nvrtc.compile(source, targets, words[4:])
    except (NvrtcError, OSError, AttributeError) as why:
        sys.stderr.write(f"{why}\n")
        return 1
    sys.stderr.write(log)
    for target, code in zip(targets, codes, strict=True):
        (folder / f"{source.stem}.{target}").write_bytes(code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
