"""What a person sees of a comparison: whose models, one row a layer and one column a frame, and the verdict last."""

from __future__ import annotations

import math
import sys
import textwrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from repro.progress import duration_words
from repro.upstream import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repro.parity.check import Check
    from repro.upstream.compare import Compared

NARROW = 80  # the table needs no more, and a file or a pipe gets no less
GROUPS = (
    ("backbone and neck", ("backbone", "neck")),
    ("encoder", ("CAN bus", "encoder")),
    ("decoder", ("decoder", "all")),
)
BESIDE = " " * 8  # under "theirs  "
BEFORE_QUIRKS = ("backbone", "neck")  # no quirk reaches these
OTHER_QUIRKS = {"head": "released", "released": "head"}


def write_page(compared: Compared, told: Mapping[str, str]) -> None:
    """Print a comparison on stdout. `told` says what was compared: recipe, quirks, weights, data, checkout, commit."""
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    console.width = max(console.width, NARROW)
    console.print("\n".join(_heading(compared, told)), soft_wrap=True)
    console.print(_table(compared))
    for line in _verdict(compared, told):
        console.print(line, soft_wrap=True)


def _heading(compared: Compared, told: Mapping[str, str]) -> list[str]:
    theirs, seconds = compared.theirs, compared.seconds
    versions = ", ".join(f"{name} {version}" for name, version in theirs.versions.items())
    commit = f" at {told['commit'][:12]}" if told["commit"] else ""
    lines = [
        f"{told['recipe']} on {told['weights']}, {told['data']}",
        f"theirs  {told['config']}{commit}, {duration_words(seconds['theirs'])}",
        *textwrap.wrap(versions, NARROW, initial_indent=BESIDE, subsequent_indent=BESIDE),
    ]
    if theirs.stand_ins:
        lines.append(f"{BESIDE}not installed there, imported and never run: {', '.join(_modules(theirs.stand_ins))}")
    return [*lines, f"ours    torch {compared.torch}, {compared.operators}, {duration_words(seconds['ours'])}", ""]


def _modules(stand_ins: tuple[str, ...]) -> list[str]:
    """Return what was stood in for, briefly: operators one by one would fill a page."""
    return sorted(
        {"mmdet3d's CUDA operators" if name.startswith("mmdet3d") else name.split(".")[0] for name in stand_ins}
    )


def _table(compared: Compared) -> Table:
    """Return one row a layer: the largest difference in each frame, as a share of the layer's largest value."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left", title_style="")
    table.add_column("largest difference, as a share of\nthe layer's largest value", no_wrap=True)
    for number, frame in enumerate(compared.frames, 1):
        table.add_column(f"frame {number},\n{'with' if frame.history else 'no'} history", justify="right", no_wrap=True)
    table.add_column("allowed", justify="right", no_wrap=True)
    part = ""
    for checks in zip(*(frame.checks for frame in compared.frames), strict=True):
        layer = _layer(checks[0])
        group = layer.partition(",")[0]
        if part and group != part and {group.split()[0], part.split(maxsplit=1)[0]} & {"encoder", "decoder"}:
            table.add_section()
        part = group
        table.add_row(layer, *map(_cell, checks), _allowed(checks))
    return table


def _layer(check: Check) -> str:
    return check.what.partition(": ")[0]  # what follows says what is wrong with its shape, or who lacks it


def _allowed(checks: tuple[Check, ...]) -> str:
    shares = [check.tolerance.partition(" ")[0] for check in checks if check.tolerance != ABSENT]
    return f"{float(shares[0]):.1e}" if shares else ""


def _cell(check: Check) -> Text:
    if check.ok:
        return Text(_share(check.worst_rel))
    words = (
        "shape" if check.worst_rel == math.inf else "absent" if check.tolerance == ABSENT else f"{check.worst_rel:.1e}"
    )
    return Text(f"FAIL {words}", style="bold red")


def _share(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def _verdict(compared: Compared, told: Mapping[str, str]) -> list[Text]:
    checks, frames = compared.checks, len(compared.frames)
    bad = [(number, check) for number, frame in enumerate(compared.frames, 1) for check in frame.checks if not check.ok]
    if not bad:
        where = "both frames" if frames == 2 else "the one frame"
        worst = ", ".join(
            f"{words} {_share(max(found))}" for words, names in GROUPS if (found := _shares(checks, names))
        )
        return [
            Text(""),
            Text(f"SAME: all {len(checks)} layers of {where} agree", style="bold green"),
            Text(f"at most: {worst}"),
        ]
    number, first = bad[0]
    lines = [
        Text(""),
        Text(
            f"DIFFERENT: {len(bad)} of {len(checks)} layers, the first in frame {number}: {first.what}",
            style="bold red",
        ),
    ]
    if 0 < first.worst_abs < math.inf:
        lines.append(
            Text(
                f"off by {first.worst_abs:.2e}, {first.worst_rel:.2e} of its largest value (allowed: {first.tolerance})"
            )
        )
    if not first.what.startswith(BEFORE_QUIRKS):
        other = OTHER_QUIRKS[told["quirks"]]
        lines.append(
            Text(f"is the checkout of another age than the recipe's quirks ({told['quirks']})? --quirks {other}")
        )
    return lines


def _shares(checks: tuple[Check, ...], names: tuple[str, ...]) -> list[float]:
    return [check.worst_rel for check in checks if check.what.startswith(names)]
