"""One process as Fabric sees it: the first one speaks for all, and float16 keeps its scale through a resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from repro.data import DataError
from repro.launch import Place
from repro.train.loop import TrainPlan, train_loop
from repro.train.state import STATE_FILE
from repro.world import FixedScaler, from_first, is_agreed, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

ALONE = Place(rank=0, world=1, launcher="none")


def test_what_the_first_process_raises_is_known_to_be_everyones() -> None:
    fabric = open_world(ALONE, device="cpu", nodes=1, precision="32-true")
    assert from_first(fabric, lambda: 7) == 7

    def fail() -> None:
        raise DataError("no such folder")

    with pytest.raises(DataError, match="no such folder") as caught:
        from_first(fabric, fail)
    assert is_agreed(caught.value)
    assert not is_agreed(DataError("mine alone"))


def test_a_fixed_scale_survives_an_overflow_and_the_step_is_left_out() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer, scaler = torch.optim.SGD([weight], lr=1.0), FixedScaler(512.0, device="cpu")
    for gain, kept in ((float("inf"), True), (1.0, False)):
        optimizer.zero_grad()
        torch.autograd.backward(scaler.scale((gain * weight).sum()))
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == 512.0
        assert torch.equal(weight, torch.ones(2)) is kept


def half_trained(folder: Path, iterations: int, *, gains: list[float]) -> Tensor:
    fabric = open_world(ALONE, device="cpu", nodes=1, precision="16-mixed", loss_scale=512.0)
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    groups = [{"params": list(net.parameters()), "lr_factor": 1.0}]
    model, optimizer = fabric.setup(net, torch.optim.AdamW(groups, lr=0.1))

    def batches(_epoch: int, skip: int) -> Iterator[float]:
        yield from gains[skip:]

    def losses_of(gain: float, _rng: np.random.RandomState) -> dict[str, Tensor]:
        return {"loss": (model(torch.full((2, 4), gain)) - 1).square().float().mean()}

    plan = TrainPlan(
        iterations=iterations, per_epoch=len(gains), clip_norm=35.0, seed=0, log_every=1, save_every_s=1e9, key="k"
    )
    train_loop(
        fabric,
        model=model,
        optimizer=optimizer,
        plan=plan,
        lr_factor=lambda _: 1.0,
        batches=batches,
        losses_of=losses_of,
        folder=folder,
    )
    return net.weight.detach().clone()


def test_a_resumed_run_in_float16_takes_the_same_steps_and_skips_the_same_overflow(tmp_path: Path) -> None:
    gains = [1.0, 2.0, 150.0, 1.5, 0.5]  # the third one's scaled gradient is beyond float16
    straight = half_trained(tmp_path / "straight", 5, gains=gains)
    before = half_trained(tmp_path / "resumed", 2, gains=gains)
    assert torch.equal(half_trained(tmp_path / "resumed", 3, gains=gains), before)
    assert torch.load(tmp_path / "resumed" / STATE_FILE, weights_only=True)["scaler"]["scale"] == 512.0
    assert torch.equal(half_trained(tmp_path / "resumed", 5, gains=gains), straight)
    assert not torch.equal(straight, before)
