"""The index bench measures what it says: workers that really share, and tables that both readers accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.bench.index_speed import private_of_workers
from repro.bench.many_tables import write_many_tables
from repro.data import open_nuscenes
from repro.recipe.schema import CAMERAS

if TYPE_CHECKING:
    from pathlib import Path


def test_workers_share_an_index_instead_of_holding_it_each(tmp_path: Path) -> None:
    write_many_tables(tmp_path / "root", samples=600, sweeps=0)
    index = open_nuscenes(tmp_path / "root", "v1.0-trainval", tmp_path, channels=CAMERAS)
    assert len(index) == 600
    size = index.path.stat().st_size / 2**20
    private = private_of_workers(index.path, 2)
    assert len(private) == 2
    assert max(private) < size / 2, f"an index of {size:.1f} MiB"
