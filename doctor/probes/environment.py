"""How the packages of an interpreter lie on disk: what `children/python_facts.py` printed, and a few folders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from doctor.facts import Copy, Environment, TorchFiles, Unknown
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.facts import Version
    from doctor.shell import Host

REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*\(?==\s*([0-9][A-Za-z0-9.+!-]{0,49})", re.ASCII)
CUDA_LIBRARY = re.compile(
    r"lib(cudart|cublas|cublasLt|cudnn|nccl|cusparse|cusolver|cufft|curand|nvJitLink|nvrtc)\.so(\.[0-9]+)+", re.ASCII
)
NOT_SAID = Unknown("this recording is older than the question")
CONDA_PACKAGE = re.compile(r"(.+)-([^-]+-[^-]+)")


def parse_environment(text: str, machine: str) -> Environment | None:
    """Read the JSON's `environment`; None where it has none, as in recordings of older doctors."""
    try:
        document: Any = json.loads(text)
        row = document["environment"]
        return Environment(
            prefix=str(row["prefix"]),
            here=str(row.get("here") or ""),
            folders=_texts(row.get("folders")),
            pythonpath=tuple(filter(None, str(row.get("pythonpath") or "").split(":"))),
            user_site=str(row.get("user_site") or ""),
            conda=tuple(
                (match[1], match[2]) for name in _texts(row.get("conda")) if (match := CONDA_PACKAGE.fullmatch(name))
            ),
            copies=tuple(Copy(*copy) for copy in _rows(row.get("copies"), 4)),
            torch=_torch_files(row.get("torch"), machine),
            editable=tuple((name, folder) for name, folder in _rows(row.get("editable"), 2)),
            shadows=_texts(row.get("shadows")),
            modules=tuple((name, folder) for name, folder in _rows(row.get("modules"), 2)),
            glibc=find_version(str(document.get("glibc") or "")) if "glibc" in str(document.get("glibc")) else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def parse_requirement(line: str, machine: str) -> tuple[str, str] | None:
    """Read `triton==3.6.0; platform_system == "Linux"`; None for extras, other CPUs and versions that are not exact."""
    found = REQUIREMENT.match(line)
    other_cpu = "platform_machine" in line and machine not in line
    if not found or other_cpu or "extra ==" in line:
        return None
    return re.sub(r"[-_.]+", "-", found[1]).lower(), found[2]


def parse_libstdcxx(name: str) -> Version | None:
    """Return (3, 4, 30) for the file name libstdc++.so.6.0.30: their last numbers agree."""
    found = re.fullmatch(r"libstdc\+\+\.so\.6\.0\.([0-9]{1,4})", name, re.ASCII)
    return (3, 4, int(found[1])) if found else None


def probe_environment(host: Host, text: str) -> Environment | Unknown:
    """Complete what the interpreter said with what stands on disk."""
    environment = parse_environment(text, host.machine())
    if environment is None:
        return NOT_SAID
    newest = libstdcxx(host, prefixes_of(text))
    dead = tuple(link for link in environment.editable if not host.access(link[1]).exists)
    return replace(environment, overrides=cuda_libraries_in_the_way(host), libstdcxx=newest, dead_links=dead)


def cuda_libraries_in_the_way(host: Host) -> tuple[str, ...]:
    """Return the CUDA libraries in folders of LD_LIBRARY_PATH, the first of each name."""
    found: dict[str, str] = {}
    for folder in filter(None, host.variable("LD_LIBRARY_PATH").split(":")):
        for name in host.listing(folder):
            match = CUDA_LIBRARY.fullmatch(name)
            if match:
                found.setdefault(match[1], f"{folder.rstrip('/')}/{name}")
    return tuple(sorted(found.values()))


def libstdcxx(host: Host, prefixes: tuple[str, ...]) -> Version | None:
    """Return the newest GLIBCXX of the C++ library that this interpreter loads: conda brings its own."""
    cpu = host.machine()
    folders = (
        *(f"{prefix}/lib" for prefix in prefixes),
        f"/usr/lib/{cpu}-linux-gnu",
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
    )
    for folder in folders:
        path = host.real_path(f"{folder}/libstdc++.so.6")
        if path:
            return parse_libstdcxx(path.rsplit("/", 1)[-1])
    return None


def prefixes_of(text: str) -> tuple[str, ...]:
    """Return the folders that the interpreter and, for a virtual environment, its base live in."""
    try:
        row: Any = json.loads(text)["environment"]
        return tuple(dict.fromkeys(str(row[key]) for key in ("prefix", "base_prefix") if row.get(key)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()


def _torch_files(row: Any, machine: str) -> TorchFiles | None:
    if not isinstance(row, dict):
        return None
    return TorchFiles(
        folder=str(row.get("folder") or ""),
        files=_texts(row.get("files")),
        libraries=_texts(row.get("libraries")),
        requires=tuple(found for line in _texts(row.get("requires")) if (found := parse_requirement(line, machine))),
        installer=str(row.get("installer") or "")[:40],
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _rows(value: Any, length: int) -> tuple[tuple[str, ...], ...]:
    rows = value if isinstance(value, list) else []
    texts = [_texts(row) for row in rows]
    return tuple(row for row in texts if len(row) == length)
