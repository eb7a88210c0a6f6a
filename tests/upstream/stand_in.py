"""A checkout that stands in for the authors': their layout, names and calls, around our own model: nothing differs.

Tests make it differ on purpose. What it proves is the way there and back; their arithmetic is proved by running it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.models.bevformer import build_bevformer
from repro.models.upstream_names import upstream_name
from repro.recipe import load_recipe
from repro.tensors import Frame
from repro.upstream.layers import layers_of

if TYPE_CHECKING:
    from repro.models.bevformer import BEVFormer

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "projects/mmdet3d_plugin"
FILES = {
    "mmcv/__init__.py": """
__version__ = "0.0"
class Told(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__
class Config:
    @staticmethod
    def fromfile(path):
        names = {}
        exec(open(path).read(), names)
        return Told(names, model=Told(names["model"]))
""",
    "mmdet/__init__.py": "",
    "mmseg/__init__.py": "",
    "mmdet3d/__init__.py": "",
    "mmdet3d/models.py": """
from projects.mmdet3d_plugin import build
def build_model(model, test_cfg):
    assert model.pretrained is None and model.train_cfg is None
    return build(model)
""",
    f"{PLUGIN}/__init__.py": f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.upstream.stand_in import build
""",
}


def write_checkout(folder: Path, recipe: Path, config: str = "", **model: str) -> Path:
    """Write the checkout into `folder`; `model` holds what `build` understands. Return the folder."""
    named = load_recipe(str(recipe)).name
    written = config or f"model = {dict(model, recipe=str(recipe), pretrained='theirs')!r}\n"
    for name, words in {**FILES, f"projects/configs/bevformer/{named}.py": written}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words, encoding="utf-8")
    return folder


class Node(nn.Module):
    """A module under one of their names: holds weights, and passes on what ours computed."""

    def forward(self, value: Any) -> Any:
        return value


class Head(Node):
    def __init__(self, ours: BEVFormer) -> None:
        super().__init__()
        self._ours = [ours]  # in a list, so that its weights are seen under one name only
        self.tokens: Any = None

    def forward(self, value: list[Tensor], metas: Any = None, prev_bev: Tensor | None = None) -> Any:
        ours, meta = self._ours[0], metas[0]
        history = None if prev_bev is None else prev_bev.permute(1, 0, 2)
        rows, columns, colours = meta["img_shape"][0]
        frame = Frame(
            images=torch.empty(1, len(meta["img_shape"]), colours, rows, columns),
            img_from_lidar=torch.from_numpy(np.stack(meta["lidar2img"]))[None],
            can_bus=torch.tensor(meta["can_bus"])[None],
            has_history=torch.tensor([history is not None]),
            tokens=(meta["scene_token"],),
        )
        told = ours.decode(ours.encode(frame, (value[0], self.tokens), history))
        return {
            "bev_embed": told.bev.permute(1, 0, 2),
            "all_cls_scores": told.cls_logits,
            "all_bbox_preds": told.box_codes,
            "enc_cls_scores": None,
        }


class Detector(nn.Module):
    def __init__(self, ours: BEVFormer) -> None:
        super().__init__()
        self._ours = [ours]
        self.pts_bbox_head = Head(ours)

    def extract_feat(self, img: Tensor, img_metas: Any) -> list[Tensor]:
        assert len(img_metas) == 1
        tokens, self.pts_bbox_head.tokens = self._ours[0].image_tokens(img)
        return [tokens]


def build(told: Any) -> Detector:
    """Return the model; `shifted` names a module of ours whose output is off, `extra` a weight that is theirs alone."""
    recipe = load_recipe(told.recipe)
    ours = build_bevformer(recipe).eval()  # hidden from the eval() of the model around it
    model = Detector(ours)
    for name, tensor in ours.state_dict().items():
        _place(model, upstream_name(name), tensor)
    if "extra" in told:
        _place(model, told.extra, torch.zeros(1))
    modules = dict(ours.named_modules())
    if "shifted" in told:
        modules[told.shifted].register_forward_hook(lambda _module, _inputs, output: output + 0.01)
    for layer in layers_of(recipe):
        their, our = (name.split("/")[0] for name in (layer.theirs, layer.ours))
        if our in modules:
            node = _node(model, their)
            modules[our].register_forward_hook(_passed_on(node, turned=our.startswith("decoder.")))
    return model


def _passed_on(node: Node, *, turned: bool) -> Any:
    """Return a hook that hands the output on to `node`; `turned` puts queries first, as their decoder does."""

    def hook(_module: object, _inputs: object, output: Any) -> None:
        node(output.transpose(0, 1) if turned else output)

    return hook


def _place(model: nn.Module, name: str, tensor: Tensor) -> None:
    place, _, leaf = name.rpartition(".")
    _node(model, place).register_buffer(leaf, tensor)


def _node(model: nn.Module, name: str) -> Node:
    here: Any = model
    for part in name.split("."):
        if part not in dict(here.named_children()):
            here.add_module(part, Node())
        here = getattr(here, part)
    assert isinstance(here, Node)
    return here
