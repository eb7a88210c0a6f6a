"""Which frames make a training clip, and how the car moved between them (spec §C.1, §C.2). Reads no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.data.can_bus import absolute_can_bus, motion, relative_can_bus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from repro.data.records import FrameRecord
    from repro.recipe import Quirks

Step = tuple["FrameRecord", "NDArray[np.float64]", bool]


def clip_indices(index: int, length: int, rng: np.random.RandomState) -> list[int]:
    """Return `length` indices ending with `index`: of the `length` frames before it, one is left out at random.

    Indices below zero become 0, as upstream.
    """
    before = list(range(index - length, index))
    rng.shuffle(before)
    return [max(0, i) for i in (*sorted(before[1:]), index)]


def clip_steps(records: Sequence[FrameRecord], quirks: Quirks) -> list[Step]:
    """Return (record, relative CAN bus vector, has history) of each frame of a clip, oldest first.

    differs from upstream: each step works on a copy of its vector, so that index 0 repeated in a clip does not get
    absolute positions for deltas (golden README, quirk 7).
    """
    if quirks.broken_history == "duplicate":
        return _with_duplicates(records, quirks)
    return [(record, *step) for record, step in zip(records, motion(records, quirks), strict=True)]


def _with_duplicates(records: Sequence[FrameRecord], quirks: Quirks) -> list[Step]:
    """Repeat the nearest later valid frame where one belongs to another scene: how released checkpoints trained."""
    chain = [records[-1]]
    for record in reversed(records[:-1]):
        earlier = record.scene_token == chain[0].scene_token and record.frame_idx < chain[0].frame_idx
        chain.insert(0, record if earlier else chain[0])
    absolute = [absolute_can_bus(record, orientation=quirks.can_bus_orientation) for record in chain]
    previous = [None, *absolute[:-1]]
    return [
        (record, relative_can_bus(now, before, yaw_delta=quirks.yaw_delta), before is not None)
        for record, now, before in zip(chain, absolute, previous, strict=True)
    ]
