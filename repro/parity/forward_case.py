"""Golden cases of the whole model at test time: two frames of one scene, the second with the first one's BEV.

`tiny_forward`, `small_forward`, `base_forward`: the recipe of that size runs; what happens on the way is seen by hooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from repro.models.bevformer import build_bevformer
from repro.models.bevformer.coder import decode
from repro.models.bevformer.geometry import ego_shift
from repro.parity.check import CaseResult, Check, Tolerance, compare, count_different
from repro.parity.frames import inference_frames
from repro.parity.seen import Seen, watch
from repro.parity.value_cases import gravity_centred
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor

    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import Recipe
    from repro.tensors import Frame, Prediction

# ../shared/golden/README.md, "Float noise"
FEATURES = Tolerance(of_max=1e-5)
BEV = Tolerance(absolute=5e-5)
SMALL = Tolerance(absolute=1e-5)
FIRST_LAYER = Tolerance(absolute=1e-4)
SCORES = Tolerance(absolute=1e-4)
# where in an image a BEV cell lands: far outside it is unbounded (points behind a camera), so mostly relative
IMAGE_POINTS = Tolerance(relative=1e-5, absolute=1e-5)
MOTION = Tolerance(absolute=1e-9)
NEAR_TIES = 6  # labels of the 300 best that may swap with a neighbour of the same score


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the refinement of six decoder layers leaves of the float noise, by size of the model."""

    logits: Tolerance
    boxes_m: Tolerance
    references: Tolerance
    states: Tolerance
    nearest_m: float


LIMITS = {
    "tiny": Limits(
        logits=Tolerance(absolute=2e-3, p99=2e-4),
        boxes_m=Tolerance(absolute=1e-2, p99=1e-3),
        references=Tolerance(absolute=1e-4, p99=1e-5),
        states=Tolerance(absolute=1e-3, p99=2e-4),
        nearest_m=0.02,
    ),
    "small": Limits(
        logits=Tolerance(absolute=5e-3, p99=1e-3),
        boxes_m=Tolerance(absolute=2e-2, p99=1e-3),
        references=Tolerance(absolute=2e-4, p99=1e-5),
        states=Tolerance(absolute=5e-3, p99=1e-3),
        nearest_m=0.04,
    ),
    "base": Limits(
        logits=Tolerance(absolute=2e-2, p99=1e-3),
        boxes_m=Tolerance(absolute=4e-2, p99=1e-3),
        references=Tolerance(absolute=4e-4, p99=1e-5),
        states=Tolerance(absolute=2e-2, p99=1e-3),
        nearest_m=0.08,
    ),
}
LOGITS, BOXES_M = LIMITS["tiny"].logits, LIMITS["tiny"].boxes_m


@torch.inference_mode()
def forward(name: str, golden: GoldenSet) -> CaseResult:
    """`<size>_forward`: backbone to boxes, with and without history."""
    size = name.removesuffix("_forward")
    recipe, limits = load_recipe(f"bevformer_{size}"), LIMITS[size]
    arrays, facts = golden.arrays(name), golden.facts(name)
    model = build_bevformer(recipe)
    golden.fill(model, size)
    model.eval()
    first, second = inference_frames(golden, recipe, 2)
    checks: list[Check] = []
    history: Tensor | None = None
    with watch(model) as seen:
        tokens = model.image_tokens(first.images)
        checks += _images(seen, arrays, facts)
        for number, frame in enumerate((first, second)):
            if number and not torch.equal(frame.images, first.images):
                tokens = model.image_tokens(frame.images)
            prediction = model.decode(model.encode(frame, tokens, history))
            checks += _geometry(seen, arrays, facts) if number == 0 else _turned(seen, arrays, facts)
            prefix = f"f{number}."
            checks += _motion(frame, seen, prefix, arrays, recipe)
            checks += _bev(prediction, seen, prefix, arrays, facts)
            checks += _decoder(prediction, seen, prefix, arrays, limits)
            checks += _boxes(prediction, prefix, arrays, recipe, limits)
            history = prediction.bev
    return CaseResult(name, tuple(checks))


def _images(seen: Seen, arrays: Arrays, facts: Any) -> list[Check]:
    """Compare backbone and neck, on the strided samples that the set keeps, and each channel's mean and spread."""
    checks = []
    for kind, maps in (("backbone", seen.backbone), ("fpn", seen.neck)):
        channels = facts[f"{kind}_channel_stride"]
        for level, features in enumerate(maps):
            key = f"{kind}{level}"
            stride = -(-features.shape[-2] // arrays[f"{key}.sub"].shape[-2])  # 1, 2 or 4: what the set kept says it
            checks += [
                compare(key, features[:, ::channels, ::stride, ::stride], arrays[f"{key}.sub"], FEATURES),
                compare(f"{key}.mean", features.mean((2, 3)), arrays[f"{key}.mean"], FEATURES),
                compare(f"{key}.std", features.flatten(2).std(-1), arrays[f"{key}.std"], FEATURES),
            ]
    return checks


def _geometry(seen: Seen, arrays: Arrays, facts: Any) -> list[Check]:
    """Compare where pillar points land in the images, and how many of each pillar are visible."""
    points = seen.view.image_references[:, 0, :: facts["reference_points_cam_query_stride"]]
    visible = seen.view.visible[:, 0].sum(-1)
    return [
        compare("image references", points, arrays["reference_points_cam.sub"], IMAGE_POINTS),
        count_different("visible pillar points", visible, arrays["bev_mask_count"], allowed=visible.numel() // 50_000),
    ]


def _turned(seen: Seen, arrays: Arrays, facts: Any) -> list[Check]:
    """Compare the history after its turn; a source within 1e-5 of a cell border may round either way."""
    assert seen.view.pairs is not None
    turned = seen.view.pairs[0]
    empty = (turned == 0).all(-1)
    golden = arrays["f1.rotated_prev_bev.zero"]
    sub = turned[:: facts["rotated_prev_bev_row_stride"], ::4]
    error = (sub - torch.from_numpy(arrays["f1.rotated_prev_bev.sub"])).abs().amax(-1)
    few = golden.size // 1000
    return [
        count_different("turned history, empty cells", empty, golden, allowed=few),
        count_different(f"turned history, cells off by {BEV}", error > BEV.absolute, error < 0, allowed=1 + few // 50),
    ]


def _motion(frame: Frame, seen: Seen, prefix: str, arrays: Arrays, recipe: Recipe) -> list[Check]:
    bev = recipe.model.bev
    shift = ego_shift(frame.can_bus, bev_range=bev.range, rows=bev.rows, columns=bev.columns)
    kept = slice(3, 17)  # the slots that stay absolute
    return [
        compare(f"{prefix}can_bus_in", frame.can_bus, arrays[f"{prefix}can_bus_in"], SMALL),
        compare(f"{prefix}can_bus_abs", frame.can_bus[0, kept], arrays[f"{prefix}can_bus_abs"][kept], MOTION),
        compare(f"{prefix}can_bus_mlp", seen.motion, arrays[f"{prefix}can_bus_mlp"], SMALL),
        compare(f"{prefix}shift", shift, arrays[f"{prefix}shift"], SMALL),
    ]


def _bev(prediction: Prediction, seen: Seen, prefix: str, arrays: Arrays, facts: Any) -> list[Check]:
    bev = prediction.bev[0]
    rows = bev[:: facts["bev_embed_row_stride"][prefix.rstrip(".")]]
    checks = [
        compare(f"{prefix}bev_embed", rows, arrays[f"{prefix}bev_embed"], BEV),
        compare(f"{prefix}bev_embed.mean", bev.mean(0), arrays[f"{prefix}bev_embed.mean"], BEV),
        compare(f"{prefix}bev_embed.std", bev.std(0), arrays[f"{prefix}bev_embed.std"], BEV),
    ]
    for layer, output in enumerate(seen.encoder):
        golden = arrays[f"{prefix}enc{layer}.sub"]
        checks.append(compare(f"{prefix}enc{layer}", output[0, :: facts["enc_row_stride"]], golden, BEV))
    return checks


def _decoder(prediction: Prediction, seen: Seen, prefix: str, arrays: Arrays, limits: Limits) -> list[Check]:
    logits, states = prediction.cls_logits[:, 0], seen.states[:, 0]
    golden = arrays[f"{prefix}all_cls_scores"]
    kept = -(-states.shape[1] // arrays[f"{prefix}hs.sub"].shape[1])
    return [
        compare(f"{prefix}init_reference", prediction.references[0, 0], arrays[f"{prefix}init_reference"], SMALL),
        compare(
            f"{prefix}references", prediction.references[1:, 0], arrays[f"{prefix}inter_references"], limits.references
        ),
        compare(f"{prefix}decoder states", states[:, ::kept], arrays[f"{prefix}hs.sub"], limits.states),
        compare(f"{prefix}cls_scores of the first layer", logits[0], golden[0], FIRST_LAYER),
        compare(f"{prefix}cls_scores", logits, golden, limits.logits),
        compare(f"{prefix}bbox_preds", prediction.box_codes[:, 0], arrays[f"{prefix}all_bbox_preds"], limits.boxes_m),
    ]


def _boxes(prediction: Prediction, prefix: str, arrays: Arrays, recipe: Recipe, limits: Limits) -> list[Check]:
    """Compare the decoded boxes: sorted scores, labels but for near ties, and each golden box with its nearest."""
    found = decode(prediction, recipe.coder)[0]
    golden = gravity_centred(arrays.tensor(f"{prefix}boxes_3d"))
    if len(found.scores) != len(golden):
        return [compare(f"{prefix}boxes found", len(found.scores), len(golden), Tolerance())]
    labels: NDArray[Any] = arrays[f"{prefix}labels_3d"]
    ours, theirs = found.labels.sort().values, torch.from_numpy(labels).sort().values
    nearest = torch.cdist(golden[:, :8].double(), found.boxes[:, :8].double()).min(1).values
    far = f"{prefix}boxes_3d farther than {limits.nearest_m * 100:g} cm"
    return [
        compare(f"{prefix}scores_3d", found.scores, arrays[f"{prefix}scores_3d"], SCORES),
        count_different(f"{prefix}labels_3d", ours, theirs, allowed=NEAR_TIES),
        count_different(far, nearest > limits.nearest_m, nearest < 0, allowed=NEAR_TIES),
    ]
