"""`python -m docs.drawings [FOLDER]` draws every picture of the pages anew, by default into docs/drawings/pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from docs.drawings.bevformer import spatial_cross_attention, temporal_memory, temporal_self_attention
from docs.drawings.canvas import svg_of, with_style
from docs.drawings.detr import deformable_attention, iterative_refinement, two_stage
from repro.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

PICTURES = Path(__file__).parent / "pictures"
DRAWINGS: dict[str, Callable[[], Figure]] = {
    "deformable_attention": deformable_attention,
    "temporal_self_attention": temporal_self_attention,
    "spatial_cross_attention": spatial_cross_attention,
    "temporal_memory": temporal_memory,
    "iterative_refinement": iterative_refinement,
    "two_stage": two_stage,
}


def drawn(name: str) -> str:
    """Return the SVG text of the drawing called `name`."""
    with mpl.rc_context(with_style()):
        return svg_of(DRAWINGS[name]())


def main(folder: Path) -> None:
    """Write every drawing into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DRAWINGS:
        write_text(folder / f"{name}.svg", drawn(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
