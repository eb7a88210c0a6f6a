"""What is installed against what the lock says: values in, findings in words out. Starts and reads nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.locks.read import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from doctor.locks.read import Pin

SEEDS = frozenset({"pip", "setuptools", "bevready-guard"})  # venv brings the first two, `make` the third
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed package: its version, the digest of its RECORD, and the files that are not as RECORD says."""

    name: str
    version: str
    record: str
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    recorded: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `kind`: missing, version, extra, twice, tampered, stray or import; `fix` is what to type."""

    kind: str
    package: str
    saw: str
    expected: str
    fix: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.kind:<8}  {self.package}: {self.saw}; {self.expected}"


def judge(
    pins: Iterable[Pin],
    installed: Iterable[Installed],
    *,
    strays: Iterable[str] = (),
    records: Mapping[str, str] | None = None,
    pip: str = "pip",
) -> list[Difference]:
    """Return every difference. `records` are the digests of RECORD files as `env` noted them when it installed."""
    wanted = {pin.name: pin for pin in pins}
    rows = [(canonical(row.name), row) for row in installed]
    counts = Counter(name for name, _ in rows)
    there = dict(rows)
    found = [_missing(pin, pip) for name, pin in wanted.items() if name not in there]
    for name, row in sorted(there.items()):
        if counts[name] > 1:
            found.append(_twice(name, counts[name], pip))
        pin = wanted.get(name)
        if pin is None:
            found += [] if name in SEEDS else [_extra(row, pip)]
        elif pin.version != row.version:
            found.append(_version(pin, row, pip))
        found += _files(row, (records or {}).get(name, ""), pip)
    return found + [_stray(path) for path in strays]


def _missing(pin: Pin, pip: str) -> Difference:
    why = f", which {' and '.join(pin.via[:SHOWN])} need" if pin.via else ""
    return Difference("missing", pin.name, "not installed", f"the lock names {pin.version}{why}", _again(pin, pip))


def _version(pin: Pin, row: Installed, pip: str) -> Difference:
    why = f"; {', '.join(pin.via[:SHOWN])} asked for it" if pin.via else ""
    return Difference(
        "version", pin.name, f"{row.version} is installed", f"the lock says {pin.version}{why}", _again(pin, pip)
    )


def _extra(row: Installed, pip: str) -> Difference:
    words = "the lock does not name it: somebody installed it by hand"
    return Difference("extra", canonical(row.name), f"{row.version} is installed", words, f"{pip} uninstall {row.name}")


def _twice(name: str, count: int, pip: str) -> Difference:
    words = "one is expected: an interrupted upgrade leaves the old description behind"
    return Difference(
        "twice", name, f"described {count} times", words, f"{pip} uninstall {name}, twice; then install it"
    )


def _files(row: Installed, record: str, pip: str) -> list[Difference]:
    fix = f"{pip} install --force-reinstall --no-deps --require-hashes with its lines of the lock"
    told = []
    if not row.recorded:
        told.append(("it has no RECORD", "without it nobody can say whether its files are the published ones"))
    published_so = row.record == record  # torch 1.9.1's own wheel holds files that its RECORD gives other digests
    if row.changed and not published_so:
        told.append((f"changed since it was installed: {_some(row.changed)}", "RECORD names other SHA-256 digests"))
    if row.missing:
        told.append((f"files are gone: {_some(row.missing)}", "RECORD names them"))
    if record and not published_so and not row.changed and not row.missing:
        told.append(("its RECORD is not the one noted when it was installed", "somebody rewrote or reinstalled it"))
    return [Difference("tampered", canonical(row.name), saw, expected, fix) for saw, expected in told]


def _stray(path: str) -> Difference:
    words = "no installed package owns it, and Python would import it"
    return Difference("stray", path, "lies among the packages", words, f"look at it, then: rm {path}")


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _again(pin: Pin, pip: str) -> str:
    return f"{pip} install --no-deps {pin.name}=={pin.version}"
