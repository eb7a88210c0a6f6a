"""Golden cases of Deformable DETR, each of three variants: one image at test time, and one training step on two."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from repro.models.deformable_detr import build_deformable_detr, decode, detection_losses
from repro.models.deformable_detr.names import our_name
from repro.models.deformable_detr.positions import tokens_of
from repro.parity.check import EXACT, CaseResult, Check, Tolerance, compare, count_different
from repro.parity.detr_images import train_batch, train_truth, whole_image
from repro.parity.gradients import gradient_norms, train_without_dropout
from repro.recipe import load_detr_recipe

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from repro.models.deformable_detr import DeformableDETR
    from repro.parity.golden import Arrays, GoldenSet
    from repro.recipe import DetrRecipe
    from repro.tensors import ImageBatch, ImagePrediction

RECIPES = {
    "deformable_detr_plain": "deformable_detr",
    "deformable_detr_refine": "deformable_detr_refine",
    "deformable_detr_two_stage": "deformable_detr_twostage",
}
# ../shared/golden/README.md, "Float noise"
FEATURES = Tolerance(of_max=1e-5)
MEMORY = Tolerance(absolute=5e-5)
LOGITS = Tolerance(absolute=1e-3)
BOXES = Tolerance(absolute=1e-5)
PIXELS = Tolerance(absolute=2e-2)  # of a 1600 × 900 image: BOXES in pixels
SCORES = Tolerance(absolute=1e-4)
LOSS = Tolerance(relative=1e-5)
NEAR_TIES = 4  # labels of the 100 best that may swap with a neighbour of the same score
MEMORY_STRIDE, CLASS_STRIDE = 97, 197  # tokens that the set keeps (golden README)


def deformable_detr(name: str, golden: GoldenSet) -> CaseResult:
    """`deformable_detr_*`: the test image, then losses and gradients of two images of different size."""
    recipe = load_detr_recipe(RECIPES[name])
    arrays, facts = golden.arrays(name), golden.facts(name)
    model = build_deformable_detr(recipe)
    upstream_of = golden.fill(model, name, our_name)
    model.eval()
    checks = _test(model, golden, arrays, facts, recipe)
    checks += _train(model, golden, arrays, facts, recipe)
    ours = {upstream_of[key]: p for key, p in model.named_parameters() if p.requires_grad}
    checks += gradient_norms(ours, arrays, "train.")
    return CaseResult(name, tuple(checks))


@torch.no_grad()
def _test(model: DeformableDETR, golden: GoldenSet, arrays: Arrays, facts: Any, recipe: DetrRecipe) -> list[Check]:
    """Compare the forward pass on one image, stage by stage, and the decoded boxes."""
    batch = whole_image(golden, facts, recipe)
    digest = hashlib.sha256(batch.images.numpy().tobytes()).hexdigest()
    other = float(digest != facts["img_sha256"])
    levels = model.neck(model.backbone(batch.images))
    tokens = tokens_of(levels, batch.padding, model.level_embeddings)
    memory = model.encode(tokens)
    query, position, references, proposals = model.queries(memory, tokens)
    prediction = model.decode(memory, tokens, query, position, references, proposals)
    checks = [
        compare("image shape", batch.images.shape, facts["img_shape"], EXACT),
        Check(
            what="image with another SHA-256", worst_abs=other, worst_rel=0.0, tolerance="shown, not judged", ok=True
        ),
    ]
    for number, level in enumerate(levels):
        checks += [
            compare(f"neck{number}.mean", level[0].mean((1, 2)), arrays[f"neck{number}.mean"], FEATURES),
            compare(f"neck{number}.std", level[0].flatten(1).std(-1), arrays[f"neck{number}.std"], FEATURES),
        ]
    checks += [
        compare("memory", memory[0, ::MEMORY_STRIDE], arrays["memory_sub"], MEMORY),
        compare("memory mean", memory[0].mean(0), arrays["memory_mean"], MEMORY),
        compare("memory std", memory[0].std(0), arrays["memory_std"], MEMORY),
    ]
    if prediction.proposals is not None:
        proposed = prediction.proposals
        checks += [
            compare("proposed logits", proposed.class_logits[0, ::CLASS_STRIDE], arrays["enc_cls.sub"], LOGITS),
            compare("proposed boxes", proposed.boxes[0, ::MEMORY_STRIDE], arrays["enc_bbox.sub"], BOXES),
            *_chosen("chosen", proposed.chosen, arrays["topk_index"][None]),
        ]
        prediction = in_golden_order(prediction, arrays.tensor("topk_index")[None])
    return checks + _predictions(prediction, arrays) + _boxes(prediction, batch, arrays, recipe)


def _predictions(prediction: ImagePrediction, arrays: Arrays) -> list[Check]:
    """Compare every decoder layer: logits, boxes, references."""
    refined = torch.stack(prediction.references[1:])
    return [
        *(
            compare(f"logits, layer {layer}", ours[0], arrays["all_cls_scores"][layer], LOGITS)
            for layer, ours in enumerate(prediction.class_logits)
        ),
        *(
            compare(f"boxes, layer {layer}", ours[0], arrays["all_bbox_preds"][layer], BOXES)
            for layer, ours in enumerate(prediction.boxes)
        ),
        compare("initial references", prediction.references[0][0], arrays["init_reference"], BOXES),
        compare("references", refined[:, 0], arrays["inter_references"], BOXES),
    ]


def _boxes(prediction: ImagePrediction, batch: ImageBatch, arrays: Arrays, recipe: DetrRecipe) -> list[Check]:
    """Compare the 100 best: scores by rank; labels and boxes by rank too, but for neighbours of the same score."""
    found = decode(prediction, batch, recipe.coder)[0]
    golden, labels = arrays["dets"], arrays["labels"]
    apart = (found.boxes - torch.from_numpy(golden[:, :4])).abs().amax(-1) > PIXELS.absolute
    return [
        compare("scores", found.scores, golden[:, 4], SCORES),
        count_different("labels", found.labels, labels, allowed=NEAR_TIES),
        count_different("boxes in pixels, by rank", apart, apart.new_zeros(len(apart)), allowed=NEAR_TIES),
    ]


def _train(model: DeformableDETR, golden: GoldenSet, arrays: Arrays, facts: Any, recipe: DetrRecipe) -> list[Check]:
    """Compare losses and predictions of two images of different size; leaves the gradients in the model."""
    train_without_dropout(model)
    batch = train_batch(golden, facts, recipe)
    truth = train_truth(arrays, batch)
    prediction = model(batch)
    losses = detection_losses(prediction, truth, batch.sizes, recipe.losses, recipe.matcher)
    total = torch.stack(list(losses.values())).sum()
    total.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    stored = dict(zip(arrays["train.loss_names"].tolist(), arrays["train.loss_values"].tolist(), strict=True))
    checks = [compare("names of losses", float(set(losses) == set(stored)), 1.0, EXACT)]
    checks += [compare(f"train {key}", losses[key], stored[key], LOSS) for key in stored if key in losses]
    checks.append(compare("train loss", total, arrays["train.loss"], LOSS))
    if prediction.proposals is not None:
        golden_order = arrays.tensor("train.topk_index")
        checks += _chosen("train chosen", prediction.proposals.chosen, golden_order)
        prediction = in_golden_order(prediction, golden_order)
    return [
        *checks,
        compare("train logits, last layer", prediction.class_logits[-1], arrays["train.cls_last"], LOGITS),
        compare("train boxes", prediction.boxes, arrays["train.bbox_all"], BOXES),
    ]


def _chosen(what: str, ours: Tensor, golden: Any) -> list[Check]:
    """Compare which tokens became queries: the same ones; neighbours a rounding error apart may have swapped ranks."""
    return [count_different(f"{what} tokens", ours.sort(-1).values, torch.as_tensor(golden).sort(-1).values, allowed=0)]


def in_golden_order(prediction: ImagePrediction, golden: Tensor) -> ImagePrediction:
    """Return a two-stage prediction with its queries in the order of the golden tokens [B, K] that they come from.

    A query whose token the golden prediction did not choose stays in the place that is left.
    """
    assert prediction.proposals is not None
    ours = prediction.proposals.chosen
    order = torch.stack([_order(own, wanted) for own, wanted in zip(ours, golden, strict=True)])  # [B, K]

    def sorted_rows(values: Tensor) -> Tensor:  # [..., B, K, n]
        return values.gather(-2, order[..., None].expand(values.shape))

    return replace(
        prediction,
        class_logits=sorted_rows(prediction.class_logits),
        boxes=sorted_rows(prediction.boxes),
        references=tuple(sorted_rows(points) for points in prediction.references),
        proposals=replace(prediction.proposals, chosen=ours.gather(1, order)),
    )


def _order(ours: Tensor, golden: Tensor) -> Tensor:
    """Return which of our queries [K] belongs into each golden place [K]."""
    place_of = {int(token): place for place, token in enumerate(ours)}
    wanted = [place_of.pop(int(token), None) for token in golden]
    left = iter(place_of.values())
    return torch.tensor([next(left) if place is None else place for place in wanted])
