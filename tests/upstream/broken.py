"""Environments and checkouts that do not work, of a few lines each; no torch is imported, so each fails at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.upstream.stand_in import PLUGIN

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "projects/configs/bevformer/bevformer_nano.py"
WORKING = {
    "torch/__init__.py": """
__version__ = "1.9.1"
class no_grad:
    def __enter__(self): pass
    def __exit__(self, *_): pass
def zeros(*shape): return 0
""",
    "torchvision/__init__.py": "",
    "mmcv/__init__.py": """
__version__ = "1.4.0"
class Told(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__
class Config:
    @staticmethod
    def fromfile(path):
        return Told(model=Told())
""",
    "mmdet/__init__.py": "",
    "mmseg/__init__.py": "",
    "mmdet3d/__init__.py": "",
    "mmdet3d/models.py": """
class ModulatedDeformConv2dPack:
    in_channels = 1
    shape = (1,)
    def eval(self): return self
    def modules(self): return [self]
    def state_dict(self): return {"pts_bbox_head.transformer.gate.weight": self}
    def __call__(self, _): pass
def build_model(model, test_cfg):
    return ModulatedDeformConv2dPack()
""",
    f"{PLUGIN}/__init__.py": "",
    CONFIG: "",
}


def write_broken(folder: Path, changed: dict[str, str | None]) -> Path:
    """Write the few lines that work up to the built model, except for what is `changed`; None leaves a file out."""
    for name, words in {**WORKING, **changed}.items():
        if words is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(words, encoding="utf-8")
    return folder
