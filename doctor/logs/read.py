"""From bytes to lines that can be searched: encodings, colours, progress bars, prefixes, typographic quotes."""

from __future__ import annotations

import codecs
import os
import re
import sys
from pathlib import Path

MAX_LOG = 50 << 20
TOO_MANY_NULS = 0.2  # of every second byte: UTF-16 without its mark, as Windows redirects it
SEVERAL = 200  # bytes looked at to tell an encoding

_GAPS = re.compile(r"[ \t]{2,}")  # tables and typing mistakes
# ECMA-48: CSI sequences, OSC strings (titles, links), two-byte escapes
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;:<=>?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\-_()][0-9A-B]?)"
)
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "`": "'", "´": "'", "“": '"', "”": '"', "«": '"', "»": '"', "：": ":", "\x00": " "}
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_log(name: str) -> bytes:
    """Return a log's bytes; `-` is standard input. Of one longer than MAX_LOG the front and the back.

    Raises OSError where there is no such file, or it may not be read.
    """
    if name == "-":
        return sys.stdin.buffer.read(MAX_LOG)
    with Path(name).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= MAX_LOG:
            return file.read(MAX_LOG)
        front = file.read(MAX_LOG // 2)
        file.seek(-(MAX_LOG // 2), os.SEEK_END)
        return front + b"\n" + file.read()


def decode(data: bytes) -> str:
    """Return the text of a log in whatever encoding it came: a mark tells, else UTF-8, else GB 18030, else Latin-1."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if (utf_16 := _unmarked_utf_16(data[:SEVERAL])) is not None:
        return data.decode(utf_16, errors="replace")
    fault = _first_fault(data)
    if fault is None or _mostly_utf_8(data, fault):
        return data.decode("utf-8", errors="replace")
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def normalise(text: str) -> str:
    """Return the text without escape sequences and gaps, with plain quotes; a rewritten line (progress) is one more."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    plain = text.replace("`", "'").replace("\x00", " ") if text.isascii() else text.translate(_PLAIN)
    plain = plain.replace("\r\n", "\n").replace("\r", "\n")
    return _GAPS.sub(" ", plain)


def _first_fault(data: bytes) -> int | None:
    """Return where the bytes stop being UTF-8, None where they do not."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as why:
        return why.start
    return None


def _unmarked_utf_16(head: bytes) -> str | None:
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0) / len(head[0::2]), head[1::2].count(0) / len(head[1::2])
    if odd > TOO_MANY_NULS and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > TOO_MANY_NULS and odd == 0 else None


def _mostly_utf_8(data: bytes, first_fault: int) -> bool:
    """Return whether valid multi-byte characters came before the first fault, or all before it is many ASCII lines."""
    before = data[:first_fault]
    if not before.isascii():
        return True
    after = data[first_fault : first_fault + 4096].decode("utf-8", errors="replace")
    return after.count("\N{REPLACEMENT CHARACTER}") <= 1
