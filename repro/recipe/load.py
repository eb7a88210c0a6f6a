"""From a TOML file to a recipe of either model, or one message naming every wrong key and what was probably meant."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from repro.recipe.deformable_detr import DetrRecipe
from repro.recipe.schema import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
AnyRecipe = Recipe | DetrRecipe
SCHEMAS: dict[str, type[AnyRecipe]] = {"bevformer": Recipe, "deformable_detr": DetrRecipe}  # by [model] architecture
MODELS = {"bevformer": "BEVFormer", "deformable_detr": "Deformable DETR"}
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


def available(folder: Path = RECIPES, *, architecture: str | None = None) -> tuple[str, ...]:
    """Return the names of the recipes in `folder`, sorted; of one `architecture` if that is given."""
    names = sorted(path.stem for path in folder.glob("*.toml"))
    return tuple(name for name in names if architecture in {None, load_any_recipe(name, folder).model.architecture})


def load_recipe(name: str, folder: Path = RECIPES) -> Recipe:
    """Return the BEVFormer recipe called `name`; as `load_any_recipe`, but one of another model is a RecipeError."""
    recipe = load_any_recipe(name, folder)
    if not isinstance(recipe, Recipe):
        raise _other_model(recipe, "bevformer", folder)
    return recipe


def load_detr_recipe(name: str, folder: Path = RECIPES) -> DetrRecipe:
    """Return the Deformable DETR recipe called `name`; one of another model is a RecipeError."""
    recipe = load_any_recipe(name, folder)
    if not isinstance(recipe, DetrRecipe):
        raise _other_model(recipe, "deformable_detr", folder)
    return recipe


def load_any_recipe(name: str, folder: Path = RECIPES) -> AnyRecipe:
    """Return the recipe called `name`, or read from the file `name` if that ends in `.toml`.

    `[model] architecture` says which schema holds. Raises RecipeError naming every problem at once.
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


def parse_recipe(text: bytes, where: str) -> AnyRecipe:
    """Read TOML `text`; `where` opens every message. Raises RecipeError."""
    try:
        table = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where}: not UTF-8 text (byte {error.start})") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid TOML: {error}") from error
    return recipe_of(table, where)


def recipe_of(table: dict[str, Any], where: str) -> AnyRecipe:
    """Return the recipe in a table of tables, as a run left it; `where` opens every message. Raises RecipeError."""
    schema = _schema_of(table, where)
    try:
        # By way of JSON: in its strict mode lists become tuples, but text never becomes a number.
        return schema.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        lines = [f"{where}: {_word(problem, schema)}" for problem in error.errors(include_url=False)]
        raise RecipeError("\n".join(lines)) from error


def _schema_of(table: dict[str, Any], where: str) -> type[AnyRecipe]:
    """Return the schema that `[model] architecture` asks for; a file without one is judged as BEVFormer's."""
    model = table.get("model")
    architecture = model.get("architecture", "bevformer") if isinstance(model, dict) else "bevformer"
    if not isinstance(architecture, str) or architecture not in SCHEMAS:
        guess = _did_you_mean(str(architecture), SCHEMAS)
        known = " or ".join(f'"{name}"' for name in SCHEMAS)
        seen = json.dumps(architecture, default=str)
        raise RecipeError(f'{where}: [model]: "architecture" is {seen}; expected {known}{guess}')
    return SCHEMAS[architecture]


def _other_model(recipe: AnyRecipe, wanted: str, folder: Path) -> RecipeError:
    names = ", ".join(available(folder, architecture=wanted))
    here = MODELS[recipe.model.architecture]
    return RecipeError(f'recipe "{recipe.name}" is one of {here}; expected one of {MODELS[wanted]}: {names}')


def _no_such_recipe(name: str, path: Path, known: Sequence[str]) -> str:
    if name.endswith(".toml"):
        return f"{path}: no such file; `invoke recipes` lists the recipes that come with bevready"
    guess = _did_you_mean(name, known)
    return f'no recipe is called "{name}"{guess}; there are {", ".join(known)} (`invoke recipes`)'


def _word(problem: ErrorDetails, schema: type[BaseModel]) -> str:
    """Say one problem: table, key, what was seen, what was expected."""
    *tables, key = [part for part in problem["loc"] if not _is_branch(part)] or ["recipe"]
    names = [str(part) for part in tables if isinstance(part, str)]
    place = f"[{'.'.join(names)}]: " if names else ""
    match problem["type"]:
        case "extra_forbidden":
            return f'{place}unknown key "{key}"{_did_you_mean(str(key), _keys_at(schema, names))}'
        case "missing":
            return f'{place}missing key "{key}"{_description_of(schema, names, str(key))}'
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


def _table_at(schema: type[BaseModel], names: Sequence[str]) -> type[BaseModel] | None:
    table = schema
    for name in names:
        field = table.model_fields.get(name)
        inner = [a for a in (field.annotation, *get_args(field.annotation)) if _is_table(a)] if field else []
        if not inner:
            return None
        table = inner[0]
    return table


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys_at(schema: type[BaseModel], names: Sequence[str]) -> tuple[str, ...]:
    table = _table_at(schema, names)
    return tuple(table.model_fields) if table else ()


def _description_of(schema: type[BaseModel], names: Sequence[str], key: str) -> str:
    table = _table_at(schema, names)
    field = table.model_fields.get(key) if table else None
    return f" ({field.description})" if field and field.description else ""


def _shortest(path: Path) -> Path:
    """Return `path` relative to the working folder when it lies inside, for messages."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
