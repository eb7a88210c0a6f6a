"""What a recipe needs of a machine, as dated rows. Judging machines is for rules and `advise.py`.

Sources: the table in the authors' README (GPU memory of one GPU in training, one sample each, fp32, as nvidia-smi shows
it); threads (24 GB cards cannot train base: BEVFormer issue 266); sizes of the archives on the data set's own page.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11"
MIB = 1 << 20
GB = 10**9


@dataclass(frozen=True, slots=True)
class Need:
    """GPU memory that training takes, in bytes, and the data set it is for."""

    recipe: str
    training: int
    data: str = "nuscenes"


NEEDS = (
    Need("bevformer_tiny", 6500 * MIB),
    Need("bevformer_small", 10500 * MIB),
    Need("bevformer_base", 28500 * MIB),
)
ROOM_FOR_NUSCENES = 400 * GB  # trainval: about 300 GB of archives' contents, and what is unpacked one by one
HALF_PRECISION = ("_fp16", "_bf16")


def need_of(recipe: str) -> Need | None:
    """Return the row of a recipe, None where the table has none; half precision needs less and is not in it."""
    return next((row for row in NEEDS if row.recipe == recipe), None)


def smaller(memory: int) -> str | None:
    """Return the largest recipe that trains in this much GPU memory, None where none does."""
    fitting = [row for row in NEEDS if row.training <= memory]
    return fitting[-1].recipe if fitting else None
