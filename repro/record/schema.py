"""What a run record holds, as types; how it becomes the bytes of a file, and comes back from them.

`record.schema.json` beside this file is the same as a JSON schema, for readers in other languages. No torch.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repro.artifacts import CocoMetrics, DataReady, GateVerdict, Machine, Metrics, Trained, Verdict

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
LARGEST_RECORD = 16 << 20  # bytes; a record is some tens of kilobytes
Role = Literal["recipe", "stage", "checkpoint", "start", "results", "losses", "doctor", "diff", "table", "image"]


class RecordError(ValueError):
    """A record that cannot be read or believed; the message says what was seen and what to type."""


class Closed(BaseModel):
    """A frozen table without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileFact(Closed):
    """A file that the run left or read.

    `path` is relative to the run folder (the data root for a table or an
    image of the data set), absolute if it lies elsewhere.

    Of two equal runs, files with `momentary` differ all the same: they hold times.
    """

    role: Role
    path: str
    size: int = Field(description="bytes")
    sha256: str
    momentary: bool = False


class Source(Closed):
    """The code that ran: a commit, and how the files differed from it.

    `untracked` are files that git did not know; `code` names the sources of each room by content, git or no git.
    """

    commit: str | None
    dirty: bool
    diff_sha256: str | None = Field(description="of `git diff HEAD`, whose text is in diff.patch of the run folder")
    untracked: tuple[str, ...]
    code: dict[str, str]


class Stack(Closed):
    """The pinned environment: its name, the SHA-256 of its lock, and the packages that were installed."""

    name: str
    lock_sha256: str | None = Field(description="of env/STACK/requirements.lock")
    packages: dict[str, str]


class Container(Closed):
    """The image that the run was inside of, as the container was told by whoever started it."""

    image_digest: str
    stack: str | None


class Extension(Closed):
    """Which deformable attention computed, and the manifest of the built extension where there is one."""

    op: str
    why: str
    manifest: dict[str, Any]


class DoctorFinding(Closed):
    """One finding of the doctor before the run."""

    code: str
    severity: str
    saw: str


class DoctorLook(Closed):
    """What the doctor said before the run; the machine as it saw it is the file of the role "doctor"."""

    checks: int
    findings: tuple[DoctorFinding, ...]


class DataFiles(Closed):
    """Hashes of what the run read: every table or annotation file, and a sample of the images, spread evenly."""

    tables: tuple[FileFact, ...]
    images: tuple[FileFact, ...]
    images_in_all: int


class Numerics(Closed):
    """What decides bits: seed, determinism and precision."""

    seed: int
    deterministic_algorithms: bool
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    precision: str
    tf32_matmul: bool
    tf32_cudnn: bool
    threads: int


class GpuUse(Closed):
    """One GPU during one stage, as NVML saw it in `samples` looks: means of per cent and watts, peaks of GiB and °C."""

    name: str
    samples: int
    utilisation_percent: float
    power_w: float | None
    memory_peak_gib: float
    temperature_peak_c: float | None


class Use(Closed):
    """What one stage took of the machine, in the process that led it; None where nothing could be measured."""

    host_peak_gib: float | None
    torch_gpu_peak_gib: float | None
    gpus: tuple[GpuUse, ...] = ()


class StageFact(Closed):
    """One stage: the key it ran under, when it ended (local time), how long it took, and what it used."""

    name: str
    key: dict[str, str]
    finished: str
    seconds: float
    use: Use | None = None


class Record(Closed):
    """One finished run. `seal` is the SHA-256 of the file with an empty seal; it shows damage, it is no signature."""

    schema_version: Literal[1]
    written: str = Field(description="UTC, ISO 8601")
    supersedes: str | None = Field(description="the seal of the record before this one in the same run folder")
    command: str
    smoke: bool
    eval_only: bool
    processes: int
    recipe: dict[str, Any] = Field(description="as resolved, every key present")
    source: Source
    stack: Stack
    container: Container | None
    extension: Extension
    machine: Machine
    doctor: DoctorLook | None
    numerics: Numerics
    data: DataReady
    data_files: DataFiles
    trained: Trained
    metrics: Metrics | CocoMetrics
    verdict: Verdict
    gate: str | None = Field(description="the gate of the ladder that this run was for: released, short, full")
    gates: tuple[GateVerdict, ...] = Field(description="what the lower gates said, lowest first")
    stages: tuple[StageFact, ...]
    files: tuple[FileFact, ...]
    seal: str

    def lasting(self) -> dict[str, Any]:
        """Return what two equal runs on one machine have in common: all but times, loads and the doctor's look."""
        table = self.model_dump(mode="json", exclude={"written", "supersedes", "doctor", "seal"})
        table["machine"].pop("findings")
        for value in (table["trained"], table["metrics"]):
            value.pop("seconds")
        for stage in table["stages"]:
            for name in ("finished", "seconds", "use"):
                stage.pop(name)
        table["files"] = [file for file in table["files"] if not file["momentary"]]
        return table

    def file(self, role: Role) -> FileFact | None:
        """Return the first file of a role, None when there is none."""
        return next((file for file in self.files if file.role == role), None)


def text_of(record: Record) -> str:
    """Return the one spelling of a record: the text whose bytes the file holds."""
    return json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def json_schema_text() -> str:
    """Return what `record.schema.json` must hold."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def sealed(record: Record) -> Record:
    """Return the record under the seal that belongs to it."""
    blank = record.model_copy(update={"seal": ""})
    return blank.model_copy(update={"seal": hashlib.sha256(text_of(blank).encode()).hexdigest()})


def parse_record(content: bytes, where: str) -> Record:
    """Return the record in the bytes of a file; `where` opens every message.

    Raises RecordError for what is no record, one of another version, one spelled otherwise, or one whose seal does
    not fit: a single changed byte.
    """
    if len(content) > LARGEST_RECORD:
        raise RecordError(f"{where}: {len(content)} bytes; a run record has at most {LARGEST_RECORD}")
    _check_version(content, where)
    try:
        record = Record.model_validate_json(content)
    except (ValidationError, RecursionError) as error:
        raise RecordError(f"{where}: not a run record ({_first(error)}); {_again(where)}") from error
    if text_of(record).encode() != content:
        raise RecordError(f"{where}: not as bevready wrote it (other spacing, order or keys); {_again(where)}")
    if sealed(record).seal != record.seal:
        raise RecordError(f"{where}: changed after it was written: its seal belongs to other content; {_again(where)}")
    return record


def read_record(path: Path) -> Record:
    """Return the record in a file. Raises RecordError, for a file that is not there too."""
    try:
        return parse_record(path.read_bytes(), str(path))
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; name the folder of a finished run, or its record.json") from error


def _check_version(content: bytes, where: str) -> None:
    """Raise RecordError for JSON of another version, before any key of it is judged by ours."""
    try:
        version: Any = json.loads(content)["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(
            f"{where}: not a run record (no JSON object with a schema_version); {_again(where)}"
        ) from error
    if version != SCHEMA_VERSION:
        raise RecordError(
            f"{where}: schema_version {str(version)[:20]}, this bevready reads {SCHEMA_VERSION}; check it with the "
            "bevready that wrote it"
        )


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "nested too deeply"
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"


def _again(where: str) -> str:
    return f"get {where} again from whoever made the run, or run the last stage again: delete it and repeat the command"
