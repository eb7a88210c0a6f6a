"""What training BEVFormer takes: clips, their order, history and losses. What training is stands in `teach.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch.utils.data import Subset as Chosen

from repro.data.augment import grid_mask
from repro.data.dataset import FrameLoader, TrainClips, collate_clips
from repro.data.loading import batches_from
from repro.data.samplers import train_order
from repro.models.bevformer import BEVFormer, build_bevformer, history_of
from repro.models.checkpoints import load_checkpoint
from repro.models.losses import detection_losses
from repro.models.precision import half_precision
from repro.tensors import Clip, Frame, GroundTruth
from repro.train.optim import build_optimizer, schedule_factor
from repro.train.pretrained import load_initial
from repro.train.teach import WEIGHTS, Lesson, teach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from lightning_fabric import Fabric
    from torch import Tensor

    from repro.artifacts import DataReady, Trained
    from repro.data.dataset import Records
    from repro.recipe import Recipe

__all__ = ["BEVFORMER", "WEIGHTS", "WithLosses", "batches_of", "clip_losses", "train"]


def train(
    recipe: Recipe,
    data: DataReady,
    samples: Records,
    folder: Path,
    *,
    fabric: Fabric,
    start: Path | None,
    smoke: bool,
    key: str,
) -> Trained:
    """Train BEVFormer; as `teach`."""
    return teach(BEVFORMER, recipe, data, samples, folder, fabric=fabric, start=start, smoke=smoke, key=key)


class Example:
    """What a training step needs, closed to wrappers: mixed precision would cast the projections in it to 16 bits."""

    __slots__ = ("frame", "history", "truth")

    def __init__(self, frame: Frame, history: Tensor | None, truth: tuple[GroundTruth, ...]) -> None:
        self.frame, self.history, self.truth = frame, history, truth


class WithLosses(torch.nn.Module):
    """A model together with its losses, so that what a distributed wrapper sees come out are plain tensors."""

    def __init__(self, model: BEVFormer, recipe: Recipe, fabric: Fabric | None = None) -> None:
        super().__init__()
        self.model, self.recipe, self._fabric = model, recipe, fabric

    def forward(self, example: Example) -> dict[str, Tensor]:
        """Return the named losses of a frame, normalised by the matches of all processes (spec §D)."""
        prediction = self.model(example.frame, example.history)
        settings = (self.recipe.losses, self.recipe.matcher)
        return detection_losses(prediction, example.truth, *settings, mean_over_ranks=self._mean)

    def _mean(self, value: Tensor) -> Tensor:
        if self._fabric is None or self._fabric.world_size == 1:
            return value
        return cast("Tensor", self._fabric.all_reduce(value, reduce_op="mean"))


def clip_losses(
    wrapped: torch.nn.Module, model: BEVFormer, clip: Clip, recipe: Recipe, rng: np.random.RandomState
) -> dict[str, Tensor]:
    """Return the losses of a clip: history without gradient, then the last frame (spec §C.1).

    `wrapped` is the `WithLosses` of `model`, set up for this machine; `rng` draws the grid mask (spec §C.5).
    """
    with half_precision(recipe.train.precision, str(clip.frames[-1].images.device)):
        history = history_of(model, clip.frames[:-1])
    losses: dict[str, Tensor] = wrapped(Example(_masked(clip.frames[-1], recipe, rng), history, clip.truth))
    return losses


def _masked(frame: Frame, recipe: Recipe, rng: np.random.RandomState) -> Frame:
    if recipe.augment.grid_mask is None:
        return frame
    mask = grid_mask(*frame.image_size, recipe.augment.grid_mask, rng)
    if mask is None:
        return frame
    images = frame.images * torch.from_numpy(mask).to(frame.images.device)
    return Frame(
        images=images,
        img_from_lidar=frame.img_from_lidar,
        can_bus=frame.can_bus,
        has_history=frame.has_history,
        tokens=frame.tokens,
    )


def batches_of(
    recipe: Recipe, dataroot: Path, samples: Records, fabric: Fabric, *, workers: int
) -> Callable[[int, int], Iterator[Clip]]:
    """Return what yields this process's clips of an epoch from a given batch on.

    Order and content depend on seed and epoch alone, whatever the number of workers.
    """
    loader, batch, seed = FrameLoader(dataroot, recipe), recipe.train.batch_per_gpu, recipe.train.seed
    world, rank = fabric.world_size, fabric.global_rank

    def batches(epoch: int, skip: int) -> Iterator[Clip]:
        order = train_order(len(samples), epoch=epoch, seed=seed, batch=batch, world=world, rank=rank)
        clips = Chosen(TrainClips(samples, loader, seed=seed, epoch=epoch), order[skip * batch :])
        return batches_from(clips, collate_clips, batch=batch, workers=workers)

    return batches


BEVFORMER: Lesson[Recipe, Clip] = Lesson(
    items="clips",
    build=build_bevformer,
    read=load_checkpoint,
    pretrain=load_initial,
    with_losses=WithLosses,
    optimizer=lambda model, recipe: build_optimizer(model, recipe.optimizer),
    factor=lambda recipe, iteration, per_epoch: schedule_factor(
        recipe.schedule, iteration=iteration, per_epoch=per_epoch
    ),
    batches_per_epoch=lambda recipe, samples, world: -(-len(samples) // (recipe.train.batch_per_gpu * world)),
    batches=lambda recipe, data, samples, fabric, workers: batches_of(
        recipe, Path(data.dataroot), samples, fabric, workers=workers
    ),
    losses_of=clip_losses,
)
