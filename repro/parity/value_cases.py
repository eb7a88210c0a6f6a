"""Golden cases of plain functions: geometry, assignment, box codes, losses, decoding, the turn of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repro.models.bevformer.coder import decode
from repro.models.bevformer.geometry import bev_references, pillar_references, project_pillars, turn_history
from repro.models.boxes import boxes_from_codes, codes_from_boxes
from repro.models.losses import box_distance, detection_losses, focal_loss
from repro.models.matching import box_cost, focal_cost, match
from repro.parity.check import EXACT, MODULE, CaseResult, Check, Tolerance, compare, count_different
from repro.parity.module_cases import replay
from repro.recipe import load_recipe
from repro.tensors import GroundTruth, Prediction

if TYPE_CHECKING:
    from repro.parity.golden import Arrays

CPU = torch.device("cpu")
PIXELS = Tolerance(relative=1e-5, of_max=1e-6)  # points behind a camera land up to 1e6 image widths away
LOSS = Tolerance(relative=1e-5)


def geometry(name: str, arrays: Arrays) -> CaseResult:
    """`geometry`: reference points of two grids, and the projection of a third one into two sets of cameras."""
    recipe = load_recipe("bevformer_tiny")
    low_high = recipe.model.bev.range
    height = low_high[5] - low_high[2]
    checks: list[Check] = []
    for rows, columns, batch in ((6, 5, 2), (50, 50, 1)):
        size = f"{rows}x{columns}"
        pillars = pillar_references(rows, columns, 4, height, device=CPU).expand(batch, -1, -1, -1)
        cells = bev_references(rows, columns, device=CPU).expand(batch, -1, -1)[:, :, None]
        checks.append(compare(f"ref3d {size}", pillars, arrays[f"ref3d_{size}_d4_b{batch}"], MODULE))
        checks.append(compare(f"ref2d {size}", cells, arrays[f"ref2d_{size}_b{batch}"], MODULE))
    image_size = (int(arrays["ps_img_shape"][0, 0]), int(arrays["ps_img_shape"][0, 1]))
    where, visible = project_pillars(arrays.tensor("ps_ref")[0], arrays.tensor("ps_lidar2img"), low_high, image_size)
    checks.append(compare("image references", where, arrays["ps_reference_points_cam"], PIXELS))
    checks.append(count_different("visible", visible, arrays["ps_bev_mask"], allowed=0))
    return CaseResult(name, tuple(checks))


def rotation(name: str, arrays: Arrays) -> CaseResult:
    """`rotate`: the nearest-neighbour turn about pixel (100, 100); a source within 1e-5 of .5 may round either way."""
    checks = []
    for case in sorted({key.split(".")[0] for key in arrays.names()}):
        golden = arrays[f"{case}.out"]
        rows, columns = golden.shape[-2:]
        image = arrays.tensor(f"{case}.x")
        if image.ndim == 1:  # thinned: the input is 1 + flat index
            image = 1 + torch.arange(rows * columns, dtype=torch.float32).view(1, rows, columns)
        history = image.flatten(1).T[None]  # [1, Q, C]
        turned = turn_history(history, arrays.tensor(f"{case}.angle").view(1), size=(rows, columns), center=(100, 100))
        ours = turned[0].T.reshape(-1, rows, columns)[: golden.shape[0]]
        checks.append(count_different(f"{case} cells", ours, golden, allowed=golden.size // 1000))
    return CaseResult(name, tuple(checks))


def box_codes(name: str, arrays: Arrays) -> CaseResult:
    """`bbox_codes`: boxes to codes and back."""
    codes = codes_from_boxes(arrays.tensor("boxes"))
    back = boxes_from_codes(arrays.tensor("normalized"))
    return CaseResult(
        name,
        (
            compare("codes of boxes", codes, arrays["normalized"], MODULE),
            compare("boxes of codes", back, arrays["denormalized"], MODULE),
            compare("without velocity", codes[:, :8], arrays["normalized7"], MODULE),
            compare("back without velocity", back[:, :7], arrays["denormalized7"], MODULE),
        ),
    )


def assigner(name: str, arrays: Arrays) -> CaseResult:
    """`assigner`: both costs, their sum, and the assignment."""
    settings = load_recipe("bevformer_tiny").matcher
    logits, codes = arrays.tensor("cls"), arrays.tensor("pred")
    truth = GroundTruth(arrays.tensor("gt"), arrays.tensor("labels").long())
    by_class = settings.class_weight * focal_cost(logits, truth.labels, alpha=settings.alpha, gamma=settings.gamma)
    by_box = settings.box_weight * box_cost(codes, truth.boxes)
    owners = torch.zeros(len(logits), dtype=torch.int64)
    predictions, boxes = match(logits, codes, truth, settings)
    owners[predictions] = boxes + 1
    return CaseResult(
        name,
        (
            compare("class cost", by_class, arrays["cls_cost"], MODULE),
            compare("box cost", by_box, arrays["reg_cost"], MODULE),
            compare("cost", by_class + by_box, arrays["cost"], MODULE),
            count_different("assignment", owners, arrays["assigned_gt_inds"], allowed=0),
        ),
    )


def focal(name: str, arrays: Arrays) -> CaseResult:
    """`focal_loss`: averaged over 7, and weighted by sample and averaged over 14."""
    settings = load_recipe("bevformer_tiny").losses
    labels, weight = arrays.tensor("static.labels").long(), arrays.tensor("static.weight")

    def run(x: dict[str, Tensor]) -> dict[str, Tensor]:
        each = settings.class_weight * focal_loss(x["cls"], labels, alpha=settings.alpha, gamma=settings.gamma)
        return {"none_w": each.sum() / 7, "weighted": (each * weight[:, None]).sum() / 14}

    return replay(name, arrays, run, {})


def l1(name: str, arrays: Arrays) -> CaseResult:
    """`l1_loss`: weighted by element, averaged over 14."""
    settings = load_recipe("bevformer_tiny").losses
    target, weight = arrays.tensor("static.target"), arrays.tensor("static.weight")
    return replay(
        name, arrays, lambda x: {"out": settings.box_weight * box_distance(x["pred"], target, weight) / 14}, {}
    )


def head_loss(name: str, arrays: Arrays) -> CaseResult:
    """`head_loss_*`: the twelve losses of given predictions, batch of one and of two."""
    recipe = load_recipe("bevformer_tiny")
    count = len(arrays.names("static.gt"))
    truth = [
        GroundTruth(gravity_centred(arrays.tensor(f"static.gt{i}")), arrays.tensor(f"static.labels{i}").long())
        for i in range(count)
    ]

    def run(x: dict[str, Tensor]) -> dict[str, Tensor]:
        empty = x["all_cls_scores"].new_zeros(0)
        prediction = Prediction(
            bev=empty, cls_logits=x["all_cls_scores"], box_codes=x["all_bbox_preds"], references=empty
        )
        return detection_losses(prediction, truth, recipe.losses, recipe.matcher)

    return replay(name, arrays, run, {})


def coder(name: str, arrays: Arrays) -> CaseResult:
    """`coder`: the 50 best of two items; ties aside, order and labels are exact."""
    settings = load_recipe("bevformer_tiny").coder.model_copy(update={"max_boxes": 50})
    empty = torch.zeros(0)
    prediction = Prediction(
        bev=empty,
        cls_logits=arrays.tensor("all_cls_scores"),
        box_codes=arrays.tensor("all_bbox_preds"),
        references=empty,
    )
    checks: list[Check] = []
    for item, found in enumerate(decode(prediction, settings)):
        checks += [
            compare(f"boxes{item}", found.boxes, arrays[f"bboxes{item}"], MODULE),
            compare(f"scores{item}", found.scores, arrays[f"scores{item}"], MODULE),
            compare(f"labels{item}", found.labels, arrays[f"labels{item}"], EXACT),
        ]
    return CaseResult(name, tuple(checks))


def gravity_centred(boxes: Tensor) -> Tensor:
    """Return upstream's bottom-centred boxes [G, 9] with z at the gravity centre."""
    lifted = boxes.clone()
    lifted[:, 2] += boxes[:, 5] * 0.5
    return lifted
