"""Training on a model small enough to see through: schedule, resume, interruption, damage."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from repro.recipe import Optimizer, Schedule
from repro.stop import Interrupted
from repro.train.log import LossLog, read_losses
from repro.train.loop import TrainOutcome, TrainPlan, seed_of, train_loop
from repro.train.optim import build_optimizer, schedule_factor
from repro.train.state import STATE_FILE, TrainError, load_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PER_EPOCH = 3
ADAMW = Optimizer(lr=0.1, backbone_lr_factor=0.1, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8, clip_norm=35.0)
COSINE = Schedule(epochs=24, warmup_iterations=500, warmup_ratio=1 / 3, min_lr_ratio=1e-3)


class Line(nn.Module):
    """y = head(dropout(backbone(x))): two parts with their own learning rates, and randomness."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(4, 8)
        self.head = nn.Linear(8, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.dropout(self.backbone(x)))
        return y


def batches(epoch: int, skip: int) -> Iterator[Tensor]:
    for number in range(skip, PER_EPOCH):
        yield torch.full((2, 4), 1.0 + epoch + number / 10)


def train(
    folder: Path, iterations: int, *, key: str = "k", hook: Callable[[Tensor], None] = lambda _: None, gain: float = 1.0
) -> tuple[Line, TrainOutcome]:
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1)
    line = Line()
    model, optimizer = fabric.setup(line, build_optimizer(line, ADAMW))

    def losses_of(batch: Tensor, rng: np.random.RandomState) -> dict[str, Tensor]:
        hook(batch)
        y = model(batch + float(rng.rand()))
        return {"loss_a": gain * (y - 1).square().mean(), "loss_b": y.abs().mean()}

    plan = TrainPlan(
        iterations=iterations, per_epoch=PER_EPOCH, clip_norm=35.0, seed=0, log_every=1, save_every_s=1e9, key=key
    )
    outcome = train_loop(
        fabric,
        model=model,
        optimizer=optimizer,
        plan=plan,
        lr_factor=lambda iteration: schedule_factor(COSINE, iteration=iteration, per_epoch=PER_EPOCH),
        batches=batches,
        losses_of=losses_of,
        folder=folder,
    )
    return line, outcome


def weights(line: Line) -> Tensor:
    return torch.cat([p.detach().flatten() for p in line.parameters()])


def test_the_learning_rate_warms_up_from_a_third_then_follows_the_cosine() -> None:
    def factor(iteration: int) -> float:
        return schedule_factor(COSINE, iteration=iteration, per_epoch=1000)

    assert factor(0) == pytest.approx(1 / 3)
    assert factor(250) == pytest.approx(2 / 3)
    assert factor(500) == factor(999) == 1.0
    assert factor(12_000) == pytest.approx(0.001 + 0.999 / 2)
    assert factor(23_999) == pytest.approx(0.001 + 0.999 * 0.5 * (1 + np.cos(np.pi * 23 / 24)))


def test_the_backbone_learns_at_a_tenth_and_frozen_parameters_not_at_all() -> None:
    line = Line()
    line.head.bias.requires_grad_(False)
    groups = build_optimizer(line, ADAMW).param_groups
    assert [(group["lr"], len(group["params"])) for group in groups] == [(pytest.approx(0.01), 2), (0.1, 1)]


def test_a_resumed_run_takes_the_same_steps_as_one_that_never_stopped(tmp_path: Path) -> None:
    straight, _ = train(tmp_path / "straight", 8)
    train(tmp_path / "resumed", 5)
    resumed, outcome = train(tmp_path / "resumed", 8)
    assert outcome.started_at == 5
    assert torch.equal(weights(straight), weights(resumed))
    loss = [[row["loss"] for row in read_losses(tmp_path / name / "losses.csv")] for name in ("straight", "resumed")]
    assert loss[0] == loss[1]
    assert len(loss[0]) == 8


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_weights(tmp_path: Path) -> None:
    seen = []

    def interrupt(batch: Tensor) -> None:
        seen.append(batch)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped at iteration 2 of 6"):
        train(tmp_path / "stopped", 6, hook=interrupt)
    resumed, outcome = train(tmp_path / "stopped", 6)
    straight, _ = train(tmp_path / "straight", 6)
    assert outcome.started_at == 2
    assert torch.equal(weights(straight), weights(resumed))


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def interrupt(_: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 6, hook=interrupt)


def test_a_state_of_another_key_is_not_resumed(tmp_path: Path) -> None:
    train(tmp_path, 3)
    _, outcome = train(tmp_path, 3, key="other")
    assert outcome.started_at == 0


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_state_is_named_with_the_way_out(tmp_path: Path, damage: bytes | None) -> None:
    train(tmp_path, 3)
    state = tmp_path / STATE_FILE
    state.write_bytes(state.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(TrainError, match=r"state\.ckpt: cannot be resumed .*delete that file"):
        train(tmp_path, 6)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"key": "k", "iteration": 1, "model": Bomb(), "optimizer": {}}, tmp_path / STATE_FILE)
    line = Line()
    with pytest.raises(TrainError, match="cannot be resumed"):
        load_state(Fabric(accelerator="cpu"), tmp_path, model=line, optimizer=None, key="k")
    assert not (tmp_path / "exploded").exists()


def test_an_exploding_gradient_stops_training_with_the_losses(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"iteration 0: the gradient norm is (inf|nan) \(losses: loss_a inf, loss_b"):
        train(tmp_path, 3, gain=float("inf"))


def test_a_shrunken_data_set_is_noticed(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "PER_EPOCH", 0)
        plan = TrainPlan(iterations=1, per_epoch=3, clip_norm=1, seed=0, log_every=1, save_every_s=1, key="k")
        fabric = Fabric(accelerator="cpu")
        model, optimizer = fabric.setup(line := Line(), build_optimizer(line, ADAMW))
        with pytest.raises(TrainError, match="epoch 0 has no batch after the 0-th"):
            train_loop(
                fabric,
                model=model,
                optimizer=optimizer,
                plan=plan,
                lr_factor=lambda _: 1.0,
                batches=batches,
                losses_of=lambda _batch, _rng: {},
                folder=tmp_path,
            )


def test_iterations_and_ranks_draw_unrelated_seeds() -> None:
    seeds = {seed_of(seed, iteration, rank) for seed in range(3) for iteration in range(50) for rank in range(4)}
    assert len(seeds) == 600


def test_the_log_forgets_rows_after_the_point_of_resumption_and_a_torn_last_line(tmp_path: Path) -> None:
    with LossLog(tmp_path, start=0) as log:
        for iteration in range(4):
            log.write(iteration, {"loss": iteration / 2})
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("4,")
    with LossLog(tmp_path, start=3) as log:
        log.write(3, {"loss": 9.0})
    assert [row["loss"] for row in read_losses(tmp_path / "losses.csv")] == [0.0, 0.5, 1.0, 9.0]
