"""The training stage whatever the model: first weights, loop, last weights. What differs by model is its `Lesson`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch

from repro.artifacts import Trained
from repro.atomic import sha256_of
from repro.recipe import AnyRecipe
from repro.train.log import LOSSES, read_losses
from repro.train.loop import TrainPlan, train_loop
from repro.weights import save_checkpoint
from repro.world import from_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from lightning_fabric import Fabric
    from torch import Tensor, nn
    from typing_extensions import Self

    from repro.artifacts import DataReady
    from repro.train.loop import TrainOutcome
    from repro.weights import Fit

WEIGHTS = "weights.pth"
SAVE_EVERY_S = 600.0
T = TypeVar("T")
R = TypeVar("R", bound=AnyRecipe)
B = TypeVar("B", bound="Movable")


class Movable(Protocol):
    """A batch that can be put on a device."""

    def to(self, device: str) -> Self:
        """Return the batch with its tensors on `device`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson(Generic[R, B]):
    """What it takes to train one architecture with recipes R on batches B.

    items              what a batch is made of, in the plural
    build              the model of a recipe
    read               fills a model from a checkpoint file, whichever family wrote it
    pretrain           gives the model the published weights that training starts from; says which, and notes
    with_losses        the model as a module that returns named losses
    optimizer, factor  the optimiser of a model, and what its learning rates are multiplied with at an iteration
    batches_per_epoch  of each process, given samples and the number of processes
    batches            yields this process's batches of an epoch, from a given one on
    losses_of          the named losses of a batch: wrapped model, bare model, batch, recipe, generator
    """

    items: str
    build: Callable[[R], Any]
    read: Callable[[Any, R, Path], Fit]
    pretrain: Callable[[Any, R], tuple[str, tuple[str, ...]]]
    with_losses: Callable[[Any, R, Fabric], nn.Module]
    optimizer: Callable[[nn.Module, R], torch.optim.Optimizer]
    factor: Callable[[R, int, int], float]
    batches_per_epoch: Callable[[R, Any, int], int]
    batches: Callable[[R, DataReady, Any, Fabric, int], Callable[[int, int], Iterator[B]]]
    losses_of: Callable[[nn.Module, Any, B, R, np.random.RandomState], dict[str, Tensor]]


def teach(
    lesson: Lesson[R, B],
    recipe: R,
    data: DataReady,
    samples: Any,
    folder: Path,
    *,
    fabric: Fabric,
    start: Path | None,
    smoke: bool,
    key: str,
    limit: int | None = None,
) -> Trained:
    """Train on `samples` and leave the weights in `folder`; goes on where an earlier call with this `key` stopped.

    `limit` ends it after so many iterations, on the learning rates of the whole schedule.

    All processes of `fabric` train together, each on its share of an epoch (spec §F.3). Raises TrainError, DataError
    or CheckpointError; Interrupted after Ctrl-C, with the state saved.
    """
    torch.manual_seed(recipe.train.seed)
    bare = lesson.build(recipe)
    # the first process reads the files, DDP hands its weights to the others
    init, notes = from_first(fabric, lambda: _initialise(lesson, bare, recipe, start, smoke=smoke))
    model, optimizer = fabric.setup(lesson.with_losses(bare, recipe, fabric), lesson.optimizer(bare, recipe))
    per_epoch = lesson.batches_per_epoch(recipe, samples, fabric.world_size)
    plan = _plan(recipe, per_epoch, smoke=smoke, key=key, limit=limit)
    workers = recipe.smoke.workers if smoke else recipe.train.workers
    outcome = train_loop(
        fabric,
        model=model,
        optimizer=optimizer,
        plan=plan,
        lr_factor=lambda iteration: lesson.factor(recipe, iteration, per_epoch),
        batches=lesson.batches(recipe, data, samples, fabric, workers),
        losses_of=lambda batch, rng: lesson.losses_of(model, bare, batch.to(str(fabric.device)), recipe, rng),
        folder=folder,
    )

    def finished() -> Trained:
        save_checkpoint(folder / WEIGHTS, bare, about={"recipe": recipe.name, "iterations": str(plan.iterations)})
        batch = recipe.train.batch_per_gpu * fabric.world_size
        return _trained(recipe, folder, plan, outcome, init=init, notes=notes, batch=batch, items=lesson.items)

    return from_first(fabric, finished)


def _trained(
    recipe: AnyRecipe,
    folder: Path,
    plan: TrainPlan,
    outcome: TrainOutcome,
    *,
    init: str,
    notes: tuple[str, ...],
    batch: int,
    items: str,
) -> Trained:
    """Return what the training left in `folder`."""
    losses = [row["loss"] for row in read_losses(folder / LOSSES)]
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
        notes=(*notes, *batch_note(recipe, batch, items), *resumed),
        batch=batch,
        items=items,
    )


def adopt(lesson: Lesson[R, B], recipe: R, checkpoint: Path) -> Trained:
    """Return a checkpoint from outside as if it had been trained here; it must fit the recipe's model."""
    fit = lesson.read(lesson.build(recipe), recipe, checkpoint)
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


def batch_note(recipe: AnyRecipe, batch: int, items: str = "clips") -> tuple[str, ...]:
    """Return what to say when an iteration holds more or fewer items than the published run's did.

    The learning rate stays the recipe's: upstream does not scale it, and a report that does not say so misleads.
    """
    published = recipe.train.batch_per_gpu * recipe.train.gpus_assumed
    if batch == published:
        return ()
    lr = recipe.optimizer.lr
    note = (
        f"{batch} {items} an iteration, the published run had {published}; the learning rate is the recipe's {lr:g}, "
        f"not scaled (in proportion it would be {lr * batch / published:.3g})"
    )
    return (note,)


def _plan(recipe: AnyRecipe, per_epoch: int, *, smoke: bool, key: str, limit: int | None) -> TrainPlan:
    whole = per_epoch * recipe.schedule.epochs
    ends = [whole, *([recipe.smoke.train_iterations] if smoke else []), *([limit] if limit else [])]
    return TrainPlan(
        iterations=min(ends),
        per_epoch=per_epoch,
        clip_norm=recipe.optimizer.clip_norm,
        seed=recipe.train.seed,
        log_every=1 if smoke else recipe.train.log_every,
        save_every_s=SAVE_EVERY_S,
        key=key,
    )


def _initialise(
    lesson: Lesson[R, B], model: nn.Module, recipe: R, start: Path | None, *, smoke: bool
) -> tuple[str, tuple[str, ...]]:
    """Give the model its first weights; return where they came from, and what there is to note."""
    if start is not None:
        lesson.read(model, recipe, start)
        return start.name, ()
    if recipe.model.backbone.pretrained == "none":
        return "random weights", ()
    if smoke:
        return "random weights", (f"--smoke does not fetch the {recipe.model.backbone.pretrained} backbone",)
    return lesson.pretrain(model, recipe)
