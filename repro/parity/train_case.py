"""Golden case of training: losses, every gradient, and three optimiser steps of one clip with history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from repro.data.dataset import FrameLoader, ground_truth
from repro.data.sequences import clip_steps
from repro.models.bevformer import build_bevformer, history_of
from repro.models.losses import detection_losses
from repro.models.matching import Matches, box_cost, focal_cost, match
from repro.parity.check import EXACT, CaseResult, Check, Tolerance, compare, count_different
from repro.parity.forward_case import BEV, BOXES_M, LOGITS, NEAR_TIES
from repro.parity.frames import records
from repro.parity.gradients import grad_of, gradient_norms, train_without_dropout
from repro.recipe import load_recipe
from repro.tensors import Clip

if TYPE_CHECKING:
    from torch import Tensor

    from repro.models.bevformer import BEVFormer
    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import Recipe
    from repro.tensors import Prediction

# ../shared/golden/README.md, "Float noise"
LOSS = Tolerance(relative=1e-5)
CAN_BUS = Tolerance(relative=1e-9, of_max=1e-12)
TIE = Tolerance(relative=1e-6)  # of a sum of float32 costs, one a box
STEP_LOSS = (1e-5, 1e-4, 3e-3)
STEP_GRADIENT = (1e-3, 1e-3, 5e-3)


def train(name: str, golden: GoldenSet) -> CaseResult:
    """`tiny_train`: batch 1, queue of 3, no dropout, no augmentation, history without gradient."""
    recipe = load_recipe("bevformer_tiny")
    arrays = golden.arrays(name)
    model = build_bevformer(recipe)
    upstream_of = golden.fill(model, "tiny")
    train_without_dropout(model)
    clip = _clip(golden, recipe)
    checks = [
        compare("can_bus", torch.cat([f.can_bus for f in clip.frames]), arrays["can_bus"], CAN_BUS),
        compare("prev_bev_exists", torch.cat([f.has_history for f in clip.frames]), arrays["prev_bev_exists"], EXACT),
    ]
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    optimizer = _optimizer(model, golden.facts(name)["optimizer"])
    for step in range(len(arrays["step_loss"])):
        optimizer.zero_grad()
        history = history_of(model, clip.frames[:-1])
        prediction = model(clip.frames[-1], history)
        # two near ties of the matching may swap; the first step is judged under the golden assignment (golden README)
        assigned = _golden_assignment(arrays) if step == 0 else None
        losses = detection_losses(prediction, clip.truth, recipe.losses, recipe.matcher, assigned=assigned)
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        if step == 0:
            checks += _first_step(prediction, history, losses, arrays)
            checks += _assignment(prediction, clip, recipe, arrays)
            checks += _gradients(model, upstream_of, arrays)
        norm = nn.utils.clip_grad_norm_(model.parameters(), golden.facts(name)["grad_clip"]["max_norm"])
        optimizer.step()
        for what, value, limits in (("loss", total, STEP_LOSS), ("grad_norm", norm, STEP_GRADIENT)):
            golden_value = arrays[f"step_{what}"][step]
            checks.append(compare(f"step{step}.{what}", value, golden_value, Tolerance(relative=limits[step])))
    checks += _after(model, before, upstream_of, arrays)
    return CaseResult(name, tuple(checks))


def _clip(golden: GoldenSet, recipe: Recipe) -> Clip:
    """Return the clip of records 1, 2, 3: the oldest of the four is the one left out."""
    chosen = records(golden)[1:4]
    loader = FrameLoader(golden.folder / "real_frame", recipe)
    steps = clip_steps(chosen, recipe.model.quirks)
    frames = tuple(loader.load(record, can_bus, has_history=linked) for record, can_bus, linked in steps)
    return Clip(frames, (ground_truth(chosen[-1], recipe),))


def _optimizer(model: BEVFormer, facts: Any) -> torch.optim.Optimizer:
    """Return the case's AdamW: its facts stand in the set's JSON."""
    factor = facts["paramwise_cfg"]["custom_keys"]["img_backbone"]["lr_mult"]
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in trainable if name.startswith("backbone.")], "lr": facts["lr"] * factor},
        {"params": [p for name, p in trainable if not name.startswith("backbone.")]},
    ]
    return torch.optim.AdamW(groups, lr=facts["lr"], weight_decay=facts["weight_decay"])


def _first_step(
    prediction: Prediction, history: Tensor | None, losses: dict[str, Tensor], arrays: Arrays
) -> list[Check]:
    assert history is not None
    golden = dict(zip(arrays["loss_names"].tolist(), arrays["loss_values"].tolist(), strict=True))
    return [
        *(compare(key, losses[key], golden[key], LOSS) for key in golden),
        compare("prev_bev", history[0, ::10], arrays["prev_bev.sub"], BEV),
        compare("bev_embed", prediction.bev[0, ::10], arrays["bev_embed.sub"], BEV),
        compare("cls_scores", prediction.cls_logits[:, 0], arrays["all_cls_scores"], LOGITS),
        compare("bbox_preds", prediction.box_codes[:, 0], arrays["all_bbox_preds"], BOXES_M),
    ]


def _golden_assignment(arrays: Arrays) -> list[list[Matches]]:
    """Return the golden matching of each decoder layer: 0 is background, k the k-th box."""
    owners = [
        arrays.tensor(f"assigned_gt_inds.layer{layer}") for layer in range(len(arrays.names("assigned_gt_inds.")))
    ]
    return [[(owner.nonzero().squeeze(-1), owner[owner > 0] - 1)] for owner in owners]


def _assignment(prediction: Prediction, clip: Clip, recipe: Recipe, arrays: Arrays) -> list[Check]:
    """Compare our own matching of each decoder layer with the golden one, and what both cost under our predictions.

    A tie is real: two boxes of one class may cost the same on two predictions whichever way round, and rounding picks.
    Few queries may differ so; that both assignments cost the same shows that nothing else is behind it.
    """
    checks = []
    settings, truth = recipe.matcher, clip.truth[0]
    golden_matches = _golden_assignment(arrays)
    for layer, (logits, codes) in enumerate(zip(prediction.cls_logits, prediction.box_codes, strict=True)):
        chosen, owner = match(logits[0], codes[0], truth, settings)
        ours = torch.zeros(len(logits[0]), dtype=torch.int64)
        ours[chosen] = owner + 1
        golden = arrays[f"assigned_gt_inds.layer{layer}"]
        checks.append(count_different(f"assignment, layer {layer}", ours, golden, allowed=NEAR_TIES))
        by_class = focal_cost(logits[0].detach(), truth.labels, alpha=settings.alpha, gamma=settings.gamma)
        by_box = box_cost(codes[0].detach(), truth.boxes)
        cost = (settings.class_weight * by_class + settings.box_weight * by_box).double()
        total, golden_total = cost[chosen, owner].sum(), cost[golden_matches[layer][0]].sum()
        checks.append(compare(f"assignment cost, layer {layer}", total, golden_total, TIE))
    return checks


def _gradients(model: BEVFormer, upstream_of: dict[str, str], arrays: Arrays) -> list[Check]:
    """Compare every gradient's norm, and the first values of some."""
    ours = {upstream_of[key]: p for key, p in model.named_parameters() if p.requires_grad}
    checks = gradient_norms(ours, arrays, "")
    for key in arrays.names("grad64."):
        loose = "reg_branches" in key
        limit = Tolerance(of_max=1e-2) if loose else Tolerance(of_max=1e-3)
        first = grad_of(ours[key]).flatten()[:64]
        checks.append(compare(f"grad {key.rpartition('transformer.')[2]}", first, arrays[f"grad64.{key}"], limit))
    return checks


def _after(model: BEVFormer, before: dict[str, Tensor], upstream_of: dict[str, str], arrays: Arrays) -> list[Check]:
    """Compare how far the optimiser moved 20 parameters in its steps."""
    ours = {upstream_of[key]: (p.detach(), before[key]) for key, p in model.named_parameters()}
    pairs = [ours[name] for name in arrays["after_names"].tolist()]
    moved = [float((now.double() - then.double()).norm()) for now, then in pairs]
    length = [float(now.double().norm()) for now, _ in pairs]
    return [
        compare("after: distance moved", moved, arrays["after_delta_l2"], Tolerance(of_max=1e-2)),
        compare("after: length", length, arrays["after_l2"], Tolerance(relative=1e-4)),
    ]
