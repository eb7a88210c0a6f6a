"""The 18 numbers that tell the model how the car moves: from raw messages, and relative to the step before."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.geometry import yaw_of
from repro.tensors import CAN_BUS_SLOTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from repro.data.records import FrameRecord
    from repro.recipe import Quirks

POSITION, ORIENTATION, YAW_RADIANS, YAW_DEGREES = slice(0, 3), slice(3, 7), 16, 17


def can_bus_vector(
    messages: Sequence[Mapping[str, Any]], timestamp: int, *, rates: str = "next"
) -> NDArray[np.float64]:
    """Return the raw vector [18] at `timestamp` (µs) from a scene's 50 Hz pose messages in time order (spec §F.1).

    Position and orientation come from the last message not after `timestamp`, acceleration, rotation rate and
    velocity from the one after it (quirk 10) or, with rates "current", from the same one. No messages give zeros.
    """
    vector = np.zeros(CAN_BUS_SLOTS)
    if not messages:
        return vector
    after = bisect.bisect_right([int(message["utime"]) for message in messages], timestamp)
    last = messages[max(after - 1, 0)]
    following = messages[min(after, len(messages) - 1)] if rates == "next" else last
    vector[0:3], vector[3:7] = last["pos"], last["orientation"]
    vector[7:10], vector[10:13], vector[13:16] = following["accel"], following["rotation_rate"], following["vel"]
    return vector


def absolute_can_bus(record: FrameRecord, *, orientation: str) -> NDArray[np.float64]:
    """Return the vector [18] with position, orientation and yaw set from the ego pose (spec §F.2).

    orientation "w" fills all four slots with the quaternion's scalar part (quirk 2).
    """
    vector = record.can_bus.copy()
    quaternion = record.global_from_ego_rotation
    vector[POSITION] = record.global_from_ego_translation
    vector[ORIENTATION] = quaternion[0] if orientation == "w" else quaternion
    degrees = yaw_of(quaternion) / math.pi * 180
    degrees += 360 if degrees < 0 else 0
    vector[YAW_RADIANS], vector[YAW_DEGREES] = degrees / 180 * math.pi, degrees
    return vector


def relative_can_bus(
    current: NDArray[np.float64], previous: NDArray[np.float64] | None, *, yaw_delta: str
) -> NDArray[np.float64]:
    """Return `current` with position and yaw degrees relative to `previous`, or zero without one (spec §C.2, §C.3).

    Both are absolute vectors; neither is changed. yaw_delta "unwrapped" keeps jumps near ±360° (quirk 9).
    """
    relative = current.copy()
    if previous is None:
        relative[POSITION] = 0.0
        relative[YAW_DEGREES] = 0.0
        return relative
    relative[POSITION] -= previous[POSITION]
    relative[YAW_DEGREES] -= previous[YAW_DEGREES]
    if yaw_delta == "wrapped":
        relative[YAW_DEGREES] = (relative[YAW_DEGREES] + 180) % 360 - 180
    return relative


def motion(records: Sequence[FrameRecord], quirks: Quirks) -> list[tuple[NDArray[np.float64], bool]]:
    """Return (relative vector, has history) of each of consecutive steps, oldest first (spec §C.2, §C.3).

    The first step, and any that starts another scene than the step before, has no history.
    """
    absolute = [absolute_can_bus(record, orientation=quirks.can_bus_orientation) for record in records]
    steps = []
    for step, record in enumerate(records):
        linked = step > 0 and record.scene_token == records[step - 1].scene_token
        previous = absolute[step - 1] if linked else None
        steps.append((relative_can_bus(absolute[step], previous, yaw_delta=quirks.yaw_delta), linked))
    return steps
