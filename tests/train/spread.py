"""Training spread over processes or over time, as a program: what the tests start, kill and start again.

`python -m tests.train.spread KIND FOLDER ...` under any launcher; each kind leaves what it found in FOLDER.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from repro.data.samplers import test_order as eval_order
from repro.data.samplers import train_order
from repro.launch import place_of
from repro.recipe import load_recipe
from repro.tensors import GroundTruth
from repro.train.loop import TrainPlan, train_loop
from repro.train.stage import Example, WithLosses
from repro.world import open_world
from tests.models import tiny_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning_fabric import Fabric

ITERATIONS, PER_EPOCH = 40, 7


class Numbers(Dataset[Tensor]):
    """Items that are a function of their position, read by worker processes."""

    def __init__(self, epoch: int, order: list[int]) -> None:
        self._epoch, self._order = epoch, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, item: int) -> Tensor:
        rng = np.random.RandomState(np.random.SeedSequence((self._epoch, self._order[item])).generate_state(4))
        return torch.from_numpy(rng.rand(4)).float()


def here() -> Fabric:
    return open_world(place_of(os.environ), device="cpu", nodes=1, precision="32-true")


def train_line(folder: Path, workers: int, pause: float) -> None:
    """Train a small net with dropout, saving after every iteration; leave its weights in `weights-RANK.pt`."""
    fabric = here()
    world, rank = fabric.world_size, fabric.global_rank
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    bare_optimizer = torch.optim.AdamW([{"params": list(net.parameters()), "lr_factor": 1.0}], lr=0.05)
    model, optimizer = fabric.setup(net, bare_optimizer)

    def batches(epoch: int, skip: int) -> Iterator[Tensor]:
        order = [2 * world * number + rank for number in range(skip, PER_EPOCH)]
        yield from DataLoader(Numbers(epoch, order), num_workers=workers)

    def losses_of(batch: Tensor, rng: np.random.RandomState) -> dict[str, Tensor]:
        time.sleep(pause)
        return {"loss": (model(batch + float(rng.rand())) - 1).square().mean()}

    plan = TrainPlan(
        iterations=ITERATIONS, per_epoch=PER_EPOCH, clip_norm=35.0, seed=0, log_every=1, save_every_s=-1.0, key="k"
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
    torch.save(net.state_dict(), folder / f"weights-{rank}.pt")


def gradients(folder: Path) -> None:
    """Leave the gradients of two clips, one a process or both in one, in `gradients-RANKofWORLD.pt`.

    In `orders-RANKofWORLD.pt`, which of nine samples this process would train on and evaluate.
    """
    fabric = here()
    world, rank = fabric.world_size, fabric.global_rank
    train, test = (
        train_order(9, epoch=1, seed=0, batch=1, world=world, rank=rank),
        eval_order(9, world=world, rank=rank),
    )
    torch.save({"train": train, "test": test}, folder / f"orders-{rank}of{world}.pt")
    net = tiny_world.model().train()
    model = fabric.setup(WithLosses(net, load_recipe("bevformer_nano"), fabric))
    net.backbone.eval()  # batch norm as in the published sizes: running statistics
    frames = [tiny_world.frame(1), tiny_world.frame(2)]
    truth = (some_boxes(3, seed=1), some_boxes(1, seed=2))
    history = torch.randn(2, tiny_world.ROWS * tiny_world.COLUMNS, tiny_world.CHANNELS, generator=generator(5))
    if world == 1:
        losses = model(Example(tiny_world.beside(*frames), history, truth))
    else:
        losses = model(Example(frames[rank], history[rank : rank + 1], truth[rank : rank + 1]))
    fabric.backward(torch.stack(list(losses.values())).sum())
    found = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    torch.save(found, folder / f"gradients-{rank}of{world}.pt")


def some_boxes(count: int, *, seed: int) -> GroundTruth:
    boxes = torch.rand(count, 9, generator=generator(seed)) * 20 + 1
    return GroundTruth(boxes, torch.arange(count) % 10)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


if __name__ == "__main__":
    kind, where, *numbers = sys.argv[1:]
    if kind == "line":
        train_line(Path(where), int(numbers[0]), float(numbers[1]))
    else:
        gradients(Path(where))
