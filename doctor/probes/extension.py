"""The compiled extensions of an environment and a checkout, and of files named by hand: what is in each of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, get_args

from doctor.facts import Environment, Extension, Extensions, Unknown
from doctor.facts.extension import Place
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.facts import Version
    from doctor.shell import Host

MAX_EXTENSIONS = 32
LIBRARIES = ("libc10.so", "libtorch_cpu.so", "libtorch_python.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so")
MORE_LIBRARIES = ("libtorch_cuda_cpp.so", "libtorch_cuda_cu.so", "libtorch_cuda_linalg.so")  # split in 1.10 to 1.13


def parse_extensions(text: str) -> tuple[tuple[str, str, Place], ...] | None:
    """Read the JSON's list of extensions: package, path and place; None where it has none."""
    try:
        rows: Any = json.loads(text)["environment"]["extensions"]
        places = {place: place for place in get_args(Place)}
        return tuple(
            (str(package), str(path), places[str(place)]) for package, path, place in rows if str(place) in places
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def parse_tag(path: str) -> Version | None:
    """Return (3, 8) for `_ext.cpython-38-x86_64-linux-gnu.so`; None for a file that names no Python, as abi3 ones."""
    found = re.search(r"\.cpython-([23])([0-9]{1,2})[a-z]*-[^/]*\.so$", path, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None


def parse_summary(row: dict[str, Any], *, package: str, path: str, place: Place) -> Extension:
    """Read what `inspect` found; what a recording garbled is left out."""
    versions = row.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    lacking = row.get("lacking")
    return Extension(
        package=package,
        path=path,
        place=place,
        python=parse_tag(path),
        machine=str(row.get("machine") or ""),
        needed=_texts(row.get("needed")),
        archs=_texts(row.get("archs")),
        glibc=find_version(str(versions.get("GLIBC") or "")),
        glibcxx=find_version(str(versions.get("GLIBCXX") or "")),
        missing=_texts(row.get("missing")),
        lacking=lacking if isinstance(lacking, int) else 0,
        compared=bool(row.get("compared_with")),
        problem=str(row.get("problem") or "")[:200],
    )


def probe_extensions(
    host: Host, text: str, environment: Environment | Unknown, asked: tuple[str, ...] = ()
) -> Extensions | Unknown:
    """Look into each extension that the interpreter named, and into the files asked for."""
    named = parse_extensions(text)
    if named is None and not asked:
        return Unknown("this recording is older than the question")
    libraries = _libraries_of_torch(environment)
    rows = [*((_stem(path), path, "asked") for path in asked), *(named or ())][:MAX_EXTENSIONS]
    found = [
        parse_summary(host.inspect(path, libraries), package=package, path=path, place=place)
        for package, path, place in rows
    ]
    return Extensions(tuple(found))


def _libraries_of_torch(environment: Environment | Unknown) -> tuple[str, ...]:
    """Return the files that define torch's symbols, those asked most often first."""
    if isinstance(environment, Unknown) or environment.torch is None:
        return ()
    if not set(LIBRARIES[:2]) <= set(environment.torch.libraries):
        return ()  # conda-forge keeps them elsewhere: nothing to compare with
    folder = f"{environment.torch.folder}/lib"
    return tuple(f"{folder}/{name}" for name in (*LIBRARIES, *MORE_LIBRARIES) if name in environment.torch.libraries)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".", 1)[0]


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
