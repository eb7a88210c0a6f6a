"""The names of upstream's tensors and ours, both ways, for every size that there is a list of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from repro.models.bevformer import build_bevformer
from repro.models.upstream_names import DROPPED, modern_name, our_name, upstream_name, upstream_names
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.shared
@pytest.mark.parametrize(("size", "tensors"), [("tiny", 643), ("small", 1001), ("base", 1089)])
def test_every_upstream_tensor_is_mapped_or_dropped_with_a_reason(shared_dir: Path, size: str, tensors: int) -> None:
    keys = [key for key, _, _ in json.loads((shared_dir / f"golden/A/state_dict/{size}.json").read_text())]
    mapped = {key: our_name(key) for key in keys}
    assert len(keys) == tensors
    assert {key for key, name in mapped.items() if name is None} == set(DROPPED)
    kept = [name for name in mapped.values() if name is not None]
    assert len(set(kept)) == len(kept)


@pytest.mark.shared
def test_tiny_maps_both_ways_with_equal_shapes(shared_dir: Path) -> None:
    listed = json.loads((shared_dir / "golden/A/state_dict/tiny.json").read_text())
    shapes = {key: shape for key, shape, _ in listed}
    ours = build_bevformer(load_recipe("bevformer_tiny")).state_dict()
    back = upstream_names(ours, shapes)
    assert set(back) == set(ours)
    assert all(our_name(theirs) == name for name, theirs in back.items())
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == {n: shapes[t] for n, t in back.items()}


def test_a_key_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="pts_voxel_encoder"):
        our_name("pts_voxel_encoder.weight")


def test_every_dropped_key_says_why() -> None:
    assert all(len(reason) > 20 for reason in DROPPED.values())


@pytest.mark.shared
@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_every_kept_upstream_key_comes_back_from_ours(shared_dir: Path, size: str) -> None:
    keys = [key for key, _, _ in json.loads((shared_dir / f"golden/A/state_dict/{size}.json").read_text())]
    ours = {key: name for key in keys if (name := our_name(key)) is not None}
    assert {upstream_name(name): name for name in ours.values()} == ours
    assert len(ours) == len(keys) - len(DROPPED)


def test_old_names_of_deformable_offsets_mean_the_new_ones() -> None:
    new = "img_backbone.layer3.4.conv2.conv_offset.bias"
    assert our_name("img_backbone.layer3.4.conv2_offset.bias") == our_name(new)
    assert upstream_name("backbone.layer3.4.conv2.conv_offset.bias") == new
    assert modern_name("backbone.layer3.4.conv2_offset.weight") == "img_backbone.layer3.4.conv2.conv_offset.weight"
    assert modern_name("neck.lateral_convs.0.conv.bias") == "img_neck.lateral_convs.0.conv.bias"


def test_a_key_of_ours_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"voxels\.weight"):
        upstream_name("voxels.weight")
