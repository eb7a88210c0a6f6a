"""What training on images takes: who learns slowly, steps of the rate, batches of one orientation, half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from repro.launch import Place
from repro.models.deformable_detr import build_deformable_detr
from repro.prepare import open_split
from repro.recipe import DetrRecipe, StepSchedule, load_detr_recipe
from repro.train.deformable_detr import DEFORMABLE_DETR, Sealed, WithImageLosses, groups_of, image_batches
from repro.train.optim import build_slow_optimizer, step_factor
from repro.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

    from lightning_fabric import Fabric

    from repro.data.coco import CocoSplit

NANO = load_detr_recipe("deformable_detr_nano")


def alone(precision: str = "32-true") -> Fabric:
    return open_world(Place(rank=0, world=1, launcher="none"), device="cpu", nodes=1, precision=precision)


def by_twos(recipe: DetrRecipe) -> DetrRecipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"batch_per_gpu": 2})})


@pytest.fixture
def split(synth_coco: Path, tmp_path: Path) -> CocoSplit:
    return open_split(synth_coco, "train2017", tmp_path)


def test_the_rate_drops_at_each_milestone_and_stays_inside_an_epoch() -> None:
    schedule = StepSchedule(epochs=50, milestones=(40, 45), factor=0.1)
    factors = [step_factor(schedule, iteration=iteration, per_epoch=10) for iteration in (0, 399, 400, 449, 450, 499)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_backbone_offsets_and_references_learn_slowly() -> None:
    model = torch.nn.ModuleDict(
        {name: torch.nn.Linear(2, 2) for name in ("backbone", "neck", "reference_points", "sampling_offsets")}
    )
    slow, rest = build_slow_optimizer(model, NANO.optimizer).param_groups
    assert (len(slow["params"]), len(rest["params"])) == (6, 2)
    assert (slow["lr_factor"], rest["lr_factor"]) == (0.1, 1.0)
    assert slow["lr"] == pytest.approx(NANO.optimizer.lr * 0.1)


def test_frozen_parameters_are_left_out_and_every_other_is_in_one_group() -> None:
    model = build_deformable_detr(load_detr_recipe("deformable_detr_nano"))
    model.backbone.requires_grad_(requires_grad=False)
    groups = build_slow_optimizer(model, NANO.optimizer).param_groups
    chosen = [id(p) for group in groups for p in group["params"]]
    assert sorted(chosen) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_every_batch_is_of_one_orientation_and_every_image_is_seen(split: CocoSplit) -> None:
    recipe, fabric = by_twos(NANO), alone()
    batches = list(image_batches(recipe, split, fabric, workers=0)(0, 0))
    assert len(batches) == DEFORMABLE_DETR.batches_per_epoch(recipe, split, 1)
    for batch in batches:
        wide = batch.images.sizes[:, 1] > batch.images.sizes[:, 0]
        assert wide.all() or not wide.any()
    assert {image for batch in batches for image in batch.images.ids} == {split.index[i].id for i in range(8)}


def test_skipped_batches_are_those_of_the_front(split: CocoSplit) -> None:
    batches = image_batches(by_twos(NANO), split, alone(), workers=0)
    assert [b.images.ids for b in batches(3, 2)] == [b.images.ids for b in batches(3, 0)][2:]


def test_the_original_repository_mixes_orientations(split: CocoSplit) -> None:
    original = NANO.model_copy(update={"data": NANO.data.model_copy(update={"labels": "category_id"})})
    assert set(groups_of(split, NANO)[1]) == {0, 1}
    assert set(groups_of(split, original)[1]) == {0}


def test_small_images_are_left_out_where_the_recipe_says_so(split: CocoSplit) -> None:
    recipe = NANO.model_copy(update={"data": NANO.data.model_copy(update={"smallest_side": 200})})
    positions, _ = groups_of(split, recipe)
    assert positions == [i for i in range(8) if min(split.index[i].height, split.index[i].width) >= 200]
    assert 0 < len(positions) < 8


def test_half_precision_gives_nearly_the_same_losses(split: CocoSplit) -> None:
    losses: dict[str, dict[str, float]] = {}
    for precision in ("32-true", "bf16-mixed"):
        fabric = alone(precision)
        torch.manual_seed(0)
        model = build_deformable_detr(NANO).eval()
        wrapped, _ = fabric.setup(WithImageLosses(model, NANO, fabric), build_slow_optimizer(model, NANO.optimizer))
        batch = next(image_batches(by_twos(NANO), split, fabric, workers=0)(0, 0))
        named = wrapped(Sealed(batch))
        fabric.backward(torch.stack(list(named.values())).sum())
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        losses[precision] = {name: float(value.detach()) for name, value in named.items()}
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.05)
    assert losses["bf16-mixed"] != losses["32-true"]
