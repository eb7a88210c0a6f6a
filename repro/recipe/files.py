"""Which weight files belong to a recipe and where they come from (spec §H.2); nothing is fetched or read here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from repro.recipe.tables import Closed

FOLDER = Path("data/weights")  # where weight files lie unless another folder is named
TABLE = Path(__file__).resolve().parents[2] / "recipes" / "weights.json"


class WeightFile(Closed):
    """One published file: the trained model, or what its training starts from."""

    role: Literal["released", "initial"]
    file: Annotated[str, Field(pattern=r"^[\w.-]+\.pth$")]
    sha256: Annotated[
        str, Field(pattern="^[0-9a-f]{0,64}$", description="whole, its first digits, or empty: not pinned")
    ]
    urls: Annotated[list[str], Field(min_length=1)]

    def addresses(self, mirrors: tuple[str, ...] = ()) -> list[str]:
        """Return where to ask, in order: the file's name under each mirror, then the publisher's own address."""
        return [*(f"{mirror.rstrip('/')}/{self.file}" for mirror in mirrors), *self.urls]


def weight_files(recipe: str) -> list[WeightFile]:
    """Return the files of a recipe, none for one that was never published."""
    return TypeAdapter(dict[str, list[WeightFile]]).validate_json(TABLE.read_bytes()).get(recipe, [])
