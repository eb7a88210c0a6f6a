"""Which sample is read when, by which rank: pure functions of numbers (spec §F.3)."""

from __future__ import annotations

import torch


def train_order(samples: int, *, epoch: int, seed: int, batch: int, world: int, rank: int) -> list[int]:
    """Return the indices that `rank` trains on in `epoch`: upstream's group sampler, all samples in one group.

    A permutation, padded from its own start to a multiple of batch · world, then whole batches permuted again;
    each rank takes a contiguous share.
    """
    generator = torch.Generator().manual_seed(epoch + seed)
    order = torch.randperm(samples, generator=generator).tolist()
    total = -(-samples // (batch * world)) * batch * world
    while len(order) < total:
        order += order[: total - len(order)]
    groups = torch.randperm(total // batch, generator=generator).tolist()
    shuffled = [order[group * batch + i] for group in groups for i in range(batch)]
    share = total // world
    return shuffled[rank * share : (rank + 1) * share]


def test_order(samples: int, *, world: int, rank: int) -> list[int]:
    """Return the contiguous chunk of indices that `rank` evaluates, padded by wrapping from index 0."""
    share = -(-samples // world)
    return [index % samples for index in range(rank * share, (rank + 1) * share)]
