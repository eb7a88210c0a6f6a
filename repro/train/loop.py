"""The training loop: every iteration of spec §G.3, resumable at any of them.

Randomness is a function of (seed, iteration, rank), set anew before each iteration: a run that was stopped and
resumed takes the same steps as one that never stopped.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from lightning_fabric.plugins import MixedPrecision

from repro.launch import asked_to_stop
from repro.progress import progress
from repro.stop import Interrupted, stop_on_signal
from repro.train.log import LossLog
from repro.train.state import TrainError, load_state, save_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """How long to train and how often to leave a trace. `iterations` may stop before the last epoch ends."""

    iterations: int
    per_epoch: int
    clip_norm: float
    seed: int
    log_every: int
    save_every_s: float
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOutcome:
    """The iteration the loop started at (not 0 when it resumed), and how many seconds this call took."""

    started_at: int
    seconds: float


def train_loop(
    fabric: Fabric,
    *,
    model: torch.nn.Module,
    optimizer: Any,
    plan: TrainPlan,
    lr_factor: Callable[[int], float],
    batches: Callable[[int, int], Iterator[Batch]],
    losses_of: Callable[[Batch, np.random.RandomState], dict[str, Tensor]],
    folder: Path,
) -> TrainOutcome:
    """Train until `plan.iterations` and leave a state file in `folder`.

    `model` and `optimizer` are set up by `fabric`. `batches(epoch, skip)` yields the epoch's batches of this process
    from the `skip`-th on. `losses_of(batch, rng)` returns named losses; their sum is minimised. Raises Interrupted
    after Ctrl-C with the state saved, TrainError when the gradient is not finite. All processes stop and save at the
    same iteration: one asks, all hear of it with the mean of the losses.
    """
    start = load_state(fabric, folder, model=model, optimizer=optimizer, key=plan.key)
    began = saved_at = time.monotonic()
    with (
        LossLog(folder, start=start) if fabric.is_global_zero else nullcontext() as log,
        stop_on_signal("after this iteration", alone=fabric.world_size == 1) as stop_asked,
        progress("train", plan.iterations, done=start, shown=fabric.is_global_zero) as advance,
    ):
        for iteration, batch in enumerate(_from(batches, start=start, plan=plan), start=start):
            values = _step(fabric, model, optimizer, plan, iteration, lr_factor(iteration), batch, losses_of)
            due = fabric.is_global_zero and time.monotonic() - saved_at > plan.save_every_s
            stopping, saving = _agreed(fabric, values, stop=stop_asked() or asked_to_stop(), save=due)
            done = iteration + 1
            last = done == plan.iterations
            if log and (done % plan.log_every == 0 or last or iteration == 0):
                log.write(iteration, values)
            advance(1, f"loss {values['loss']:.3f}")
            if stopping or last or saving:
                save_state(fabric, folder, model=model, optimizer=optimizer, iteration=done, key=plan.key)
                saved_at = time.monotonic()
            if stopping and not last:
                raise Interrupted(f"training stopped at iteration {done} of {plan.iterations}")
    return TrainOutcome(started_at=start, seconds=time.monotonic() - began)


def seed_of(seed: int, iteration: int, rank: int) -> int:
    """Return the 32-bit seed of one iteration on one rank; distinct inputs give unrelated streams."""
    return int(np.random.SeedSequence((seed, iteration, rank)).generate_state(1)[0])


def _from(batches: Callable[[int, int], Iterator[Batch]], *, start: int, plan: TrainPlan) -> Iterator[Batch]:
    """Yield the batches of iterations `start` to the last, epoch by epoch."""
    epoch, skip = divmod(start, plan.per_epoch)
    left = plan.iterations - start
    while left > 0:
        given = 0
        for batch in batches(epoch, skip):
            yield batch
            given += 1
            if given == left:
                break
        if not given:
            raise TrainError(
                f"epoch {epoch} has no batch after the {skip}-th: the data set is smaller than its index says"
            )
        left -= given
        epoch, skip = epoch + 1, 0


def _step(
    fabric: Fabric,
    model: torch.nn.Module,
    optimizer: Any,
    plan: TrainPlan,
    iteration: int,
    factor: float,
    batch: Batch,
    losses_of: Callable[[Batch, np.random.RandomState], dict[str, Tensor]],
) -> dict[str, float]:
    """Take one optimiser step and return what there is to log."""
    began = time.monotonic()
    seed = seed_of(plan.seed, iteration, fabric.global_rank)
    torch.manual_seed(seed)
    for group in optimizer.param_groups:
        group["lr"] = optimizer.defaults["lr"] * group["lr_factor"] * factor
    losses = losses_of(batch, np.random.RandomState(seed))
    total = torch.stack([loss.float() for loss in losses.values()]).sum()
    optimizer.zero_grad()
    fabric.backward(total)
    norm = fabric.clip_gradients(model, optimizer, max_norm=plan.clip_norm, error_if_nonfinite=False)
    grad_norm = float(norm) if norm is not None else math.nan
    if not math.isfinite(grad_norm) and not _may_overflow(fabric, total):
        raise TrainError(
            f"iteration {iteration}: the gradient norm is {grad_norm} (losses: "
            + ", ".join(f"{name} {float(loss.detach()):.4g}" for name, loss in losses.items())
            + "); the state before it is kept: look at losses.csv, then try a lower [optimizer] lr"
        )
    optimizer.step()
    named = {name: float(loss.detach()) for name, loss in {"loss": total, **losses}.items()}
    lr = max(group["lr"] for group in optimizer.param_groups)
    return {**named, "lr": lr, "grad_norm": grad_norm, "seconds": time.monotonic() - began}


def _may_overflow(fabric: Fabric, total: Tensor) -> bool:
    """Tell whether a gradient that is not finite is float16's business: its scaler leaves the step out (spec §G.1)."""
    scaled = isinstance(fabric.strategy.precision, MixedPrecision) and fabric.strategy.precision.scaler is not None
    return scaled and math.isfinite(float(total.detach()))


def _agreed(fabric: Fabric, values: dict[str, float], *, stop: bool, save: bool) -> tuple[bool, bool]:
    """Return whether any process asks to stop, and to save; `values` become means over all (spec §G.8)."""
    if fabric.world_size == 1:
        return stop, save
    mine = torch.tensor([*values.values(), float(stop), float(save)], dtype=torch.float64, device=fabric.device)
    *means, stops, saves = cast("Tensor", fabric.all_reduce(mine)).tolist()
    values.update(zip(values, means, strict=True))
    return stops > 0, saves > 0
