"""A recorded machine answers as it did then: `Replay` is a host over the machine.json that `record.py` writes.

What it does not hold was not there. A recording comes from strangers: every value is checked as it is read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from doctor.record import FILE, SCHEMA_VERSION, Subject
from doctor.shell import DEFAULT_TIMEOUT_S, NO_TIME, NOT_STARTED, SILENT, Access, Output
from doctor.words import said_again, say

if TYPE_CHECKING:
    from pathlib import Path

PROBLEMS = (SILENT, NO_TIME, NOT_STARTED)
MAX_RECORDING = 32 << 20


class RecordingError(ValueError):
    """A recording that cannot be read; the message names the file and what was expected."""


class Replay:
    """A host that answers from a recording; what the recording does not hold is not there."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def run(self, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:  # noqa: ARG002 — Host's signature
        """Return what the program printed then."""
        return self._output(" ".join(words), words[0])

    def run_python(self, python: str, script: Path, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:  # noqa: ARG002 — Host's signature
        """Return what the script printed then."""
        return self._output(" ".join((script.name, python, *words)), python)

    def which(self, program: str) -> str | None:
        """Return where the program stood."""
        return self._text("programs", program)

    def read(self, path: str) -> str | None:
        """Return the file's text."""
        lines = self._of("files").get(path)
        return None if lines is None else _joined(lines)

    def tail(self, path: str, size: int) -> str | None:
        """Return the end of the file."""
        lines = self._of("tails").get(path)
        return None if lines is None else _joined(lines)[-size:]

    def listing(self, path: str) -> tuple[str, ...]:
        """Return the folder's names."""
        names = self._of("folders").get(path)
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    def find_in(self, path: str, pattern: str, pieces: int = 0) -> tuple[str, ...]:
        """Return what was found, as far as it has the form that was looked for."""
        found = self._of("found").get(path)
        texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
        fitting = tuple(text for text in texts if re.fullmatch(pattern, text))
        return fitting[:pieces] if pieces else fitting

    def real_path(self, path: str) -> str | None:
        """Return where the path led."""
        return self._text("links", path)

    def access(self, path: str) -> Access:
        """Return what the user could do; a recorded file or folder was at least readable."""
        words = self._text("access", path)
        if words is None:
            seen = path in self._of("files") or path in self._of("folders")
            return Access(seen, seen)
        return Access(exists=True, readable="r" in words, writable="w" in words)

    def space(self, path: str) -> tuple[int, int] | None:
        """Return total and free bytes."""
        row = self._of("space").get(path)
        if not isinstance(row, list) or len(row) != 2 or not all(isinstance(size, int) for size in row):
            return None
        return row[0], row[1]

    def inspect(self, path: str, libraries: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG002 — Host's signature
        """Return what was in the shared object."""
        row = self._of("binaries").get(path)
        return row if isinstance(row, dict) else {"problem": "it was not recorded"}

    def mount_flags(self, path: str) -> tuple[str, ...]:
        """Return how the file system was mounted."""
        flags = self._of("mounts").get(path)
        return tuple(str(flag) for flag in flags) if isinstance(flags, list) else ()

    def variable(self, name: str) -> str:
        """Return the variable."""
        return self._text("variables", name) or ""

    def is_set(self, name: str) -> bool:
        """Return whether the variable was set."""
        return self._text("variables", name) is not None

    def own_python(self) -> str:
        """Return the interpreter that ran the doctor."""
        return str(self._document.get("own_python") or "/usr/bin/python3")

    def machine(self) -> str:
        """Return the CPU architecture."""
        return str(self._document.get("machine") or "x86_64")

    def subject(self) -> Subject:
        """Return what the recorded look was about."""
        row = self._of("subject")
        python, folder = str(row.get("python") or self.own_python()), str(row.get("folder") or "/")
        named = row.get("extensions")
        extensions = tuple(map(str, named)) if isinstance(named, list) else ()
        dataroot, checkout, home = (str(row.get(key) or "") for key in ("dataroot", "checkout", "home"))
        return Subject(python, folder, dataroot, extensions, checkout, home)

    def _of(self, kind: str) -> dict[str, Any]:
        rows = self._document.get(kind)
        return rows if isinstance(rows, dict) else {}

    def _text(self, kind: str, key: str) -> str | None:
        value = self._of(kind).get(key)
        return value if isinstance(value, str) else None

    def _output(self, command: str, program: str) -> Output:
        row = self._of("commands").get(command)
        if not isinstance(row, dict):
            return Output(None, problem=say(NOT_STARTED, program=program, why="it was not there"))
        code = row.get("code")
        problem = said_again(str(row.get("problem") or ""), PROBLEMS)
        if "gave no answer" in problem:
            return Output.silent(problem)
        return Output(
            code if isinstance(code, int) else None, _joined(row.get("out")), _joined(row.get("err")), problem
        )


def load(folder: Path) -> Replay:
    """Read a recording. Raises RecordingError, naming the file and what to type."""
    path = folder / FILE if folder.is_dir() else folder
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_RECORDING))
    except OSError as why:
        words = "{path}: {problem}; make a recording with: python3 -m doctor --record DIR"
        raise RecordingError(say(words, path=path, problem=why.strerror)) from why
    except (ValueError, RecursionError) as why:
        words = "{path}: not JSON ({problem}); expected what doctor --record wrote"
        raise RecordingError(say(words, path=path, problem=str(why))) from why
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        version = document.get("schema_version") if isinstance(document, dict) else None
        words = "{path}: schema_version is {version}, expected {expected}; record the machine again"
        raise RecordingError(say(words, path=path, version=repr(version), expected=SCHEMA_VERSION))
    return Replay(document)


def _joined(lines: Any) -> str:
    if isinstance(lines, list):
        return "\n".join(str(line) for line in lines)
    return lines if isinstance(lines, str) else ""
