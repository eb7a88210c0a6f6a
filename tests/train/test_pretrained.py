"""Backbone weights to start from: loaded whole where the file is there, one sentence where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torchvision.models import resnet18

from repro.models.backbone import Backbone
from repro.recipe import load_recipe
from repro.train import pretrained
from repro.train.pretrained import load_pretrained
from repro.train.state import TrainError

if TYPE_CHECKING:
    from pathlib import Path

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
    with pytest.raises(TrainError, match=r"cannot be fetched .* download it on another machine to .*resnet18-f37072fd"):
        load_pretrained(Backbone(settings()), settings())
    assert not list(tmp_path.rglob("*.pth"))


def test_weights_that_nobody_knows_where_to_get_are_refused() -> None:
    with pytest.raises(
        TrainError, match=r'pretrained = "fcos3d" for ResNet-18: no known file; start from a checkpoint'
    ):
        load_pretrained(Backbone(settings()), settings(pretrained="fcos3d"))
