"""The synthetic car's CAN bus: 50 Hz pose messages derived from the same trajectory as its ego poses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repro.data.synth.world import Ego

RATE_HZ = 50
MARGIN_S = 0.5
GRAVITY = 9.81


def pose_messages(ego: Ego, start_us: int, seconds: float) -> list[dict[str, Any]]:
    """Return the messages from half a second before the first key frame to half a second after the last."""
    count = int((seconds + 2 * MARGIN_S) * RATE_HZ) + 1
    return [_message(ego, start_us, step / RATE_HZ - MARGIN_S) for step in range(count)]


def _message(ego: Ego, start_us: int, t: float) -> dict[str, Any]:
    """Return one message: position and orientation are global, the rest in the car's frame (SI units)."""
    pose = ego.pose(t)
    speed, yaw_rate, sideways = ego.motion(t)
    return {
        "accel": [ego.acceleration, sideways, GRAVITY],
        "orientation": list(pose.quaternion),
        "pos": [pose.x, pose.y, 0.0],
        "rotation_rate": [0.0, 0.0, yaw_rate],
        "utime": start_us + round(t * 1e6),
        "vel": [speed, 0.0, 0.0],
    }
