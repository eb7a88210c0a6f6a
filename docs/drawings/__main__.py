"""`python -m docs.drawings [FOLDER]` draws the picture of every page anew, by default into docs/pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.drawings import DRAWINGS
from repro.atomic import write_text

PICTURES = Path(__file__).resolve().parents[1] / "pictures"


def main(folder: Path) -> None:
    """Write every drawing into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        write_text(folder / f"{name}.svg", draw().svg())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
