"""What two recipes disagree on, key by key. Judges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from repro.recipe.load import AnyRecipe

Differences = dict[str, tuple[Any, Any]]


def differences(one: AnyRecipe, other: AnyRecipe) -> Differences:
    """Return the keys that differ, as a file would spell them ("model.bev.rows"), each with both values, in file order.

    A table that only one of them has counts as one key, None on the other side.
    """
    return _between(one, other, "")


def _between(one: BaseModel, other: BaseModel, place: str) -> Differences:
    found: Differences = {}
    for key in type(one).model_fields:
        mine, theirs = getattr(one, key), getattr(other, key)
        if isinstance(mine, BaseModel) and isinstance(theirs, BaseModel):
            found |= _between(mine, theirs, f"{place}{key}.")
        elif mine != theirs:
            found[f"{place}{key}"] = (mine, theirs)
    return found
