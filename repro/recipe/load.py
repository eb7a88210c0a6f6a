"""From a TOML file to a `Recipe`, or one message that names every wrong key and what was probably meant."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from repro.recipe.schema import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
LARGEST_RECIPE = 1 << 20  # bytes; a recipe is a page of text
WORDS_FOR = {  # pydantic's error type → what the file should have held
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list in brackets",
    "model_type": "a table",
    "missing_argument": "a value",
}


class RecipeError(ValueError):
    """A recipe that does not exist or does not fit the schema; the message says what to type."""


def available(folder: Path = RECIPES) -> tuple[str, ...]:
    """Return the names of the recipes in `folder`, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load_recipe(name: str, folder: Path = RECIPES) -> Recipe:
    """Return the recipe called `name`, or read from the file `name` if that ends in `.toml`.

    Raises RecipeError naming every problem at once.
    """
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(_no_such_recipe(name, path, available(folder)))
    if path.stat().st_size > LARGEST_RECIPE:
        raise RecipeError(f"{path}: {path.stat().st_size} bytes; a recipe is at most {LARGEST_RECIPE}")
    recipe = parse_recipe(path.read_bytes(), str(_shortest(path)))
    if recipe.name != path.stem:
        raise RecipeError(
            f'{_shortest(path)}: name = "{recipe.name}", but the file is called {path.name}: make the two agree'
        )
    return recipe


def parse_recipe(text: bytes, where: str) -> Recipe:
    """Read TOML `text`; `where` opens every message. Raises RecipeError."""
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where}: not UTF-8 text (byte {error.start})") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid TOML: {error}") from error
    try:
        # By way of JSON: in its strict mode lists become tuples, but text never becomes a number.
        return Recipe.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        lines = [f"{where}: {_word(problem)}" for problem in error.errors(include_url=False)]
        raise RecipeError("\n".join(lines)) from error


def _no_such_recipe(name: str, path: Path, known: Sequence[str]) -> str:
    if name.endswith(".toml"):
        return f"{path}: no such file; `invoke recipes` lists the recipes that come with bevready"
    guess = _did_you_mean(name, known)
    return f'no recipe is called "{name}"{guess}; there are {", ".join(known)} (`invoke recipes`)'


def _word(problem: ErrorDetails) -> str:
    """Say one problem: table, key, what was seen, what was expected."""
    *tables, key = [part for part in problem["loc"] if not _is_branch(part)] or ["recipe"]
    names = [str(part) for part in tables if isinstance(part, str)]
    place = f"[{'.'.join(names)}]: " if names else ""
    match problem["type"]:
        case "extra_forbidden":
            return f'{place}unknown key "{key}"{_did_you_mean(str(key), _keys_at(names))}'
        case "missing":
            return f'{place}missing key "{key}"{_description_of(names, str(key))}'
        case "value_error":
            where = f"[{'.'.join((*names, str(key)))}]: " if problem["loc"] else ""
            return where + str(problem.get("ctx", {}).get("error", problem["msg"]))
        case kind:
            expected = WORDS_FOR.get(kind, problem["msg"].removeprefix("Input should be "))
            return f'{place}"{key}" is {json.dumps(problem["input"], default=str)}; expected {expected}'


def _is_branch(part: int | str) -> bool:
    """Tell pydantic's names of union branches, such as "literal['middle']", from keys of the file."""
    return isinstance(part, str) and ("[" in part or part in {"tuple", "float", "str", "int"})


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def _table_at(names: Sequence[str]) -> type[BaseModel] | None:
    table: type[BaseModel] = Recipe
    for name in names:
        field = table.model_fields.get(name)
        inner = [a for a in (field.annotation, *get_args(field.annotation)) if _is_table(a)] if field else []
        if not inner:
            return None
        table = inner[0]
    return table


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys_at(names: Sequence[str]) -> tuple[str, ...]:
    table = _table_at(names)
    return tuple(table.model_fields) if table else ()


def _description_of(names: Sequence[str], key: str) -> str:
    table = _table_at(names)
    field = table.model_fields.get(key) if table else None
    return f" ({field.description})" if field and field.description else ""


def _shortest(path: Path) -> Path:
    """Return `path` relative to the working folder when it lies inside, for messages."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
