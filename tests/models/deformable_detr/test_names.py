"""The names of both families' tensors, both ways, and checkpoints in their formats."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest
import torch

from repro.models.deformable_detr import DeformableDETR, build_deformable_detr
from repro.models.deformable_detr.checkpoints import export_detr, load_detr_checkpoint, recipes_that_fit
from repro.models.deformable_detr.names import our_name, upstream_state
from repro.recipe import load_detr_recipe
from repro.weights import CheckpointError, save_checkpoint
from tests.models.deformable_detr import tiny_detr
from tests.models.deformable_detr.tiny_detr import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

RECIPES = {"plain": "deformable_detr", "refine": "deformable_detr_refine", "two_stage": "deformable_detr_twostage"}
VARIANT = pytest.mark.parametrize("variant", list(RECIPES))


def without_memory(recipe: str) -> DeformableDETR:
    with torch.device("meta"):
        return build_deformable_detr(load_detr_recipe(recipe))


def with_biases(variant: str) -> DeformableDETR:
    """Return a small model as the original repository has it: with biases in the neck."""
    settings = tiny_detr.settings(variant)
    own = settings.model_copy(update={"neck": settings.neck.model_copy(update={"bias": True})})
    torch.manual_seed(1)
    return DeformableDETR(own, classes=CLASSES).eval()


@pytest.mark.shared
@VARIANT
def test_mmdets_tensors_are_ours_one_by_one_and_in_shape(shared_dir: Path, variant: str) -> None:
    listed = json.loads((shared_dir / f"golden/A/state_dict/deformable_detr_{variant}.json").read_text())
    theirs = {key: shape for key, shape, _ in listed}
    model = without_memory(RECIPES[variant])
    assert {our_name(key): shape for key, shape in theirs.items()} == {
        name: list(tensor.shape) for name, tensor in model.state_dict().items()
    }
    assert {key: list(tensor.shape) for key, tensor in upstream_state(model, "mmdet").items()} == theirs


@pytest.mark.parametrize(("variant", "tensors"), [("plain", 561), ("refine", 597), ("two_stage", 630)])
def test_the_original_repository_has_as_many_tensors_as_the_specification_counts(variant: str, tensors: int) -> None:
    model = without_memory(f"{RECIPES[variant]}_original")
    theirs = upstream_state(model, "original")
    assert len(theirs) == tensors
    back = {our_name(key) for key in theirs} - {None}
    assert back == {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.0.body.layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"),
        ("input_proj.2.0.bias", "neck.lateral.2.conv.bias"),
        ("input_proj.3.1.weight", "neck.extra.0.norm.weight"),
        ("transformer.encoder.layers.5.norm2.bias", "encoder.5.norms.1.bias"),
        ("transformer.decoder.layers.0.norm1.weight", "decoder.0.norms.1.weight"),
        ("transformer.decoder.layers.0.norm2.weight", "decoder.0.norms.0.weight"),
        ("transformer.decoder.layers.3.self_attn.in_proj_bias", "decoder.3.self_attention.in_proj_bias"),
        ("transformer.pos_trans_norm.bias", "proposals.position_norm.bias"),
        ("bbox_embed.4.layers.1.weight", "head.regress.4.2.weight"),
        ("class_embed.6.bias", "head.classify.6.bias"),
        ("transformer.decoder.bbox_embed.0.layers.2.bias", None),
        ("bbox_head.transformer.decoder.layers.2.norms.0.weight", "decoder.2.norms.0.weight"),
        ("bbox_head.transformer.enc_output_norm.bias", "proposals.norm.bias"),
    ],
)
def test_a_key_is_known_by_its_family(theirs: str, ours: str | None) -> None:
    assert our_name(theirs) == ours


def test_a_key_nobody_knows_is_an_error() -> None:
    for key in ("roi_head.weight", "transformer.something.weight", "neck.fpn_convs.0.conv.weight"):
        with pytest.raises(KeyError):
            our_name(key)


@VARIANT
def test_a_file_of_mmdets_fills_the_model(variant: str, tmp_path: Path) -> None:
    source, target = tiny_detr.model(variant), DeformableDETR(tiny_detr.settings(variant), classes=CLASSES)
    written = export_detr(source, tmp_path / "x.pth", "mmdet")
    assert load_detr_checkpoint(target, tmp_path / "x.pth").loaded == written == len(source.state_dict())
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in source.state_dict().items())


@VARIANT
def test_a_file_of_the_original_repository_fills_the_model(variant: str, tmp_path: Path) -> None:
    source = with_biases(variant)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    options = argparse.Namespace(lr=2e-4, dataset_file="coco")
    state = upstream_state(source, "original")
    torch.save({"model": state, "epoch": 49, "args": options, "optimizer": {"state": {}}}, tmp_path / "x.pth")
    target = with_biases(variant)
    load_detr_checkpoint(target, tmp_path / "x.pth")
    batch = tiny_detr.batch((64, 64))
    torch.testing.assert_close(target(batch).boxes, source(batch).boxes)


def test_a_file_of_ours_fills_the_model(tmp_path: Path) -> None:
    source, target = tiny_detr.model(), DeformableDETR(tiny_detr.settings(), classes=CLASSES)
    save_checkpoint(tmp_path / "x.pth", source, about={})
    load_detr_checkpoint(target, tmp_path / "x.pth")
    assert torch.equal(target.head.get_parameter("regress.2.4.weight"), source.head.get_parameter("regress.2.4.weight"))


# the keys and shapes of the two are the same: nothing but the values tells them apart
@pytest.mark.parametrize(("there", "here"), [("refine", "plain"), ("plain", "refine")])
def test_a_refined_model_is_not_loaded_as_a_plain_one(there: str, here: str, tmp_path: Path) -> None:
    export_detr(tiny_detr.model(there), tmp_path / "x.pth", "mmdet")
    target = DeformableDETR(tiny_detr.settings(here), classes=CLASSES)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"all layers share one box branch.*no recipe here fits it"):
        load_detr_checkpoint(target, tmp_path / "x.pth")
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in before.items())


def test_a_file_of_another_family_is_answered_with_the_difference(tmp_path: Path) -> None:
    export_detr(with_biases("refine"), tmp_path / "x.pth", "original")
    with pytest.raises(CheckpointError, match=r"are not of this model \(input_proj\.0\.0\.bias, input_proj\.1"):
        load_detr_checkpoint(tiny_detr.model(), tmp_path / "x.pth")


@pytest.mark.parametrize("recipe", ["deformable_detr_nano", "deformable_detr_twostage_original"])
def test_the_recipe_that_a_file_fits_is_found_by_its_shapes(recipe: str) -> None:
    torch.manual_seed(0)
    state = build_deformable_detr(load_detr_recipe(recipe)).state_dict()
    assert recipes_that_fit(state) == [recipe]


def test_a_neck_with_biases_has_no_place_in_mmdets_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"mmdet's neck has no biases .* export it as original"):
        export_detr(with_biases("refine"), tmp_path / "x.pth", "mmdet")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"x\.pth: cannot be written"):
        export_detr(tiny_detr.model(), tmp_path / "file" / "x.pth", "mmdet")
