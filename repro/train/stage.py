"""The training stage of BEVFormer: data, model, losses and loop put together. The loop itself is `loop.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader
from torch.utils.data import Subset as Chosen

from repro.artifacts import DataReady, Trained
from repro.atomic import sha256_of
from repro.data.augment import grid_mask
from repro.data.dataset import FrameLoader, TrainClips, collate_clips
from repro.data.records import DataError
from repro.data.samplers import train_order
from repro.models.bevformer import BEVFormer, build_bevformer, history_of
from repro.models.checkpoints import load_checkpoint
from repro.models.losses import detection_losses
from repro.models.precision import half_precision
from repro.tensors import Frame, GroundTruth
from repro.train.log import LOSSES, read_losses
from repro.train.loop import TrainPlan, train_loop
from repro.train.optim import build_optimizer, schedule_factor
from repro.train.pretrained import load_initial
from repro.weights import save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from torch import Tensor

    from repro.data import Subset
    from repro.recipe import Recipe
    from repro.tensors import Clip

WEIGHTS = "weights.pth"
SAVE_EVERY_S = 600.0


def train(
    recipe: Recipe,
    data: DataReady,
    samples: Subset,
    folder: Path,
    *,
    device: str,
    start: Path | None,
    smoke: bool,
    key: str,
) -> Trained:
    """Train on `samples` and leave the weights in `folder`; goes on where an earlier call with this `key` stopped.

    Raises TrainError, DataError or CheckpointError; Interrupted after Ctrl-C, with the state saved.
    """
    fabric = Fabric(accelerator=device.split(":", 1)[0], devices=1, precision=recipe.train.precision)
    torch.manual_seed(recipe.train.seed)
    bare = build_bevformer(recipe)
    init, notes = _initialise(bare, recipe, start, smoke=smoke)
    model, optimizer = fabric.setup(WithLosses(bare, recipe), build_optimizer(bare, recipe.optimizer))
    per_epoch = -(-len(samples) // recipe.train.batch_per_gpu)
    whole = per_epoch * recipe.schedule.epochs
    iterations = min(whole, recipe.smoke.train_iterations) if smoke else whole
    plan = TrainPlan(
        iterations=iterations,
        per_epoch=per_epoch,
        clip_norm=recipe.optimizer.clip_norm,
        seed=recipe.train.seed,
        log_every=1 if smoke else recipe.train.log_every,
        save_every_s=SAVE_EVERY_S,
        key=key,
    )
    outcome = train_loop(
        fabric,
        model=model,
        optimizer=optimizer,
        plan=plan,
        lr_factor=lambda iteration: schedule_factor(recipe.schedule, iteration=iteration, per_epoch=per_epoch),
        batches=_batches(recipe, Path(data.dataroot), samples, workers=_workers(recipe, smoke=smoke)),
        losses_of=lambda clip, rng: clip_losses(model, bare, clip.to(str(fabric.device)), recipe, rng),
        folder=folder,
    )
    save_checkpoint(folder / WEIGHTS, bare, about={"recipe": recipe.name, "iterations": str(iterations)})
    losses = [row["loss"] for row in read_losses(folder / LOSSES)]
    resumed = (f"resumed at iteration {outcome.started_at}",) if outcome.started_at else ()
    return Trained(
        checkpoint=f"{folder.name}/{WEIGHTS}",
        sha256=sha256_of(folder / WEIGHTS),
        init=init,
        epochs=recipe.schedule.epochs,
        iterations=iterations,
        iterations_per_epoch=per_epoch,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        seconds=round(outcome.seconds, 3),
        notes=(*notes, *resumed),
    )


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

    def __init__(self, model: BEVFormer, recipe: Recipe) -> None:
        super().__init__()
        self.model, self.recipe = model, recipe

    def forward(self, example: Example) -> dict[str, Tensor]:
        """Return the named losses of a frame."""
        prediction = self.model(example.frame, example.history)
        return detection_losses(prediction, example.truth, self.recipe.losses, self.recipe.matcher)


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


def _batches(recipe: Recipe, dataroot: Path, samples: Subset, *, workers: int) -> Callable[[int, int], Iterator[Clip]]:
    """Return what yields the clips of an epoch from a given batch on; order and content depend on seed and epoch."""
    loader, batch, seed = FrameLoader(dataroot, recipe), recipe.train.batch_per_gpu, recipe.train.seed

    def batches(epoch: int, skip: int) -> Iterator[Clip]:
        order = train_order(len(samples), epoch=epoch, seed=seed, batch=batch, world=1, rank=0)
        clips = Chosen(TrainClips(samples, loader, seed=seed, epoch=epoch), order[skip * batch :])
        return in_own_words(DataLoader(clips, batch_size=batch, collate_fn=collate_clips, num_workers=workers))

    return batches


def in_own_words(loader: DataLoader[Clip]) -> Iterator[Clip]:
    """Yield from a loader; a DataError out of a worker process loses the traceback that torch wraps around it."""
    try:
        yield from loader
    except DataError as error:
        raise DataError(str(error).strip().rpartition("DataError: ")[2]) from error
