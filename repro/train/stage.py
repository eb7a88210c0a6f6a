"""The training stage of BEVFormer: data, model, losses and loop put together. The loop itself is `loop.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch.utils.data import Subset as Chosen

from repro.artifacts import DataReady, Trained
from repro.atomic import sha256_of
from repro.data.augment import grid_mask
from repro.data.dataset import FrameLoader, TrainClips, collate_clips
from repro.data.loading import batches_from
from repro.data.samplers import train_order
from repro.models.bevformer import BEVFormer, build_bevformer, history_of
from repro.models.checkpoints import load_checkpoint
from repro.models.losses import detection_losses
from repro.models.precision import half_precision
from repro.tensors import Frame, GroundTruth
from repro.train.log import LOSSES, read_losses
from repro.train.loop import TrainOutcome, TrainPlan, train_loop
from repro.train.optim import build_optimizer, schedule_factor
from repro.train.pretrained import load_initial
from repro.weights import save_checkpoint
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from lightning_fabric import Fabric
    from torch import Tensor

    from repro.data.dataset import Records
    from repro.recipe import Recipe
    from repro.tensors import Clip

WEIGHTS = "weights.pth"
SAVE_EVERY_S = 600.0


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
    """Train on `samples` and leave the weights in `folder`; goes on where an earlier call with this `key` stopped.

    All processes of `fabric` train together, each on its share of an epoch (spec §F.3). Raises TrainError, DataError
    or CheckpointError; Interrupted after Ctrl-C, with the state saved.
    """
    torch.manual_seed(recipe.train.seed)
    bare = build_bevformer(recipe)
    # the first process reads the files, DDP hands its weights to the others
    init, notes = from_first(fabric, lambda: _initialise(bare, recipe, start, smoke=smoke))
    model, optimizer = fabric.setup(WithLosses(bare, recipe, fabric), build_optimizer(bare, recipe.optimizer))
    plan = plan_of(recipe, len(samples), world=fabric.world_size, smoke=smoke, key=key)
    outcome = train_loop(
        fabric,
        model=model,
        optimizer=optimizer,
        plan=plan,
        lr_factor=lambda it: schedule_factor(recipe.schedule, iteration=it, per_epoch=plan.per_epoch),
        batches=batches_of(recipe, Path(data.dataroot), samples, fabric, workers=_workers(recipe, smoke=smoke)),
        losses_of=lambda clip, rng: clip_losses(model, bare, clip.to(str(fabric.device)), recipe, rng),
        folder=folder,
    )

    def finished() -> Trained:
        save_checkpoint(folder / WEIGHTS, bare, about={"recipe": recipe.name, "iterations": str(plan.iterations)})
        return _trained(recipe, folder, plan, outcome, init=init, notes=notes, world=fabric.world_size)

    return from_first(fabric, finished)


def plan_of(recipe: Recipe, samples: int, *, world: int, smoke: bool, key: str) -> TrainPlan:
    """Return how long `world` processes train on `samples` clips an epoch together (spec §G.5)."""
    per_epoch = -(-samples // (recipe.train.batch_per_gpu * world))
    whole = per_epoch * recipe.schedule.epochs
    return TrainPlan(
        iterations=min(whole, recipe.smoke.train_iterations) if smoke else whole,
        per_epoch=per_epoch,
        clip_norm=recipe.optimizer.clip_norm,
        seed=recipe.train.seed,
        log_every=1 if smoke else recipe.train.log_every,
        save_every_s=SAVE_EVERY_S,
        key=key,
    )


def _trained(
    recipe: Recipe,
    folder: Path,
    plan: TrainPlan,
    outcome: TrainOutcome,
    *,
    init: str,
    notes: tuple[str, ...],
    world: int,
) -> Trained:
    """Return what the training left in `folder`."""
    losses = [row["loss"] for row in read_losses(folder / LOSSES)]
    batch = recipe.train.batch_per_gpu * world
    resumed = (f"resumed at iteration {outcome.started_at}",) if outcome.started_at else ()
    return Trained(
        checkpoint=f"{folder.name}/{WEIGHTS}",
        sha256=sha256_of(folder / WEIGHTS),
        init=init,
        epochs=recipe.schedule.epochs,
        iterations=plan.iterations,
        iterations_per_epoch=plan.per_epoch,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seconds=round(outcome.seconds, 3),
        notes=(*notes, *batch_note(recipe, batch), *resumed),
        batch=batch,
    )


def batch_note(recipe: Recipe, batch: int) -> tuple[str, ...]:
    """Return what to say when an iteration holds more or fewer clips than the published run's did.

    The learning rate stays the recipe's: upstream does not scale it, and a report that does not say so misleads.
    """
    published = recipe.train.batch_per_gpu * recipe.train.gpus_assumed
    if batch == published:
        return ()
    lr = recipe.optimizer.lr
    note = (
        f"{batch} clips an iteration, the published run had {published}; the learning rate is the recipe's {lr:g}, "
        f"not scaled (in proportion it would be {lr * batch / published:.3g})"
    )
    return (note,)


def adopt(recipe: Recipe, checkpoint: Path) -> Trained:
    """Return a checkpoint from outside as if it had been trained here; it must fit the recipe's model."""
    fit = load_checkpoint(build_bevformer(recipe), recipe, checkpoint)
    dropped = (f"dropped: {', '.join(fit.dropped)}",) if fit.dropped else ()
    return Trained(
        checkpoint=str(checkpoint.resolve()),
        sha256=sha256_of(checkpoint),
        init=f"weights judged as they are: {checkpoint.name}",
        epochs=recipe.schedule.epochs,
        iterations=0,
        iterations_per_epoch=0,
        first_loss=None,
        last_loss=None,
        seconds=0.0,
        notes=(f"{fit.loaded} tensors loaded", *dropped),
    )


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


def _initialise(model: BEVFormer, recipe: Recipe, start: Path | None, *, smoke: bool) -> tuple[str, tuple[str, ...]]:
    """Give the model its first weights; return where they came from, and what there is to note."""
    if start is not None:
        load_checkpoint(model, recipe, start)
        return start.name, ()
    if recipe.model.backbone.pretrained == "none":
        return "random weights", ()
    if smoke:
        return "random weights", (f"--smoke does not fetch the {recipe.model.backbone.pretrained} backbone",)
    return load_initial(model, recipe)


def _workers(recipe: Recipe, *, smoke: bool) -> int:
    return recipe.smoke.workers if smoke else recipe.train.workers


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
