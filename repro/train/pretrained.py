"""Backbone weights to start training from: found on disk or fetched, checked, and loaded into the backbone alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from repro.fetch import FetchError, fetch
from repro.models.upstream_names import modern_name, our_name
from repro.progress import told
from repro.recipe.files import FOLDER, weight_files
from repro.train.state import TrainError
from repro.weights import load_into, load_what_fits, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.models.backbone import Backbone
    from repro.models.bevformer.model import BEVFormer
    from repro.recipe import Recipe
    from repro.recipe.tables import Backbone as BackboneSettings

# upstream's "torchvision://resnet50" is the first ImageNet set (spec §A.1)
TORCHVISION = {18: ResNet18_Weights.IMAGENET1K_V1.url, 50: ResNet50_Weights.IMAGENET1K_V1.url}
FCOS3D = "r101_dcn_fcos3d_pretrain.pth"


def load_pretrained(backbone: Backbone, settings: BackboneSettings) -> str:
    """Load the weights that `settings.pretrained` names; return what to call them in the report. Raises TrainError."""
    if settings.pretrained != "torchvision" or settings.depth not in TORCHVISION:
        raise TrainError(
            f'[model.backbone] pretrained = "{settings.pretrained}" for ResNet-{settings.depth}: no known file; '
            "start from a checkpoint instead: --checkpoint FILE"
        )
    url = TORCHVISION[settings.depth]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.is_file():
        _fetch(url, path)
    own = backbone.state_dict()
    tensors = {name: tensor for name, tensor in read_checkpoint(path).items() if name in own}  # no classifier
    # files of before 2017 have no batch counters; they play no part in frozen norms
    counters = {name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")}
    load_into(backbone, counters | tensors, str(path))
    name: str = path.name
    return name


def load_initial(model: BEVFormer, recipe: Recipe) -> tuple[str, tuple[str, ...]]:
    """Give a model the weights that its recipe's training starts from; return their name, and notes for the report.

    A backbone of torchvision is filled whole. FCOS3D's file is a whole detector, of which backbone and neck go over as
    far as shapes agree (spec §A.1: not strict; old names of deformable offsets are known). Raises TrainError.
    """
    settings = recipe.model.backbone
    if settings.pretrained != "fcos3d":
        return load_pretrained(model.backbone, settings), ()
    path = FOLDER / FCOS3D
    if not path.is_file():
        urls = [url for entry in weight_files("bevformer_base") if entry.file == FCOS3D for url in entry.urls]
        _bring(urls, path)
    tensors = {modern_name(key): tensor for key, tensor in read_checkpoint(path).items()}
    fit = load_what_fits(model, tensors, our_name=our_name)
    absent = [name for name in fit.missing if name.startswith("backbone.") and not name.endswith("num_batches_tracked")]
    odd = [name for name, _, _ in fit.other_shape if name.startswith("backbone.")]
    if absent or odd:
        raise TrainError(
            f"{path}: does not fill the backbone: {len(absent) + len(odd)} tensors are missing or have another shape, "
            f"the first is {(absent + odd)[0]}; it holds ResNet-101 with deformable stages: is it {FCOS3D}?"
        )
    left = len(fit.unexpected) + len(fit.other_shape)
    return FCOS3D, (f"{FCOS3D}: {fit.loaded} tensors loaded, {left} of the file not used",)


def _fetch(url: str, path: Path) -> None:
    _bring([url], path, sha256=path.stem.rpartition("-")[2])


def _bring(urls: Sequence[str], path: Path, *, sha256: str = "") -> None:
    try:
        with told(path.name) as tell:
            fetch(urls, path, sha256=sha256, tell=tell)
    except FetchError as error:
        raise TrainError(
            f"{path.name} cannot be fetched: {error}, or start from a checkpoint: --checkpoint FILE"
        ) from error
