"""The compatibility tables to read (`--tables`): what each says, when it was written, each row with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.compat import archs, drivers, toolkits, torch
from doctor.facts import dotted, dotted_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from doctor.compat import About
    from doctor.facts import Capability

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table to read: every cell is text, the last column says where the row comes from."""

    name: str
    about: About
    columns: Row
    rows: tuple[Row, ...]


def table_names() -> tuple[str, ...]:
    """Return the names that `--tables` understands."""
    return tuple(TABLES)


def table(name: str) -> Table:
    """Return one table. Raises KeyError for a name that there is not."""
    about, columns, rows = TABLES[name]
    return Table(name, about, columns, tuple(rows()))


def table_row(read: Table) -> dict[str, Any]:
    """Return a table as JSON-like values: each row by its columns."""
    rows = [dict(zip(read.columns, row, strict=True)) for row in read.rows]
    about = {"title": read.about.title, "as_of": read.about.as_of, "sources": list(read.about.sources)}
    return {"name": read.name, **about, "rows": rows}


def _drivers() -> Iterable[Row]:
    for row in drivers.DRIVERS:
        oldest = drivers.min_driver(row.cuda) or row.driver
        yield dotted(row.cuda), dotted_driver(oldest), dotted_driver(row.driver), row.source


def _toolkits() -> Iterable[Row]:
    for row in toolkits.TOOLKITS:
        sm = " ".join(map(str, row.sm))
        yield dotted(row.cuda), f"{row.gcc_min} to {row.gcc_max}", str(row.clang_max), sm, row.source


def _torch() -> Iterable[Row]:
    for row in reversed(torch.RELEASES):
        python = f"{dotted(row.python_min)} to {dotted(row.python_max)}"
        for build in row.builds:
            numpy = "1 and 2" if row.numpy2 else "1"
            vision = dotted(row.torchvision)
            yield dotted(row.torch), dotted(build.cuda), python, vision, numpy, build.archs, build.source


def _archs() -> Iterable[Row]:
    for capability in sorted({(sm // 10, sm % 10) for row in toolkits.TOOLKITS for sm in row.sm}):
        known = [row for row in toolkits.TOOLKITS if row.compiles_for(capability)]
        first, last = known[-1], known[0]
        branch = drivers.last_branch_for(capability)
        runs = " ".join(_cubins_for(capability))
        newest = "" if last.cuda == toolkits.NEWEST else dotted(last.cuda)
        name = f"sm_{capability[0]}{capability[1]}"
        yield name, dotted(first.cuda), newest, str(branch or ""), runs, first.source


def _cubins_for(capability: Capability) -> list[str]:
    """Return the code that runs on a GPU as it is."""
    names = [f"sm_{sm}" for sm in sorted({sm for row in toolkits.TOOLKITS for sm in row.sm})]
    return [name for name in names if archs.coverage([name], capability) == "native"]


TABLES: dict[str, tuple[About, Row, Callable[[], Iterable[Row]]]] = {
    "drivers": (drivers.ABOUT, ("CUDA", "runs from driver", "in full from driver", "source"), _drivers),
    "toolkits": (toolkits.ABOUT, ("CUDA", "GCC", "clang up to", "sm", "source"), _toolkits),
    "archs": (
        archs.ABOUT,
        ("GPU", "nvcc from", "nvcc up to", "last driver branch", "runs code for", "source"),
        _archs,
    ),
    "torch": (
        torch.ABOUT,
        ("torch", "CUDA", "Python", "torchvision", "NumPy", "architectures", "source"),
        _torch,
    ),
}
