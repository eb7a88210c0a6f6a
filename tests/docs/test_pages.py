"""The pages of docs/ keep their promises: links lead somewhere, symbols exist, numbers are true, examples run."""

from __future__ import annotations

import ast
import doctest
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from docs.drawings import spatial_cross_attention, temporal_memory, two_stage
from repro.models.deformable_detr.model import build_deformable_detr
from repro.models.deformable_detr.proposals import anchor_logits
from repro.recipe import load_any_recipe, load_detr_recipe, load_recipe
from tests.docs.pages import DOCS, GUIDES, IDEAS, INDEX, ROOT, blocks, links, tables, text_of, words_once

PAGES = [INDEX, *IDEAS]


def by_name(path: Path) -> str:
    return path.stem


def symbols(path: Path) -> set[str]:
    """Return the functions, classes and methods of a source file, methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def number_rows(page: Path) -> list[tuple[str, str, str]]:
    """Return (recipe, key, number) of every cell of a page's tables whose second column is called `key`."""
    return [
        (recipe.strip("`"), row[1].strip("`"), cell)
        for table in tables(text_of(page))
        if table[0][1] == "key"
        for row in table[1:]
        for recipe, cell in zip(table[0][2:], row[2:], strict=True)
    ]


def of_recipe(name: str, key: str) -> Any:
    value: Any = load_any_recipe(name)
    for part in key.split("."):
        value = getattr(value, part)
    return value


def test_every_idea_has_a_page_and_the_index_leads_to_it() -> None:
    assert {target for _, target in links(text_of(INDEX)) if target.endswith(".md")} == {
        *(page.name for page in IDEAS),
        *GUIDES,
        "decisions.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_to_a_file_of_the_checkout(page: Path) -> None:
    for words, target in links(text_of(page)):
        if target.startswith("https://arxiv.org/abs/"):
            continue
        assert (page.parent / target).resolve().is_relative_to(ROOT), f"[{words}]({target}) leads out of the checkout"
        assert (page.parent / target).is_file(), f"[{words}]({target}) leads nowhere"


@pytest.mark.parametrize("page", IDEAS, ids=by_name)
def test_every_pointer_to_the_code_names_a_symbol_that_stands_there(page: Path) -> None:
    pointers = [(words.strip("`"), target) for words, target in links(text_of(page)) if target.endswith(".py")]
    assert len(pointers) >= 4, "a page points to the lines it speaks of"
    for words, target in pointers:
        known = symbols((page.parent / target).resolve())
        assert words in known or words == Path(target).name, f"{target} has no {words}"


@pytest.mark.parametrize("page", IDEAS, ids=by_name)
def test_a_page_has_its_drawing_shapes_numbers_example_and_pointers(page: Path) -> None:
    text = text_of(page)
    assert f"](pictures/{page.stem}.svg)" in text
    assert f"(drawings/{page.stem}.py)" in text
    assert blocks(text, "math"), "no equation"
    for heading in ("## The", "## Shapes", "## Try it", "## Where to read"):
        assert f"\n{heading}" in text, f"no section {heading}"
    assert number_rows(page), "no table of numbers"


@pytest.mark.parametrize("page", IDEAS, ids=by_name)
def test_the_numbers_are_those_of_the_recipes(page: Path) -> None:
    for recipe, key, written in number_rows(page):
        first, *factors = key.split(" · ")
        value = of_recipe(recipe, first)
        for factor in factors:
            value *= of_recipe(recipe, factor)
        assert written == str(value), f"{page.name} says {written} for {key} of {recipe}, the recipe {value}"


@pytest.mark.parametrize("page", IDEAS, ids=by_name)
def test_the_lines_to_try_print_what_the_page_says(page: Path) -> None:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    examples = blocks(text_of(page), "python")
    assert examples
    for number, source in enumerate(examples):
        example = parser.get_doctest(source, {}, f"{page.name}[{number}]", str(page), 0)
        assert example.examples
        assert runner.run(example).failed == 0, f"python -m doctest shows what differs in {page.name}"


def test_the_tokens_of_deformable_detr_are_counted_by_its_backbone_and_neck() -> None:
    with torch.device("meta"):  # shapes without numbers
        model = build_deformable_detr(load_detr_recipe("deformable_detr"))
        levels = model.neck(model.backbone(torch.empty(1, 3, 800, 1333)))
    tokens = sum(level.shape[-2] * level.shape[-1] for level in levels)
    page = words_once(text_of(DOCS / "deformable_attention.md"))
    assert f"An image of 800 × 1333 pixels gives Deformable DETR {tokens:,} tokens on four levels" in page
    assert len(levels) == 4


def test_the_pairs_of_cells_and_cameras_are_counted_by_the_projection() -> None:
    view = spatial_cross_attention.seen_by_the_rig(load_recipe("bevformer_tiny"))
    hits = view.visible.any(-1)
    page = words_once(text_of(DOCS / "spatial_cross_attention.md"))
    assert f"there are {int(hits.sum())} pairs of a cell and a camera that sees it, of {hits.numel()}" in page
    assert f"{int(hits.sum()) / hits.shape[1]:.2f} cameras a cell" in page
    assert f"A camera sees {int(hits.sum(1).min())} to {int(hits.sum(1).max())} of the {hits.shape[1]} cells" in page


def test_the_way_between_two_centres_is_measured_on_the_map() -> None:
    apart = {}
    for name in ("bevformer_tiny", "bevformer_small", "bevformer_base"):
        bev, (middle, upstream) = load_recipe(name).model.bev, temporal_memory.centres(load_recipe(name).model)
        cells = 2 * math.sin(math.radians(temporal_memory.TURN) / 2) * math.dist(middle, upstream)
        apart[name] = (cells, cells * (bev.range[3] - bev.range[0]) / bev.columns)
    page = words_once(text_of(DOCS / "temporal_memory.md"))
    tiny, small = ("{:.1f} cells or {:.1f} m".format(*apart[f"bevformer_{size}"]) for size in ("tiny", "small"))
    assert f"For a turn of 4° it is {tiny} in tiny (panel 3), {small} in small, and nothing in base" in page
    assert apart["bevformer_base"] == (0, 0)


def test_the_wall_is_read_where_the_turned_history_holds_it() -> None:
    model = load_recipe("bevformer_tiny").model
    middle, _ = temporal_memory.centres(model)
    held = temporal_memory.turned(temporal_memory.marked(model, temporal_memory.wall()), middle).nonzero().flip(1) + 0.5
    away = torch.cdist(temporal_memory.places_read(model), held).min(1).values
    assert float(away.max()) < 1.0, "further than a cell from the wall"


def test_the_tokens_that_propose_are_counted_by_the_model() -> None:
    counts = anchor_logits(two_stage.padded_tokens())[0].isfinite().all(-1)
    page = words_once(text_of(DOCS / "two_stage.md"))
    assert f"In the drawing {int(counts.sum())} of {counts.numel()} tokens are left" in page
