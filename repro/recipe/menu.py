"""`recipes` as typed: all of them with their published numbers, or one as read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from repro.recipe import available, load_any_recipe

if TYPE_CHECKING:
    import argparse

    from repro.recipe import AnyRecipe


def recipes(words: argparse.Namespace) -> int:
    """Print the list, or the recipe that is named, and return the exit code. Raises RecipeError."""
    if words.name:
        recipe = load_any_recipe(words.name)
        text = recipe.model_dump_json(indent=1) if words.json else _page(recipe)
        sys.stdout.write(text + "\n")
        return 0
    listed = [load_any_recipe(name) for name in available()]
    if words.json:
        rows = [{"name": r.name, "title": r.title, **_published(r)} for r in listed]
        sys.stdout.write(json.dumps({"schema_version": 1, "recipes": rows}, indent=1) + "\n")
        return 0
    table = Table("recipe", "what it is", "published", "±", box=None)
    for r in listed:
        words_of = {"nds": "NDS", "map": "mAP", "box_ap": "box AP"}
        figures = [f"{words_of[key]} {value:.3f}" for key, value in _published(r).items() if value is not None]
        table.add_row(r.name, r.title, ", ".join(figures) or "–", f"{r.expected.tolerance:.3f}")
    Console().print(table)
    return 0


def _published(recipe: AnyRecipe) -> dict[str, float | None]:
    """Return the published figures of a recipe by key; None where nothing was published."""
    expected = recipe.expected.model_dump()
    return {key: expected[key] for key in ("nds", "map", "box_ap") if key in expected}


def _page(recipe: AnyRecipe) -> str:
    """Return the recipe as indented `key = value` lines, every key present."""
    lines: list[str] = []

    def add(table: dict[str, object], depth: int) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                lines.append(f"{'  ' * depth}[{key}]")
                add(value, depth + 1)
            else:
                lines.append(f"{'  ' * depth}{key} = {json.dumps(value)}")

    add(recipe.model_dump(mode="json"), 0)
    return "\n".join(lines)
