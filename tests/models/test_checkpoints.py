"""Files of upstream's go in and come out again; one of another configuration is told where it belongs."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import (
    Traits,
    differences,
    export_upstream,
    load_checkpoint,
    recipes_that_fit,
    traits_of,
    traits_of_recipe,
)
from repro.models.upstream_names import our_name
from repro.recipe import load_recipe
from repro.weights import CheckpointError, fitted, load_what_fits, read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


@cache
def listed(shared_dir: Path, size: str) -> dict[str, Tensor]:
    """Return tensors of upstream's names and shapes that take no memory."""
    rows = json.loads((shared_dir / f"golden/A/state_dict/{size}.json").read_text())
    return {
        key: torch.zeros((), dtype=getattr(torch, kind.removeprefix("torch."))).expand(shape)
        for key, shape, kind in rows
    }


def ours(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for key, tensor in tensors.items() if (name := our_name(key)) is not None}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("tiny", Traits("ResNet-50", 1, (50, 50), 256, 3, 6, 900)),
        ("small", Traits("ResNet-101 with 2 deformable stages", 1, (150, 150), 256, 3, 6, 900)),
        ("base", Traits("ResNet-101 with 2 deformable stages", 4, (200, 200), 256, 6, 6, 900)),
    ],
)
def test_upstreams_sizes_are_told_apart_by_their_shapes(shared_dir: Path, size: str, expected: Traits) -> None:
    assert traits_of(ours(listed(shared_dir, size))) == expected


@pytest.mark.shared
def test_tinys_tensors_fit_the_recipe_tiny(shared_dir: Path) -> None:
    assert "bevformer_tiny" in recipes_that_fit(ours(listed(shared_dir, "tiny")))


@pytest.mark.parametrize("name", ["bevformer_tiny", "bevformer_nano"])
def test_a_recipe_has_the_traits_of_its_own_model(name: str) -> None:
    recipe = load_recipe(name)
    with torch.device("meta"):
        state = build_bevformer(recipe).state_dict()
    assert traits_of(state) == traits_of_recipe(recipe)
    assert differences(traits_of(state), traits_of_recipe(recipe)) == []


@pytest.mark.shared
def test_base_under_the_recipe_tiny_is_refused_with_every_difference(shared_dir: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": listed(shared_dir, "base")}, tmp_path / "b.pth")
    recipe = load_recipe("bevformer_tiny")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(build_bevformer(recipe), recipe, tmp_path / "b.pth")
    text = str(caught.value)
    assert "bev 200×200 in the file, 50×50 in the recipe" in text
    assert "feature levels 4 in the file, 1 in the recipe" in text
    assert "encoder layers 6 in the file, 3 in the recipe" in text


def test_an_exported_file_loads_again_bit_by_bit_under_upstreams_names(tmp_path: Path) -> None:
    recipe = load_recipe("bevformer_nano")
    model = build_bevformer(recipe)
    count = export_upstream(model, recipe, tmp_path / "up.pth")
    tensors = read_checkpoint(tmp_path / "up.pth")
    assert len(tensors) == count == len(model.state_dict()) + 1
    assert all(key.startswith(("img_backbone.", "img_neck.", "pts_bbox_head.")) for key in tensors)
    assert tensors["pts_bbox_head.code_weights"].tolist() == pytest.approx(recipe.losses.code_weights)
    other = build_bevformer(recipe)
    fit = load_checkpoint(other, recipe, tmp_path / "up.pth")
    assert fit.dropped == ("pts_bbox_head.code_weights",)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_nano_file_under_the_recipe_tiny_is_told_its_own_recipe(tmp_path: Path) -> None:
    nano, tiny = load_recipe("bevformer_nano"), load_recipe("bevformer_tiny")
    export_upstream(build_bevformer(nano), nano, tmp_path / "n.pth")
    with pytest.raises(
        CheckpointError, match=r"bev 25×25 in the file, 50×50 in the recipe.*it fits --recipe bevformer_nano"
    ):
        load_checkpoint(build_bevformer(tiny), tiny, tmp_path / "n.pth")


def test_the_report_names_every_key_that_is_not_simply_the_same() -> None:
    model = torch.nn.Linear(2, 3)
    tensors = {"w": torch.zeros(3, 2), "odd": torch.zeros(1), "gone": torch.zeros(1)}
    names = {"w": "weight", "gone": None}
    _, fit = fitted(model, tensors, our_name=names.__getitem__)
    lines = fit.text().split("\n")
    assert lines[0] == "1 tensors fit, 1 renamed, 1 dropped, 1 missing, 1 unexpected, 0 of another shape"
    assert [line.split()[1:] for line in lines[1:]] == [["w", "→", "weight"], ["gone"], ["bias"], ["odd"]]


def test_what_fits_is_loaded_and_the_rest_is_left_alone() -> None:
    model = torch.nn.Linear(2, 3)
    bias = model.bias.detach().clone()
    fit = load_what_fits(model, {"weight": torch.ones(3, 2), "bias": torch.ones(4), "head": torch.ones(1)})
    assert torch.equal(model.weight, torch.ones(3, 2))
    assert torch.equal(model.bias, bias)
    assert (fit.loaded, fit.other_shape, fit.unexpected) == (1, (("bias", (4,), (3,)),), ("head",))


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.int64(24), np.bool_(True)])
def test_numpy_numbers_in_the_notes_of_an_old_file_are_no_obstacle(tmp_path: Path, number: np.generic) -> None:
    meta = {"mmcv_version": "1.4.0", "epoch": 24, "CLASSES": ("car", "truck"), "time": number}
    torch.save({"meta": meta, "state_dict": {"w": torch.ones(2)}}, tmp_path / "old.pth")
    data = (tmp_path / "old.pth").read_bytes()
    assert torch.equal(read_checkpoint(tmp_path / "old.pth")["w"], torch.ones(2))
    assert b"multiarray" in data
