"""Where losses go: a CSV that a spreadsheet opens and TensorBoard curves, both cut back when a run resumes."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING

from torch.utils.tensorboard import SummaryWriter

from repro.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

LOSSES = "losses.csv"


class LossLog:
    """Appends one row a logged iteration to `losses.csv` and to TensorBoard events under `tensorboard/`."""

    def __init__(self, folder: Path, *, start: int) -> None:
        """Open the log in `folder`, forgetting rows from iteration `start` on: they will be written again."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LOSSES
        kept = [row for row in read_losses(self._path) if row["iteration"] < start]
        self._columns = list(kept[0]) if kept else []
        with replacing(self._path) as part, part.open("w", newline="", encoding="utf-8") as file:
            if kept:
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows(kept)
        self._file = self._path.open("a", newline="", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def write(self, iteration: int, values: Mapping[str, float]) -> None:
        """Log `values` at `iteration`; the first row fixes the columns."""
        row = {"iteration": float(iteration), **values}
        writer = csv.DictWriter(self._file, self._columns or list(row))
        if not self._columns:
            self._columns = list(row)
            writer.writeheader()
        writer.writerow({name: f"{value:.9g}" for name, value in row.items()})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f"train/{name}", value, iteration)


def read_losses(path: Path) -> list[dict[str, float]]:
    """Return the rows of a loss CSV; a last line cut short by a crash is left out, a missing file has no rows."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = itertools.takewhile(lambda row: all(row.values()), rows)
    return [{name: float(value) for name, value in row.items()} for row in whole]
