"""Recipes: what loads, and what each mistake is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from repro.recipe import RecipeError, available, load_any_recipe, load_detr_recipe, load_recipe
from repro.recipe.load import LARGEST_RECIPE, RECIPES, parse_recipe

if TYPE_CHECKING:
    from pathlib import Path

TINY = (RECIPES / "bevformer_tiny.toml").read_text(encoding="utf-8")


def message_for(old: str, new: str) -> str:
    assert old in TINY
    with pytest.raises(RecipeError) as caught:
        parse_recipe(TINY.replace(old, new, 1).encode(), "recipes/mine.toml")
    return str(caught.value)


@pytest.mark.parametrize("name", available())
def test_every_recipe_in_the_folder_loads(name: str) -> None:
    assert load_any_recipe(name).name == name


def test_tiny_holds_the_numbers_of_the_specification() -> None:
    tiny = load_recipe("bevformer_tiny")
    assert tiny.images.resized == (450, 800)
    assert tiny.images.padded == (480, 800)
    assert tiny.feature_sizes == ((15, 25),)
    assert (tiny.model.encoder.layers, tiny.model.decoder.layers, tiny.data.queue_length) == (3, 6, 3)
    assert (tiny.expected.nds, tiny.expected.map) == (0.354, 0.252)


def test_deformable_detr_holds_the_numbers_of_the_specification() -> None:
    plain = load_detr_recipe("deformable_detr")
    assert (plain.images.short_side, plain.images.long_side) == (800, 1333)
    assert (plain.model.encoder.layers, plain.model.decoder.layers, plain.model.decoder.queries) == (6, 6, 300)
    assert (plain.data.classes, plain.optimizer.clip_norm, plain.schedule.milestones) == (80, 0.1, (40,))
    published = {
        name: (recipe.model.refine, recipe.model.two_stage, recipe.expected.box_ap)
        for name in ("deformable_detr", "deformable_detr_refine", "deformable_detr_twostage")
        for recipe in [load_detr_recipe(name)]
    }
    assert list(published.values()) == [(False, False, 0.445), (True, False, 0.461), (True, True, 0.468)]


@pytest.mark.parametrize("variant", ["", "_refine", "_twostage"])
def test_the_original_repository_differs_from_mmdet_where_the_specification_says(variant: str) -> None:
    mmdet, original = (load_detr_recipe(f"deformable_detr{variant}{end}") for end in ("", "_original"))
    tables = {name: (getattr(mmdet, name), getattr(original, name)) for name in type(mmdet).model_fields}
    different = {
        f"{name}.{key}"
        for name, (one, other) in tables.items()
        if isinstance(one, BaseModel)
        for key, value in one
        if value != getattr(other, key)
    }
    assert different - {"expected.box_ap", "expected.source"} == {
        "data.labels",
        "data.smallest_side",
        "images.resize",
        "augment.crop",
        "model.neck",
        "coder.clip",
    }
    assert original.data.classes == 91


def test_the_recipe_with_less_memory_trains_the_same_model() -> None:
    plain, small = load_detr_recipe("deformable_detr"), load_detr_recipe("deformable_detr_rtx")
    backbone = small.model.backbone.model_copy(update={"activation_checkpointing": False})
    model = small.model.model_copy(update={"activation_checkpointing": False, "backbone": backbone})
    assert model == plain.model
    assert (small.optimizer, small.schedule, small.losses) == (plain.optimizer, plain.schedule, plain.losses)
    assert small.train.precision == "bf16-mixed"


def test_the_architecture_chooses_the_schema() -> None:
    assert 'expected "bevformer" or "deformable_detr"; did you mean "deformable_detr"?' in message_for(
        'architecture = "bevformer"', 'architecture = "deformable_dtr"'
    )
    assert '[data]: "dataset" is "nuscenes"; expected \'coco\'' in message_for(
        'architecture = "bevformer"', 'architecture = "deformable_detr"'
    )


def test_a_recipe_of_the_other_model_is_answered_with_the_recipes_that_fit() -> None:
    with pytest.raises(RecipeError, match=r"one of Deformable DETR; expected one of BEVFormer: bevformer_.+nano, bevf"):
        load_recipe("deformable_detr")
    with pytest.raises(RecipeError, match=r"one of BEVFormer; expected one of Deformable DETR: deformable_detr, def"):
        load_detr_recipe("bevformer_tiny")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("two_stage = false", "two_stage = true", "two_stage = true needs refine = true"),
        ("norm_groups = 32", "norm_groups = 48", "embed_dims (256) must be a multiple of neck.norm_groups (48)"),
        ("out_channels = 256", "out_channels = 128", "neck.out_channels (128) must equal embed_dims (256)"),
        ("embed_dims = 256", "embed_dims = 250", "embed_dims (250) must be a multiple of heads (8)"),
        ("heads = 8", "heads = 3", "embed_dims (256) must be a multiple of heads (3)"),
        ("num_outs = 4", "num_outs = 2", "neck.num_outs (2) must cover backbone.out_stages [1, 2, 3]"),
        ("milestones = [40]", "milestone = [40]", 'unknown key "milestone"; did you mean "milestones"?'),
        ("clip = true", "clip = 1", '[coder]: "clip" is 1; expected true or false'),
        ("flip = 0.5", "flip = 1.5", '[augment]: "flip" is 1.5; expected less than or equal to 1'),
    ],
)
def test_a_wrong_value_of_deformable_detr_is_answered_too(old: str, new: str, words: str) -> None:
    text = (RECIPES / "deformable_detr.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.replace(old, new, 1).encode(), "recipes/mine.toml")
    assert words in str(caught.value)


def test_odd_widths_that_have_no_sine_and_cosine_are_refused() -> None:
    text = (RECIPES / "deformable_detr.toml").read_text(encoding="utf-8")
    for old, new in (("embed_dims = 256", "embed_dims = 6"), ("heads = 8", "heads = 3")):
        text = text.replace(old, new)
    with pytest.raises(RecipeError, match=r"embed_dims \(6\) must be a multiple of 4"):
        parse_recipe(text.encode(), "mine.toml")


def test_released_quirks_change_the_two_flags_of_the_published_checkpoints() -> None:
    head = load_recipe("bevformer_tiny").model.quirks
    changed = {key for key, value in head.released() if value != getattr(head, key)}
    assert changed == {"shift_current_ref", "broken_history"}


def test_a_misspelt_key_is_answered_with_the_key_that_was_meant() -> None:
    text = message_for("epochs = 24", "epoch = 24")
    assert 'recipes/mine.toml: [schedule]: unknown key "epoch"; did you mean "epochs"?' in text
    assert 'recipes/mine.toml: [schedule]: missing key "epochs"' in text


def test_a_misspelt_table_is_answered_with_the_table_that_was_meant() -> None:
    assert 'unknown key "macher"; did you mean "matcher"?' in message_for("[matcher]", "[macher]")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lr = 2e-4", 'lr = "2e-4"', '[optimizer]: "lr" is "2e-4"; expected a number'),
        ("seed = 0", "seed = -1", '[train]: "seed" is -1; expected greater than or equal to 0'),
        ("epochs = 24", "epochs = 1.5", '[schedule]: "epochs" is 1.5; expected a whole number'),
        ("to_rgb = true", 'to_rgb = "yes"', '[images]: "to_rgb" is "yes"; expected true or false'),
        ("scale = 0.5", "scale = [0.5]", '[images]: "scale" is [0.5]; expected a number'),
        ('title = "BEV', 'title = 3 # "', '"title" is 3; expected text in quotes'),
        ('"pytorch"', '"torch"', "[model.backbone]: \"style\" is \"torch\"; expected 'pytorch' or 'caffe'"),
        ("out_stages = [3]", "out_stages = 3", '[model.backbone]: "out_stages" is 3; expected a list in brackets'),
        (
            "out_stages = [3]",
            "out_stages = [4]",
            "out_stages must be ascending stage numbers out of 0, 1, 2, 3, got [4]",
        ),
        ("out_stages = [3]", "out_stages = []", "out_stages must name at least one stage"),
        ("out_stages = [3]", "out_stages = [2, 3]", "neck.num_outs (1) must cover backbone.out_stages [2, 3]"),
        ("heads = 8", "heads = 7", "[model]: embed_dims (256) must be a multiple of heads (7)"),
        ("out_channels = 256", "out_channels = 128", "neck.out_channels (128) must equal embed_dims (256)"),
        ("level_embeddings = 4", "level_embeddings = 0", '"level_embeddings" is 0; expected greater than 0'),
        ("num_outs = 1", "num_outs = 5", "level_embeddings (4) must cover neck.num_outs (5)"),
        ("spatial_points = 8", "spatial_points = 6", "spatial_points (6) must be a multiple of pillar_points (4)"),
        ('"car", "truck"', '"truck", "car"', "classes must be the ten nuScenes detection classes in label order"),
        ('"CAM_FRONT", ', "", "cameras must be, in this order"),
        ("[data]", "[data", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_expected(old: str, new: str, words: str) -> None:
    assert words in message_for(old, new)


def test_all_mistakes_are_reported_at_once() -> None:
    text = TINY.replace("seed = 0", "sed = 0").replace("heads = 8", 'heads = "8"')
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.encode(), "mine.toml")
    assert 'unknown key "sed"' in str(caught.value)
    assert '"heads" is "8"' in str(caught.value)


def test_an_unknown_recipe_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(RecipeError, match=r'no recipe is called "bevformer_tny"; did you mean "bevformer_tiny"\?'):
        load_recipe("bevformer_tny")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine\.toml: no such file; `invoke recipes` lists"):
        load_recipe(str(tmp_path / "mine.toml"))


def test_a_recipe_must_carry_the_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(TINY, encoding="utf-8")
    with pytest.raises(RecipeError, match=r'name = "bevformer_tiny", but the file is called other\.toml'):
        load_recipe(str(tmp_path / "other.toml"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"not UTF-8 text \(byte 0\)"):
        load_recipe(str(tmp_path / "x.toml"))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "x.toml").open("wb") as file:
        file.truncate(LARGEST_RECIPE + 1)
    with pytest.raises(RecipeError, match="a recipe is at most"):
        load_recipe(str(tmp_path / "x.toml"))


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_crash(text: bytes) -> None:
    with pytest.raises(RecipeError):
        parse_recipe(text, "fuzz.toml")


@given(st.sampled_from(TINY.splitlines()), st.text(max_size=20))
def test_no_changed_line_makes_the_reader_crash(line: str, junk: str) -> None:
    try:
        parse_recipe(TINY.replace(line, junk, 1).encode(errors="surrogatepass"), "fuzz.toml")
    except RecipeError as error:
        assert str(error).startswith("fuzz.toml:")  # noqa: PT017 — most junk fails, some does not
