"""A machine in a folder: `Recorder` writes every answer down, redacted; `replay.py` gives them back anywhere.

The folder holds one file, machine.json: text as lists of lines, so that it can be read, compared and written by hand.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from doctor.redact import Names, own_names, redact_all, redact_variable
from doctor.shell import DEFAULT_TIMEOUT_S, Access, Host, Output

SCHEMA_VERSION = 1
FILE = "machine.json"
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Subject:
    """What the recorded look was about: interpreter, environment's folder, data set, what was named by hand, home."""

    python: str
    folder: str
    dataroot: str = ""
    extensions: tuple[str, ...] = ()
    checkout: str = ""
    home: str = ""


class Recorder:
    """A host that hands every question on and keeps the answers."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._kept: dict[str, dict[str, Any]] = {}

    def run(self, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run a program and keep what it printed."""
        return self._keep_output(" ".join(words), self._host.run(*words, timeout_s=timeout_s))

    def run_python(self, python: str, script: Path, *words: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Output:
        """Run one of our scripts and keep what it printed."""
        output = self._host.run_python(python, script, *words, timeout_s=timeout_s)
        return self._keep_output(" ".join((script.name, python, *words)), output)

    def which(self, program: str) -> str | None:
        """Find a program."""
        return self._keep("programs", program, self._host.which(program))

    def read(self, path: str) -> str | None:
        """Read a file."""
        text = self._host.read(path)
        self._keep("files", path, None if text is None else text.split("\n"))
        return text

    def tail(self, path: str, size: int) -> str | None:
        """Read the end of a file."""
        text = self._host.tail(path, size)
        self._keep("tails", path, None if text is None else text.split("\n"))
        return text

    def listing(self, path: str) -> tuple[str, ...]:
        """List a folder."""
        names = self._host.listing(path)
        self._keep("folders", path, list(names) or None)
        return names

    def find_in(self, path: str, pattern: str, pieces: int = 0) -> tuple[str, ...]:
        """Find a pattern in a file; what stands around it is not kept."""
        found = self._host.find_in(path, pattern, pieces)
        self._keep("found", path, list(found) or None)
        return found

    def real_path(self, path: str) -> str | None:
        """Follow links."""
        return self._keep("links", path, self._host.real_path(path))

    def access(self, path: str) -> Access:
        """Look at permissions."""
        access = self._host.access(path)
        words = "r" * access.readable + "w" * access.writable
        self._keep("access", path, words if access.exists else None)
        return access

    def space(self, path: str) -> tuple[int, int] | None:
        """Measure room."""
        return self._keep("space", path, self._host.space(path))

    def inspect(self, path: str, libraries: tuple[str, ...]) -> dict[str, Any]:
        """Look into a shared object."""
        return self._keep("binaries", path, self._host.inspect(path, libraries))

    def mount_flags(self, path: str) -> tuple[str, ...]:
        """Ask how a file system is mounted."""
        flags = self._host.mount_flags(path)
        self._keep("mounts", path, list(flags) or None)
        return flags

    def variable(self, name: str) -> str:
        """Read a variable."""
        value = self._host.variable(name)
        self._keep("variables", name, value or None)
        return value

    def is_set(self, name: str) -> bool:
        """Ask whether a variable is set; one that is set and empty is kept too."""
        value = self._host.variable(name) if self._host.is_set(name) else None
        return self._keep("variables", name, value) is not None

    def own_python(self) -> str:
        """Return the interpreter that runs the doctor."""
        return self._host.own_python()

    def machine(self) -> str:
        """Return the CPU architecture."""
        return self._host.machine()

    def save(self, folder: Path, subject: Subject, *, redacted: bool = True) -> Path:
        """Write machine.json into `folder`, whole or not at all. Returns its path."""
        text = json.dumps(self.document(subject, redacted=redacted), indent=1, ensure_ascii=False)
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, prefix=f".{FILE}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(part).replace(folder / FILE)
        finally:
            with suppress(FileNotFoundError):
                Path(part).unlink()
        return folder / FILE

    def document(self, subject: Subject, *, redacted: bool = True) -> dict[str, Any]:
        """Return the recording; its own keys are never redacted, whatever this user is called."""
        kept = {kind: dict(sorted(rows.items())) for kind, rows in sorted(self._kept.items())}
        own_python = self.own_python()
        about: dict[str, Any] = asdict(subject)
        if redacted:
            names = own_names()
            secret = {name: redact_variable(name, value) for name, value in kept.get("variables", {}).items()}
            kept |= {"variables": secret} if secret else {}
            kept = {kind: _redacted_rows(rows, names) for kind, rows in kept.items()}
            about = {key: redact_all(value, names) for key, value in about.items()}
            own_python = str(redact_all(own_python, names))
        head = {"schema_version": SCHEMA_VERSION, "provenance": "written by doctor --record"}
        return {**head, "own_python": own_python, "machine": self.machine(), "subject": about, **kept}

    def _keep_output(self, command: str, output: Output) -> Output:
        row: dict[str, Any] = {"code": output.code, "out": output.out.split("\n")}
        row |= {"err": output.err.split("\n")} if output.err else {}
        row |= {"problem": output.problem} if output.problem else {}
        self._keep("commands", command, row)
        return output

    def _keep(self, kind: str, key: str, value: Kept) -> Kept:
        if value is not None:
            self._kept.setdefault(kind, {})[key] = value
        return value


def _redacted_rows(rows: dict[str, Any], names: Names) -> dict[str, Any]:
    """Redact the questions and the answers; the keys of an answer are ours."""
    told: dict[str, Any] = {}
    for question, answer in rows.items():
        asked = str(redact_all(question, names))
        is_output = isinstance(answer, dict)
        told[asked] = (
            {key: redact_all(value, names) for key, value in answer.items()} if is_output else redact_all(answer, names)
        )
    return told
