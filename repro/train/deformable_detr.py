"""What training Deformable DETR takes: images, their order and losses. What training is at all stands in `teach.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import Subset as Chosen

from repro.data.coco.dataset import CocoSplit, Examples, TrainImages, collate_examples
from repro.data.loading import batches_from
from repro.data.samplers import batches_per_epoch, grouped_order
from repro.models.deformable_detr import DeformableDETR, build_deformable_detr, detection_losses
from repro.models.deformable_detr.names import our_name, with_counters
from repro.train.optim import build_slow_optimizer, step_factor
from repro.train.pretrained import load_pretrained
from repro.train.teach import Lesson
from repro.weights import Fit, load_into, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from lightning_fabric import Fabric
    from torch import Tensor

    from repro.artifacts import DataReady
    from repro.recipe import DetrRecipe


class Sealed:
    """Examples closed to wrappers: mixed precision looks for tensors to cast in every frozen value, and fails."""

    __slots__ = ("examples",)

    def __init__(self, examples: Examples) -> None:
        self.examples = examples


class WithImageLosses(torch.nn.Module):
    """Deformable DETR together with its losses, so that a distributed wrapper sees plain tensors come out."""

    def __init__(self, model: DeformableDETR, recipe: DetrRecipe, fabric: Fabric | None = None) -> None:
        super().__init__()
        self.model, self.recipe, self._fabric = model, recipe, fabric

    def forward(self, sealed: Sealed) -> dict[str, Tensor]:
        """Return the named losses of a batch, normalised by the matches of all processes (spec §G)."""
        examples, recipe = sealed.examples, self.recipe
        images = examples.images
        return detection_losses(
            self.model(images),
            examples.truth,
            images.sizes,
            recipe.losses,
            recipe.matcher,
            mean_over_ranks=self._mean,
        )

    def _mean(self, value: Tensor) -> Tensor:
        if self._fabric is None or self._fabric.world_size == 1:
            return value
        return cast("Tensor", self._fabric.all_reduce(value, reduce_op="mean"))


def groups_of(split: CocoSplit, recipe: DetrRecipe) -> tuple[list[int], list[int]]:
    """Return the positions to train on, and the group of each: 1 for images wider than high (spec §B.2.4).

    The original repository shuffles all images together (spec §J.1).
    """
    positions = split.index.trainable(recipe.data.smallest_side)
    if recipe.data.labels == "category_id":
        return positions, [0] * len(positions)
    sizes = split.index.sizes
    return positions, [int(sizes[position, 1] > sizes[position, 0]) for position in positions]


def image_batches(
    recipe: DetrRecipe, split: CocoSplit, fabric: Fabric, *, workers: int
) -> Callable[[int, int], Iterator[Examples]]:
    """Return what yields this process's batches of an epoch from a given batch on.

    Order and content depend on seed and epoch alone, whatever the number of workers.
    """
    positions, groups = groups_of(split, recipe)
    batch, seed = recipe.train.batch_per_gpu, recipe.train.seed
    world, rank = fabric.world_size, fabric.global_rank

    def batches(epoch: int, skip: int) -> Iterator[Examples]:
        order = grouped_order(groups, epoch=epoch, seed=seed, batch=batch, world=world, rank=rank)
        chosen = [positions[i] for i in order[skip * batch :]]
        images = Chosen(TrainImages(split, recipe, seed=seed, epoch=epoch), chosen)
        return batches_from(images, collate_examples, batch=batch, workers=workers)

    return batches


def read_weights(model: DeformableDETR, recipe: DetrRecipe, checkpoint: Path) -> Fit:  # noqa: ARG001 — as every lesson
    """Fill `model` from mmdet's file, the original repository's, or ours. Raises CheckpointError."""
    return load_into(model, with_counters(read_checkpoint(checkpoint)), str(checkpoint), our_name=our_name)


def _batches_per_epoch(recipe: DetrRecipe, split: CocoSplit, world: int) -> int:
    _, groups = groups_of(split, recipe)
    return batches_per_epoch(groups, batch=recipe.train.batch_per_gpu, world=world)


def _batches(
    recipe: DetrRecipe, data: DataReady, split: CocoSplit, fabric: Fabric, workers: int
) -> Callable[[int, int], Iterator[Examples]]:
    del data  # the split knows its folder
    return image_batches(recipe, split, fabric, workers=workers)


def _losses(
    wrapped: torch.nn.Module, model: DeformableDETR, batch: Examples, recipe: DetrRecipe, rng: np.random.RandomState
) -> dict[str, Tensor]:
    del model, recipe, rng  # inside `wrapped`; nothing is drawn on the device
    losses: dict[str, Tensor] = wrapped(Sealed(batch))
    return losses


def _pretrain(model: Any, recipe: DetrRecipe) -> tuple[str, tuple[str, ...]]:
    return load_pretrained(model.backbone, recipe.model.backbone), ()


DEFORMABLE_DETR: Lesson[DetrRecipe, Examples] = Lesson(
    items="images",
    build=build_deformable_detr,
    read=read_weights,
    pretrain=_pretrain,
    with_losses=WithImageLosses,
    optimizer=lambda model, recipe: build_slow_optimizer(model, recipe.optimizer),
    factor=lambda recipe, iteration, per_epoch: step_factor(recipe.schedule, iteration=iteration, per_epoch=per_epoch),
    batches_per_epoch=_batches_per_epoch,
    batches=_batches,
    losses_of=_losses,
)
