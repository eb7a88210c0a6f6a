"""Golden case of the whole model at test time: two frames of one scene, the second with the first one's BEV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from repro.models.bevformer import build_bevformer
from repro.models.bevformer.coder import decode
from repro.parity.check import CaseResult, Check, Tolerance, compare, count_different
from repro.parity.frames import inference_frames
from repro.parity.value_cases import gravity_centred
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor

    from repro.models.bevformer import BEVFormer
    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import Recipe
    from repro.tensors import Frame, Prediction

# ../shared/golden/README.md, "Float noise"
FEATURES = Tolerance(of_max=1e-5)
BEV = Tolerance(absolute=5e-5)
LOGITS = Tolerance(absolute=2e-3, p99=2e-4)
BOXES_M = Tolerance(absolute=1e-2, p99=1e-3)
REFERENCES = Tolerance(absolute=1e-4, p99=1e-5)
SMALL = Tolerance(absolute=1e-5)
SCORES = Tolerance(absolute=1e-4)
NEAR_TIES = 6  # labels of the 300 best that may swap with a neighbour of the same score


@torch.no_grad()
def forward(name: str, golden: GoldenSet) -> CaseResult:
    """`tiny_forward`: backbone to boxes."""
    recipe = load_recipe("bevformer_tiny")
    arrays, facts = golden.arrays(name), golden.facts(name)
    model = build_bevformer(recipe)
    golden.fill(model, "tiny")
    model.eval()
    frames = inference_frames(golden, recipe, 2)
    checks = _images(model, frames[0], arrays, facts)
    history: Tensor | None = None
    for number, frame in enumerate(frames):
        prefix = f"f{number}."
        checks.append(compare(f"{prefix}can_bus_in", frame.can_bus, arrays[f"{prefix}can_bus_in"], SMALL))
        prediction = model(frame, history)
        checks += _bev(prediction, prefix, arrays, facts)
        checks += _decoder(prediction, prefix, arrays)
        checks += _boxes(prediction, prefix, arrays, recipe)
        history = prediction.bev
    return CaseResult(name, tuple(checks))


def _images(model: BEVFormer, frame: Frame, arrays: Arrays, facts: Any) -> list[Check]:
    """Compare backbone and neck, on the strided samples that the set keeps."""
    images = frame.images.flatten(0, 1)
    backbone = model.backbone(images)
    neck = model.neck(backbone)
    checks = []
    for level, (deep, merged) in enumerate(zip(backbone, neck, strict=True)):
        deep_sub = deep[:, :: facts["backbone_channel_stride"], ::2, ::2]
        merged_sub = merged[:, :: facts["fpn_channel_stride"]]
        checks += [
            compare(f"backbone{level}", deep_sub, arrays[f"backbone{level}.sub"], FEATURES),
            compare(f"backbone{level}.mean", deep.mean((2, 3)), arrays[f"backbone{level}.mean"], FEATURES),
            compare(f"backbone{level}.std", deep.flatten(2).std(-1), arrays[f"backbone{level}.std"], FEATURES),
            compare(f"fpn{level}", merged_sub, arrays[f"fpn{level}.sub"], FEATURES),
            compare(f"fpn{level}.mean", merged.mean((2, 3)), arrays[f"fpn{level}.mean"], FEATURES),
            compare(f"fpn{level}.std", merged.flatten(2).std(-1), arrays[f"fpn{level}.std"], FEATURES),
        ]
    return checks


def _bev(prediction: Prediction, prefix: str, arrays: Arrays, facts: Any) -> list[Check]:
    bev = prediction.bev[0]
    rows = bev[:: facts["bev_embed_row_stride"][prefix.rstrip(".")]]
    return [
        compare(f"{prefix}bev_embed", rows, arrays[f"{prefix}bev_embed"], BEV),
        compare(f"{prefix}bev_embed.mean", bev.mean(0), arrays[f"{prefix}bev_embed.mean"], BEV),
        compare(f"{prefix}bev_embed.std", bev.std(0), arrays[f"{prefix}bev_embed.std"], BEV),
    ]


def _decoder(prediction: Prediction, prefix: str, arrays: Arrays) -> list[Check]:
    return [
        compare(f"{prefix}init_reference", prediction.references[0, 0], arrays[f"{prefix}init_reference"], SMALL),
        compare(f"{prefix}references", prediction.references[1:, 0], arrays[f"{prefix}inter_references"], REFERENCES),
        compare(f"{prefix}cls_scores", prediction.cls_logits[:, 0], arrays[f"{prefix}all_cls_scores"], LOGITS),
        compare(f"{prefix}bbox_preds", prediction.box_codes[:, 0], arrays[f"{prefix}all_bbox_preds"], BOXES_M),
    ]


def _boxes(prediction: Prediction, prefix: str, arrays: Arrays, recipe: Recipe) -> list[Check]:
    """Compare the decoded boxes: sorted scores, labels but for near ties, and each golden box with its nearest."""
    found = decode(prediction, recipe.coder)[0]
    golden = gravity_centred(arrays.tensor(f"{prefix}boxes_3d"))
    if len(found.scores) != len(golden):
        return [compare(f"{prefix}boxes found", len(found.scores), len(golden), Tolerance())]
    labels: NDArray[Any] = arrays[f"{prefix}labels_3d"]
    ours, theirs = found.labels.sort().values, torch.from_numpy(labels).sort().values
    nearest = torch.cdist(golden[:, :8].double(), found.boxes[:, :8].double()).min(1).values
    return [
        compare(f"{prefix}scores_3d", found.scores, arrays[f"{prefix}scores_3d"], SCORES),
        count_different(f"{prefix}labels_3d", ours, theirs, allowed=NEAR_TIES),
        count_different(f"{prefix}boxes_3d farther than 2 cm", nearest > 0.02, nearest < 0, allowed=NEAR_TIES),
    ]
