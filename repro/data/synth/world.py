"""The synthetic street: a curved road, a car that drives along it, and traffic of all ten classes around the car.

Everything is a function of time; nothing here draws or writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]

# detection class → (raw category, width, length, height in metres)
KINDS: dict[str, tuple[str, float, float, float]] = {
    "car": ("vehicle.car", 1.95, 4.6, 1.7),
    "truck": ("vehicle.truck", 2.5, 6.9, 2.8),
    "construction_vehicle": ("vehicle.construction", 2.7, 6.4, 3.2),
    "bus": ("vehicle.bus.rigid", 2.9, 11.0, 3.5),
    "trailer": ("vehicle.trailer", 2.9, 12.0, 3.8),
    "barrier": ("movable_object.barrier", 2.5, 0.5, 1.0),
    "motorcycle": ("vehicle.motorcycle", 0.8, 2.1, 1.5),
    "bicycle": ("vehicle.bicycle", 0.6, 1.7, 1.3),
    "pedestrian": ("human.pedestrian.adult", 0.7, 0.7, 1.75),
    "traffic_cone": ("movable_object.trafficcone", 0.4, 0.4, 1.05),
}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where something stands in the global frame: x, y in metres, heading in radians."""

    x: float
    y: float
    yaw: float

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """The rotation about z as (w, x, y, z)."""
        return (math.cos(self.yaw / 2), 0.0, 0.0, math.sin(self.yaw / 2))


@dataclass(frozen=True, slots=True)
class Road:
    """A street of constant curvature. Coordinates along it: s metres ahead of its start, d metres to the left."""

    start: Point
    heading: float
    curvature: float

    def pose(self, s: float, d: float) -> Pose:
        """Return the pose at (s, d), heading along the road."""
        yaw = self.heading + self.curvature * s
        x = self.start[0] + (math.sin(yaw) - math.sin(self.heading)) / self.curvature - d * math.sin(yaw)
        y = self.start[1] - (math.cos(yaw) - math.cos(self.heading)) / self.curvature + d * math.cos(yaw)
        return Pose(x, y, yaw)

    @property
    def center(self) -> Point:
        """The centre of the circle that the road is part of."""
        radius = 1 / self.curvature
        return (
            self.start[0] - radius * math.sin(self.heading),
            self.start[1] + radius * math.cos(self.heading),
        )


@dataclass(frozen=True, slots=True)
class Ego:
    """The car: arc length s = speed·t + acceleration·t²/2 along the middle of the road."""

    road: Road
    speed: float
    acceleration: float

    def travelled(self, t: float) -> float:
        """Return the metres driven since t = 0."""
        return self.speed * t + 0.5 * self.acceleration * t * t

    def pose(self, t: float) -> Pose:
        """Return the pose at t seconds."""
        return self.road.pose(self.travelled(t), 0.0)

    def motion(self, t: float) -> tuple[float, float, float]:
        """Return speed (m/s), yaw rate (rad/s) and lateral acceleration (m/s²) at t."""
        speed = self.speed + self.acceleration * t
        return speed, speed * self.road.curvature, speed * speed * self.road.curvature


@dataclass(frozen=True, slots=True)
class Actor:
    """A cuboid that moves along the road at its own speed; a negative speed drives against it."""

    number: int
    kind: str
    size: tuple[float, float, float]
    s: float
    d: float
    speed: float
    turned: float
    road: Road

    def pose(self, t: float) -> Pose:
        """Return the pose of its centre's foot at t; it looks where it drives."""
        place = self.road.pose(self.s + self.speed * t, self.d)
        backwards = math.pi if self.speed < 0 else 0.0
        return Pose(place.x, place.y, place.yaw + backwards + self.turned)

    @property
    def attribute(self) -> str:
        """The nuScenes attribute that fits its class and motion, or nothing."""
        moving = abs(self.speed) > 0.2
        if self.kind in {"barrier", "traffic_cone"}:
            return ""
        if self.kind == "pedestrian":
            return "pedestrian.moving" if moving else "pedestrian.standing"
        if self.kind in {"bicycle", "motorcycle"}:
            return "cycle.with_rider" if moving else "cycle.without_rider"
        return "vehicle.moving" if moving else "vehicle.parked"


@dataclass(frozen=True, slots=True)
class Lane:
    """A strip along the road whose actors share one speed, so that they never meet: d metres left of the middle."""

    d: float
    kinds: tuple[str, ...]
    gap: float
    speed: float
    turned: float = 0.0


def make_scene(seed: int, number: int, seconds: float) -> tuple[Ego, tuple[Actor, ...]]:
    """Return the car and the traffic of scene `number`; the same seed gives the same street."""
    rng = np.random.default_rng([seed, number])
    heading = rng.uniform(-math.pi, math.pi) if number % 2 else 2 * math.pi - 0.05 + rng.uniform(0, 0.02)
    curvature = float(rng.choice([-1, 1])) / rng.uniform(60, 300)
    road = Road((600.0 + 300.0 * number, 1600.0 - 150.0 * number), heading, curvature)
    ego = Ego(road, speed=rng.uniform(3.5, 8.0), acceleration=rng.uniform(-0.2, 0.3))
    actors: list[Actor] = []
    for lane in _lanes(ego, rng):
        actors += _fill(lane, road, rng, first=len(actors), reach=ego.travelled(seconds))
    return ego, tuple(actors)


def _lanes(ego: Ego, rng: np.random.Generator) -> tuple[Lane, ...]:
    """Return the strips from right to left; the car's own lane leaves room around it."""
    walk, ride = rng.uniform(0.8, 1.5), rng.uniform(2.5, 4.5)
    return (
        Lane(-11.6, ("pedestrian",), 7.0, -walk),
        Lane(-10.4, ("pedestrian", "pedestrian", "bicycle"), 9.0, 0.0),
        Lane(-8.3, ("barrier", "traffic_cone", "traffic_cone"), 6.0, 0.0),
        Lane(-5.2, ("car", "trailer", "construction_vehicle", "truck", "car", "motorcycle"), 7.0, 0.0),
        Lane(-2.6, ("bicycle", "motorcycle"), 16.0, ride),
        Lane(0.0, ("car", "bus", "truck"), 16.0, ego.speed),
        Lane(3.7, ("car", "truck", "car", "motorcycle", "bus"), 12.0, -rng.uniform(5, 9)),
        Lane(7.2, ("car", "construction_vehicle", "car", "trailer"), 8.0, 0.0),
        Lane(10.3, ("traffic_cone", "barrier"), 8.0, 0.0),
        Lane(12.2, ("pedestrian",), 8.0, walk),
    )


def _fill(lane: Lane, road: Road, rng: np.random.Generator, *, first: int, reach: float) -> list[Actor]:
    """Place actors along a lane so that some are within 50 m of the car all the time."""
    back = -50.0 - max(lane.speed, 0.0) * 2
    ahead = reach + 50.0 + max(-lane.speed, 0.0) * 4
    s, actors = back + rng.uniform(0, lane.gap), list[Actor]()
    turn = int(rng.integers(len(lane.kinds)))
    while s < ahead:
        kind = lane.kinds[(turn + len(actors)) % len(lane.kinds)]
        _, width, length, height = KINDS[kind]
        scale = rng.uniform(0.93, 1.07, 3)
        size = (width * scale[0], length * scale[1], height * scale[2])
        s += size[1] / 2
        if lane.d or abs(s) > 9 + size[1] / 2:
            turned = rng.uniform(-math.pi, math.pi) if kind == "pedestrian" and lane.speed == 0 else lane.turned
            actors.append(Actor(first + len(actors), kind, size, s, lane.d, lane.speed, turned, road))
        s += size[1] / 2 + lane.gap * rng.uniform(0.6, 1.4)
    return actors
