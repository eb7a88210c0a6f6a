"""A shared object as bytes: its sections, symbols, needed libraries and GPU code. Nothing is loaded.

It reads 64-bit little-endian ELF by itself, from a file that may be cut short or hostile: every number is checked
against the file's size, and what does not fit raises `NotReadableError`, nothing else. Judging is for rules.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.fatbin import architectures
from doctor.images import SECTION, targets

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES = {62: "x86_64", 183: "aarch64", 21: "ppc64le", 243: "riscv64"}
FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
DYNAMIC_ENTRY = struct.Struct("<qQ")
DYNSYM, DYNAMIC, GNU_HASH, VERSION_NEEDS, VERSION_OF_SYMBOL = 11, 6, 0x6FFFFFF6, 0x6FFFFFFE, 0x6FFFFFFF
NO_BITS, SYMTAB, FUNCTION = 8, 2, 2
NEEDED, RPATH, RUNPATH = 1, 15, 29
WEAK = 2
MAX_SECTIONS, MAX_SYMBOLS, MAX_NEEDS = 4096, 1 << 19, 4096
MAX_NAME = 4096


class NotReadableError(ValueError):
    """Not a shared object that can be read: another format, cut short or damaged."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section's name, type and place in the file."""

    name: str
    kind: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name in the dynamic symbol table; `versioned` where it names the library version it comes from."""

    name: str
    defined: bool
    weak: bool
    versioned: bool


class SharedObject:
    """A shared object over bytes that stay where they are, as in a memory map."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.machine, self.sections = self._read_sections()

    def needs(self) -> tuple[str, ...]:
        """Return the libraries it names as needed."""
        return tuple(name for tag, name in self._dynamic if tag == NEEDED)

    def search_path(self) -> tuple[str, ...]:
        """Return the folders in its RUNPATH, or else its RPATH."""
        found = {tag: name for tag, name in self._dynamic if tag in {RPATH, RUNPATH}}
        return tuple(filter(None, found.get(RUNPATH, found.get(RPATH, "")).split(":")))

    def versions(self) -> dict[str, str]:
        """Return the newest version it needs of GLIBC, GLIBCXX and CXXABI."""
        newest: dict[str, tuple[int, ...]] = {}
        for name in self._version_names():
            match = re.fullmatch(r"(GLIBC|GLIBCXX|CXXABI)_([0-9]{1,4}(?:\.[0-9]{1,4}){1,3})", name, re.ASCII)
            if match:
                version = tuple(map(int, match[2].split(".")))
                newest[match[1]] = max(newest.get(match[1], ()), version)
        return {name: ".".join(map(str, version)) for name, version in sorted(newest.items())}

    def symbols(self) -> Iterator[Symbol]:
        """Yield the dynamic symbols."""
        section = self._section(DYNSYM)
        if section is None:
            return
        names, table = self._linked(section), self._bytes(section)
        marks_section = self._section(VERSION_OF_SYMBOL)
        marks = self._bytes(marks_section) if marks_section else memoryview(b"")
        for index in range(1, min(len(table) // SYMBOL.size, MAX_SYMBOLS)):
            name, info, _, place, _, _ = SYMBOL.unpack_from(table, index * SYMBOL.size)
            mark = struct.unpack_from("<H", marks, index * 2)[0] & 0x7FFF if index * 2 + 2 <= len(marks) else 0
            yield Symbol(_text(names, name), place != 0, info >> 4 == WEAK, mark > 1)

    def architectures(self) -> tuple[str, ...]:
        """Return the GPU code in it. Code still to be linked (`__nv_relfatbin`) counts only where there is no other."""
        for name in (".nv_fatbin", "__nv_relfatbin"):
            section = next((section for section in self.sections if section.name == name), None)
            found = architectures(self._bytes(section)) if section else ()
            if found:
                return found
        own = self.content(SECTION)
        return targets(own) if own else ()

    def content(self, name: str) -> memoryview:
        """Return the bytes of the section of this name, none where there is no such section."""
        section = next((section for section in self.sections if section.name == name), None)
        return self._bytes(section) if section else memoryview(b"")

    def functions(self, mark: int) -> Iterator[str]:
        """Yield the functions of the whole symbol table whose `other` field has this mark: a cubin's kernels."""
        section = self._section(SYMTAB)
        table = self._bytes(section) if section else memoryview(b"")
        for index in range(1, min(len(table) // SYMBOL.size, MAX_SYMBOLS)):
            name, info, other, _, _, _ = SYMBOL.unpack_from(table, index * SYMBOL.size)
            if section and info & 0xF == FUNCTION and other & mark:
                yield _text(self._linked(section), name)

    def defines(self, name: bytes) -> bool:
        """Return whether it defines the symbol, by its GNU hash table: a few reads in a table of any size."""
        if self._hash_table is None:
            return False
        table, names, symbols = self._hash_table
        buckets, first, bloom_words, shift = _numbers(table, 0, 4)
        value = gnu_hash(name)
        if not buckets or not bloom_words or not self._may_hold(table, value, bloom_words, shift):
            return False
        chains = 16 + bloom_words * 8 + buckets * 4
        (index,) = _numbers(table, 16 + bloom_words * 8 + value % buckets * 4, 1)
        while index >= first:
            (link,) = _numbers(table, chains + (index - first) * 4, 1)
            if link | 1 == value | 1 and self._is(symbols, names, index, name):
                return True
            if link & 1:
                return False
            index += 1
        return False

    @cached_property
    def _dynamic(self) -> tuple[tuple[int, str], ...]:
        """Return the tags of the dynamic section that name something, with the name."""
        section = self._section(DYNAMIC)
        if section is None:
            return ()
        table, names = self._bytes(section), self._linked(section)
        rows = (
            DYNAMIC_ENTRY.unpack_from(table, at)
            for at in range(0, min(len(table), 1 << 16) - DYNAMIC_ENTRY.size + 1, DYNAMIC_ENTRY.size)
        )
        return tuple((tag, _text(names, value)) for tag, value in rows if tag in {NEEDED, RPATH, RUNPATH})

    @cached_property
    def _hash_table(self) -> tuple[memoryview, memoryview, memoryview] | None:
        table, symbols = self._section(GNU_HASH), self._section(DYNSYM)
        if table is None or symbols is None:
            return None
        return self._bytes(table), self._linked(symbols), self._bytes(symbols)

    def _version_names(self) -> Iterator[str]:
        section = self._section(VERSION_NEEDS)
        if section is None:
            return
        table, names = self._bytes(section), self._linked(section)
        at, left = 0, MAX_NEEDS
        while left > 0:
            _, count, _, first, following = _unpack("<HHIII", table, at)
            name_at = at + first
            for _ in range(min(count, left)):
                _, _, _, name, step = _unpack("<IHHII", table, name_at)
                yield _text(names, name)
                left -= 1
                name_at += step
            if not following:
                return
            at += following
            left -= 1

    def _read_sections(self) -> tuple[str, tuple[Section, ...]]:
        header = _unpack(FILE_HEADER.format, self._data, 0)
        if header[0][:6] != b"\x7fELF\x02\x01":
            raise NotReadableError("not a 64-bit little-endian ELF file")
        machine, start, step, count, names_at = header[2], header[6], header[11], header[12], header[13]
        if step != SECTION_HEADER.size or not 0 < count <= MAX_SECTIONS or names_at >= count:
            raise NotReadableError("its section table is missing or damaged")
        rows = [_unpack(SECTION_HEADER.format, self._data, start + index * step) for index in range(count)]
        names = self._slice(rows[names_at][4], rows[names_at][5])
        sections = tuple(Section(_text(names, row[0]), row[1], row[4], row[5], row[6]) for row in rows)
        return MACHINES.get(machine, f"machine {machine}"), sections

    def _section(self, kind: int) -> Section | None:
        return next((section for section in self.sections if section.kind == kind), None)

    def _linked(self, section: Section) -> memoryview:
        """Return the strings that a section's entries point into."""
        if section.link >= len(self.sections):
            raise NotReadableError(f"section {section.name} points outside of the table")
        return self._bytes(self.sections[section.link])

    def _bytes(self, section: Section) -> memoryview:
        return memoryview(b"") if section.kind == NO_BITS else self._slice(section.offset, section.size)

    def _slice(self, offset: int, size: int) -> memoryview:
        if offset + size > len(self._data):
            raise NotReadableError("it is cut short")
        return self._data[offset : offset + size]

    @staticmethod
    def _may_hold(table: memoryview, value: int, words: int, shift: int) -> bool:
        """Return False where the table's Bloom filter already excludes the hash."""
        (word,) = _unpack("<Q", table, 16 + value // 64 % words * 8)
        mask: int = 1 << value % 64 | 1 << (value >> min(shift, 63)) % 64
        return bool(word & mask == mask)

    @staticmethod
    def _is(symbols: memoryview, names: memoryview, index: int, name: bytes) -> bool:
        at, _, _, place, _, _ = _unpack(SYMBOL.format, symbols, index * SYMBOL.size)
        return place != 0 and bytes(names[at : at + len(name) + 1]) == name + b"\0"


def gnu_hash(name: bytes) -> int:
    """Return the hash that GNU's symbol tables are sorted by."""
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def open_object(path: str) -> SharedObject:
    """Return the shared object at `path`, mapped, not loaded. Raises NotReadableError."""
    if not Path(path).is_file():  # opening a pipe would wait for ever
        raise NotReadableError("it is no file that can be read")
    try:
        with Path(path).open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # freed with the last view of it
    except (OSError, ValueError) as why:
        raise NotReadableError(f"it cannot be read: {why}") from why
    return SharedObject(memoryview(data))


def _unpack(layout: str, table: memoryview, at: int) -> tuple[Any, ...]:
    if at < 0 or at + struct.calcsize(layout) > len(table):
        raise NotReadableError("a table ends too early")
    return struct.unpack_from(layout, table, at)


def _numbers(table: memoryview, at: int, count: int) -> tuple[int, ...]:
    return _unpack(f"<{count}I", table, at)


def _text(names: memoryview, at: int) -> str:
    """Return the zero-ended string, fit for a terminal and a recording; empty outside of the table."""
    text = bytes(names[at : at + MAX_NAME]).split(b"\0", 1)[0].decode("utf-8", "replace")
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
