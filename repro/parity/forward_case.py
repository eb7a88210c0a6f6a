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
SCORES = Tolerance(absolute=1e-4)
# where in an image a BEV cell lands: far outside it is unbounded (points behind a camera), so mostly relative
IMAGE_POINTS = Tolerance(relative=1e-5, absolute=1e-5)
MOTION = Tolerance(absolute=1e-9)
NEAR_TIES = 6  # labels of the 300 best that may swap with a neighbour of the same score


# Refinement feeds each decoder layer's error back about threefold (golden README): the first layers are judged by their
# worst element, the last ones by their 99th percentile and by how many queries leave the limit altogether.
LAYERS = (Tolerance(absolute=1e-4), Tolerance(absolute=5e-4), Tolerance(absolute=2e-3))
LAYERS_M = (Tolerance(absolute=1e-3), Tolerance(absolute=3e-3), Tolerance(absolute=1e-2))
HOPELESS = 10  # limits away is no query that amplifies rounding; set A's worst, in base's second frame, is 3.6 away


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a query may be off after six refining decoder layers, and the 99th percentile of all, by model size.

    `unstable` of the 900 queries may leave the limit, up to `HOPELESS` times it.
    """

    logits: float
    boxes_m: float
    references: float
    states: float
    p99: float
    unstable: int = 0
    references_p99: float = 1e-5
    scores: Tolerance = SCORES


LIMITS = {
    "tiny": Limits(logits=2e-3, boxes_m=1e-2, references=1e-4, states=1e-3, p99=2e-4),
    "small": Limits(
        logits=5e-3, boxes_m=2e-2, references=2e-4, states=5e-3, p99=1e-3, scores=Tolerance(absolute=1e-3, p99=1e-4)
    ),
    "base": Limits(
        unstable=5,  # set A: none without history, two with; BEV noise of 1.5e-6 alone moves two boxes by 4 to 7 cm
        logits=2e-2,
        boxes_m=4e-2,
        references=4e-4,
        states=2e-2,
        p99=1e-3,
        references_p99=5e-5,
        scores=Tolerance(absolute=2e-3, p99=1e-3),
    ),
}
LOGITS = Tolerance(absolute=LIMITS["tiny"].logits, p99=LIMITS["tiny"].p99)
BOXES_M = Tolerance(absolute=LIMITS["tiny"].boxes_m, p99=1e-3)
BOXES_P99_M = 1e-3


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
    states = seen.states[:, 0]
    kept = -(-states.shape[1] // arrays[f"{prefix}hs.sub"].shape[1])
    golden = {name: arrays.tensor(f"{prefix}{name}") for name in ("all_cls_scores", "all_bbox_preds")}
    logits, codes = prediction.cls_logits[:, 0], prediction.box_codes[:, 0]
    checks = [compare(f"{prefix}init_reference", prediction.references[0, 0], arrays[f"{prefix}init_reference"], SMALL)]
    for layer, (plain, metres) in enumerate(zip(LAYERS, LAYERS_M, strict=True)):
        checks += [
            compare(f"{prefix}cls_scores, layer {layer}", logits[layer], golden["all_cls_scores"][layer], plain),
            compare(f"{prefix}bbox_preds, layer {layer}", codes[layer], golden["all_bbox_preds"][layer], metres),
        ]
    references = arrays.tensor(f"{prefix}inter_references")
    for what, ours, theirs, limit, p99 in (
        ("references", prediction.references[1:, 0], references, limits.references, limits.references_p99),
        ("decoder states", states[:, ::kept], arrays.tensor(f"{prefix}hs.sub"), limits.states, limits.p99),
        ("cls_scores", logits, golden["all_cls_scores"], limits.logits, limits.p99),
        ("bbox_preds", codes, golden["all_bbox_preds"], limits.boxes_m, BOXES_P99_M),
    ):
        checks += mostly(f"{prefix}{what}", ours, theirs, limit, p99, unstable=limits.unstable)
    return checks


def mostly(what: str, ours: Tensor, golden: Tensor, limit: float, p99: float, *, unstable: int) -> list[Check]:
    """Compare [layers, K, …] by the 99th percentile of all errors; `unstable` of the K queries may leave the limit."""
    if not unstable:
        return [compare(what, ours, golden, Tolerance(absolute=limit, p99=p99))]
    off = ~((ours - golden).abs().amax((0, -1)) <= limit)  # NaN is off
    return [
        compare(what, ours, golden, Tolerance(absolute=HOPELESS * limit, p99=p99)),
        count_different(f"{what}, queries off by more than {limit:g}", off, torch.zeros_like(off), allowed=unstable),
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
    far = f"{prefix}boxes_3d farther than {2 * limits.boxes_m * 100:g} cm"
    return [
        compare(f"{prefix}scores_3d", found.scores, arrays[f"{prefix}scores_3d"], limits.scores),
        count_different(f"{prefix}labels_3d", ours, theirs, allowed=NEAR_TIES),
        count_different(far, nearest > 2 * limits.boxes_m, nearest < 0, allowed=NEAR_TIES),
    ]
