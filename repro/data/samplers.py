"""Which sample is read when, by which rank: pure functions of numbers (spec §F.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence


def train_order(samples: int, *, epoch: int, seed: int, batch: int, world: int, rank: int) -> list[int]:
    """Return the indices that `rank` trains on in `epoch`: upstream's group sampler, all samples in one group."""
    return grouped_order([0] * samples, epoch=epoch, seed=seed, batch=batch, world=world, rank=rank)


def grouped_order(groups: Sequence[int], *, epoch: int, seed: int, batch: int, world: int, rank: int) -> list[int]:
    """Return the indices that `rank` trains on in `epoch`, `groups` naming the group of each: no batch mixes groups.

    Group by group a permutation, padded from its own start to a multiple of batch · world, then whole batches permuted
    again; each rank takes a contiguous share.
    """
    generator = torch.Generator().manual_seed(epoch + seed)
    order: list[int] = []
    for group in sorted(set(groups)):
        members = [index for index, own in enumerate(groups) if own == group]
        shuffled = [members[i] for i in torch.randperm(len(members), generator=generator).tolist()]
        total = -(-len(members) // (batch * world)) * batch * world
        order += [shuffled[i % len(members)] for i in range(total)]
    batches = torch.randperm(len(order) // batch, generator=generator).tolist()
    mixed = [order[number * batch + i] for number in batches for i in range(batch)]
    share = len(order) // world
    return mixed[rank * share : (rank + 1) * share]


def batches_per_epoch(groups: Sequence[int], *, batch: int, world: int) -> int:
    """Return how many batches each rank gets out of `grouped_order`."""
    return sum(-(-groups.count(group) // (batch * world)) for group in set(groups))


def scene_order(scenes: Sequence[str], *, world: int, rank: int) -> list[int]:
    """Return the indices that `rank` evaluates when no scene is cut: each scene whole, its frames in order.

    `scenes` names the scene of each index. Each history starts where its scene does, so that what is found does not
    depend on `world`. Scenes go, longest first, to the rank with the fewest frames; a rank may get none.
    """
    frames: dict[str, list[int]] = {}
    for index, scene in enumerate(scenes):
        frames.setdefault(scene, []).append(index)
    shares: list[list[str]] = [[] for _ in range(world)]
    loads = [0] * world
    for scene in sorted(frames, key=lambda name: (-len(frames[name]), frames[name][0])):
        lightest = loads.index(min(loads))
        shares[lightest].append(scene)
        loads[lightest] += len(frames[scene])
    return [index for scene in sorted(shares[rank], key=lambda name: frames[name][0]) for index in frames[scene]]


def test_order(samples: int, *, world: int, rank: int) -> list[int]:
    """Return the contiguous chunk of indices that `rank` evaluates, padded by wrapping from index 0."""
    share = -(-samples // world)
    return [index % samples for index in range(rank * share, (rank + 1) * share)]
