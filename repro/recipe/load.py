"""From a TOML file to a `Recipe`, or one message that names every wrong key and what was probably meant."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from repro.recipe.schema import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
LARGEST_RECIPE = 1 << 20  # bytes; a recipe is a page of text
