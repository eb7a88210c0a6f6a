"""Backbone weights to start from: loaded whole where the file is there, one sentence where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torchvision.models import resnet18

from repro.models.backbone import Backbone
from repro.models.bevformer import build_bevformer
from repro.recipe import load_recipe
from repro.train import pretrained
from repro.train.pretrained import FCOS3D, load_initial, load_pretrained
from repro.train.state import TrainError

if TYPE_CHECKING:
    from pathlib import Path

    from repro.recipe import Recipe
    from repro.recipe.tables import Backbone as BackboneSettings


def settings(**changes: object) -> BackboneSettings:
    return load_recipe("bevformer_nano").model.backbone.model_copy(update={"pretrained": "torchvision", **changes})


def test_a_file_of_torchvision_fills_the_backbone_and_its_classifier_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    theirs = resnet18().state_dict()
    old_file = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    torch.save(old_file, tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    backbone = Backbone(settings())
    assert load_pretrained(backbone, settings()) == "resnet18-f37072fd.pth"
    assert torch.equal(backbone.state_dict()["layer3.1.conv2.weight"], theirs["layer3.1.conv2.weight"])


def test_without_a_network_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(pretrained.TORCHVISION, 18, "http://127.0.0.1:9/resnet18-f37072fd.pth")  # nobody listens
    with pytest.raises(
        TrainError,
        match=r"(?s)cannot be fetched: .*download it on another machine and put it here: .*resnet18-f37072fd",
    ):
        load_pretrained(Backbone(settings()), settings())
    assert not list(tmp_path.rglob("*.pth"))


def test_weights_that_nobody_knows_where_to_get_are_refused() -> None:
    with pytest.raises(
        TrainError, match=r'pretrained = "fcos3d" for ResNet-18: no known file; start from a checkpoint'
    ):
        load_pretrained(Backbone(settings()), settings(pretrained="fcos3d"))


def fcos3d_recipe() -> Recipe:
    """Return tiny with small's backbone (spec §A.1)."""
    tiny = load_recipe("bevformer_tiny")
    changes = {"depth": 101, "style": "caffe", "dcn_stages": (2, 3), "pretrained": "fcos3d"}
    backbone = tiny.model.backbone.model_copy(update=changes)
    return tiny.model_copy(update={"model": tiny.model.model_copy(update={"backbone": backbone})})


def old_name(name: str) -> str:
    return name.replace("conv2.conv_offset.", "conv2_offset.")


def test_the_detector_that_base_starts_from_fills_backbone_and_neck_under_its_old_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    recipe = fcos3d_recipe()
    donor, model = build_bevformer(recipe), build_bevformer(recipe)
    state = donor.state_dict()
    theirs = {f"img_{name}": state[name] for name in state if name.startswith("backbone.")}
    file = {old_name(name): tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    file |= {
        "img_neck.lateral_convs.0.conv.weight": torch.ones(256, 512, 1, 1),
        "bbox_head.conv_cls.bias": torch.ones(10),
    }
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in file.items()}}, tmp_path / FCOS3D)
    assert any("conv2_offset" in name for name in file)
    queries = model.state_dict()["bev_queries.weight"].clone()
    name, notes = load_initial(model, recipe)
    assert name == FCOS3D
    assert notes == (f"{FCOS3D}: {len(file) - 2} tensors loaded, 2 of the file not used",)
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state if key.startswith("backbone."))
    assert torch.equal(loaded["bev_queries.weight"], queries)


def test_a_file_that_leaves_the_backbone_half_empty_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    torch.save({"img_backbone.conv1.weight": torch.ones(64, 3, 7, 7)}, tmp_path / FCOS3D)
    recipe = fcos3d_recipe()
    with pytest.raises(
        TrainError, match=r"does not fill the backbone: \d+ tensors are missing .* is it r101_dcn_fcos3d"
    ):
        load_initial(build_bevformer(recipe), recipe)
