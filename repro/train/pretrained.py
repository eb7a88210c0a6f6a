"""Backbone weights to start training from: found on disk or fetched, checked, and loaded into the backbone alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import torch
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from repro.train.state import TrainError
from repro.weights import load_into, read_checkpoint

if TYPE_CHECKING:
    from repro.models.backbone import Backbone
    from repro.recipe.tables import Backbone as BackboneSettings

# upstream's "torchvision://resnet50" is the first ImageNet set (spec §A.1)
TORCHVISION = {18: ResNet18_Weights.IMAGENET1K_V1.url, 50: ResNet50_Weights.IMAGENET1K_V1.url}


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


def _fetch(url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (OSError, RuntimeError, URLError) as error:
        raise TrainError(
            f"{url}: cannot be fetched ({error}); download it on another machine to {path}, "
            "or start from a checkpoint: --checkpoint FILE"
        ) from error
