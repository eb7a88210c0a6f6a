"""What sets the sizes apart: each recipe differs from tiny (and static from base) in exactly the keys of spec §A.1."""

from __future__ import annotations

import pytest

from repro.recipe import differences, load_recipe
from repro.recipe.load import RECIPES, RecipeError, parse_recipe

NAMED = {"name", "title", "expected.nds", "expected.map", "expected.source"}
IMAGES = {
    "images.scale": (0.5, 0.8),
    "images.mean": ((123.675, 116.28, 103.53), (103.53, 116.28, 123.675)),
    "images.std": ((58.395, 57.12, 57.375), (1.0, 1.0, 1.0)),
    "images.to_rgb": (True, False),
}
RESNET_101 = {
    "model.backbone.depth": (50, 101),
    "model.backbone.style": ("pytorch", "caffe"),
    "model.backbone.dcn_stages": ((), (2, 3)),
    "model.backbone.pretrained": ("torchvision", "fcos3d"),
}
SMALL = IMAGES | RESNET_101
SMALL |= {
    "model.backbone.activation_checkpointing": (False, True),
    "model.bev.rows": (50, 150),
    "model.bev.columns": (50, 150),
}
BASE = IMAGES | RESNET_101 | {"images.scale": (0.5, 1.0), "data.queue_length": (3, 4)}
BASE |= {
    "model.backbone.out_stages": ((3,), (1, 2, 3)),
    "model.neck.num_outs": (1, 4),
    "model.bev.rows": (50, 200),
    "model.bev.columns": (50, 200),
    "model.encoder.layers": (3, 6),
}
HALF = {
    "optimizer.lr": (2e-4, 2.8e-4),
    "train.batch_per_gpu": (1, 2),
    "train.workers": (4, 8),
    "train.precision": ("32-true", "16-mixed"),
    "train.loss_scale": (None, 512.0),
}
STATIC = {"data.queue_length": (4, 1), "model.use_history": (True, False), "expected.tolerance": (0.003, 0.01)}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("tiny", "small", SMALL),
        ("tiny", "base", BASE),
        ("tiny", "tiny_fp16", HALF),
        ("base", "static", STATIC),
    ],
)
def test_recipes_differ_in_exactly_these_keys(one: str, other: str, expected: dict[str, object]) -> None:
    found = differences(load_recipe(f"bevformer_{one}"), load_recipe(f"bevformer_{other}"))
    print(*(f"{key}: {mine} → {theirs}" for key, (mine, theirs) in found.items()), sep="\n")  # noqa: T201 — pytest -s
    assert {key: pair for key, pair in found.items() if key not in NAMED} == expected
    assert {"name", "title", "expected.source"} <= set(found)


def test_a_recipe_does_not_differ_from_itself() -> None:
    assert differences(load_recipe("bevformer_base"), load_recipe("bevformer_base")) == {}


def test_a_table_that_one_recipe_lacks_is_one_key() -> None:
    found = differences(load_recipe("bevformer_nano"), load_recipe("bevformer_tiny"))
    assert found["augment.grid_mask"][0] is None
    assert found["augment.grid_mask"][1].probability == 0.7


def test_feature_maps_and_published_numbers_are_those_of_the_specification() -> None:
    small, base = load_recipe("bevformer_small"), load_recipe("bevformer_base")
    assert (small.images.padded, small.feature_sizes) == ((736, 1280), ((23, 40),))
    assert base.images.padded == (928, 1600)
    assert base.feature_sizes == ((116, 200), (58, 100), (29, 50), (15, 25))
    published = {
        name: (load_recipe(name).expected.nds, load_recipe(name).expected.map)
        for name in ("bevformer_small", "bevformer_base", "bevformer_tiny_fp16")
    }
    assert published == {
        "bevformer_small": (0.479, 0.37),
        "bevformer_base": (0.517, 0.416),
        "bevformer_tiny_fp16": (0.359, 0.257),
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("loss_scale = 512.0\n", "", 'precision = "16-mixed" needs a loss_scale (upstream: 512.0)'),
        ('precision = "16-mixed"', 'precision = "bf16-mixed"', 'precision = "bf16-mixed" takes no loss_scale'),
        ("loss_scale = 512.0", "loss_scale = 0", '[train]: "loss_scale" is 0; expected greater than 0'),
    ],
)
def test_float16_says_its_loss_scale_and_nothing_else_does(old: str, new: str, words: str) -> None:
    text = (RECIPES / "bevformer_tiny_fp16.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.replace(old, new, 1).encode(), "mine.toml")
    assert words in str(caught.value)
