"""Each rank reads what upstream's samplers give it, in their order."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from repro.data.samplers import batches_per_epoch, grouped_order, scene_order, train_order
from repro.data.samplers import test_order as eval_order

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(1, 9))  # samples, batch, world


@given(SIZES, st.integers(0, 5), st.integers(0, 3))
def test_ranks_share_an_epoch_in_equal_parts_and_miss_nothing(
    sizes: tuple[int, int, int], epoch: int, seed: int
) -> None:
    samples, batch, world = sizes
    parts = [train_order(samples, epoch=epoch, seed=seed, batch=batch, world=world, rank=rank) for rank in range(world)]
    assert {len(part) for part in parts} == {math.ceil(samples / (batch * world)) * batch}
    counts = torch.bincount(torch.tensor(sum(parts, [])), minlength=samples)  # noqa: RUF017 — a handful of short lists
    assert int(counts.min()) >= 1
    if samples >= batch * world:
        assert int(counts.max()) <= 2


def test_the_order_is_two_permutations_of_one_generator() -> None:
    generator = torch.Generator().manual_seed(7 + 3)
    first = torch.randperm(10, generator=generator).tolist()
    padded = first + first[:2]  # 12 = 2 ranks × 3 batches × 2
    groups = torch.randperm(6, generator=generator).tolist()
    expected = [padded[2 * group + i] for group in groups for i in range(2)]
    ours = [train_order(10, epoch=7, seed=3, batch=2, world=2, rank=rank) for rank in range(2)]
    assert ours == [expected[:6], expected[6:]]


def test_epochs_differ_and_repeat() -> None:
    first, second, again = (train_order(50, epoch=e, seed=0, batch=1, world=1, rank=0) for e in (0, 1, 0))
    assert first != second
    assert first == again


@given(st.integers(1, 60), st.integers(1, 9))
def test_evaluation_chunks_are_contiguous_and_cut_back_to_the_split(samples: int, world: int) -> None:
    chunks = [eval_order(samples, world=world, rank=rank) for rank in range(world)]
    assert {len(chunk) for chunk in chunks} == {math.ceil(samples / world)}
    assert [index for chunk in chunks for index in chunk][:samples] == list(range(samples))


@pytest.mark.parametrize(("rank", "chunk"), [(0, [0, 1, 2]), (1, [3, 4, 5]), (2, [6, 0, 1])])
def test_the_last_chunk_wraps_to_the_first_samples(rank: int, chunk: list[int]) -> None:
    assert eval_order(7, world=3, rank=rank) == chunk


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 9))
def test_whole_scenes_are_dealt_once_each_and_keep_their_order(scenes: list[int], world: int) -> None:
    names = [str(scene) for scene in scenes]
    shares = [scene_order(names, world=world, rank=rank) for rank in range(world)]
    assert sorted(index for share in shares for index in share) == list(range(len(names)))
    for share in shares:
        seen = [names[index] for index in share]
        assert all(seen.count(name) == names.count(name) for name in seen)
        assert all(a < b for a, b in itertools.pairwise(share) if names[a] == names[b])
    longest = max(names.count(name) for name in names)
    assert max(map(len, shares)) - min(map(len, shares)) <= longest


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_no_batch_mixes_groups_and_ranks_miss_nothing(groups: list[int], batch: int, world: int, epoch: int) -> None:
    parts = [grouped_order(groups, epoch=epoch, seed=0, batch=batch, world=world, rank=rank) for rank in range(world)]
    assert {len(part) for part in parts} == {batches_per_epoch(groups, batch=batch, world=world) * batch}
    for part in parts:
        for start in range(0, len(part), batch):
            assert len({groups[index] for index in part[start : start + batch]}) == 1
    assert {index for part in parts for index in part} == set(range(len(groups)))


def test_batches_of_both_groups_come_in_any_order() -> None:
    groups = [0] * 40 + [1] * 40
    orders = [grouped_order(groups, epoch=epoch, seed=0, batch=4, world=1, rank=0) for epoch in range(2)]
    for order in orders:
        kinds = [groups[index] for index in order[::4]]
        assert kinds != sorted(kinds)
    assert orders[0] != orders[1]
