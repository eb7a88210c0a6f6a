"""What is inside a shared object: what it needs, what it lacks, which GPUs it has code for. Judging is for rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from doctor.elf import NotReadableError, SharedObject, Symbol, open_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STANDARD_LIBRARY = re.compile(r"_Z(?:(?:N[KVRO]*)?(?:T[ISV])?(?:N[KVRO]*)?(?:St|S[absiod]|10__cxxabiv1)|n[wa]|d[la])")
MAX_MISSING = 60  # a library of another torch lacks thousands; the first ones tell


def inspect(path: str, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """Return what is in the shared object at `path`, as JSON-like values.

    `missing` names the C++ symbols that it needs and none of `libraries` defines, `lacking` counts them; both say
    nothing where no library could be read. Raises NotReadableError.
    """
    subject = open_object(path)
    others = [other for library in libraries if (other := _try_open(library))]
    wanted = [symbol.name for symbol in subject.symbols() if _is_wanted(symbol)]
    missing = list(_missing(wanted, others)) if others else []
    return {
        "machine": subject.machine,
        "needed": list(subject.needs()),
        "search_path": list(subject.search_path()),
        "versions": subject.versions(),
        "archs": list(subject.architectures()),
        "compared_with": len(others),
        "missing": missing[:MAX_MISSING],
        "lacking": len(missing),
    }


def _is_wanted(symbol: Symbol) -> bool:
    """Return whether a torch library, or nobody, must define it: C++, not optional, of no versioned library."""
    if symbol.defined or symbol.weak or symbol.versioned or not symbol.name.startswith("_Z"):
        return False
    return STANDARD_LIBRARY.match(symbol.name) is None


def _missing(names: Iterable[str], libraries: Sequence[SharedObject]) -> Iterator[str]:
    """Yield the names that no library defines. The library that had the last one is asked first."""
    order = list(libraries)
    for name in names:
        encoded = name.encode()
        owner = next((library for library in order if library.defines(encoded)), None)
        if owner is None:
            yield name
        elif owner is not order[0]:
            order.remove(owner)
            order.insert(0, owner)


def _try_open(path: str) -> SharedObject | None:
    try:
        return open_object(path)
    except NotReadableError:
        return None
