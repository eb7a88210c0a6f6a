"""Pixels: sky, street and cuboids as one camera sees them, with the number of whatever each pixel shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from repro.data.synth.rig import IMAGE_SIZE, Sensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from repro.data.synth.world import Actor, Pose, Road

NEAR_M = 0.3
SHIFT = 4  # cv2's fractional bits of polygon corners
COARSE = 2  # the street is computed at every second pixel
Color = tuple[int, int, int]
# class → body colour, BGR
BODY: dict[str, Color] = {
    "car": (180, 90, 40),
    "truck": (60, 140, 190),
    "construction_vehicle": (30, 190, 240),
    "bus": (60, 60, 200),
    "trailer": (170, 170, 150),
    "barrier": (40, 80, 235),
    "motorcycle": (150, 40, 150),
    "bicycle": (80, 170, 60),
    "pedestrian": (120, 70, 90),
    "traffic_cone": (0, 110, 255),
}
GLASS, LAMP, TAIL, SKIN, WHITE, DARK = (
    (70, 55, 45),
    (210, 250, 255),
    (30, 30, 220),
    (150, 180, 225),
    (235,) * 3,
    (35,) * 3,
)
SKY_LOW, SKY_HIGH = np.array([235, 215, 190], np.float32), np.array([190, 130, 70], np.float32)
GROUND = np.array([[92, 90, 88], [140, 148, 152], [70, 120, 85], [225, 225, 225]], np.float32)  # road … markings
HAZE_M = 120
FACES = {  # name → four corner numbers, seen from outside: bottom left, bottom right, top right, top left
    "front": (1, 0, 4, 5),
    "back": (3, 2, 6, 7),
    "left": (2, 1, 5, 6),
    "right": (0, 3, 7, 4),
    "top": (7, 6, 5, 4),
}
SHADE = {"front": 1.0, "back": 0.8, "left": 0.9, "right": 0.7, "top": 1.15}
Patch = tuple[float, float, float, float, Color]  # left, bottom, right, top in 0..1 of a face, and a colour


@dataclass(frozen=True, slots=True)
class View:
    """A camera at one moment: `rotation` [3, 3] and `origin` [3] of camera from global, and its intrinsics."""

    camera: Sensor
    rotation: NDArray[np.float64]
    origin: NDArray[np.float64]

    def seen(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return global points [..., 3] in the camera's frame (x right, y down, z ahead)."""
        return np.asarray((points - self.origin) @ self.rotation.T)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return camera points [..., 3] with z > 0 as pixels [..., 2]."""
        intrinsic = np.array(self.camera.intrinsic)
        projected = points @ intrinsic.T
        return np.asarray(projected[..., :2] / projected[..., 2:])


def view_of(camera: Sensor, ego: Pose) -> View:
    """Return the view of a camera on a car at `ego`."""
    cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
    global_from_ego = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    global_from_camera = global_from_ego @ camera.ego_from_sensor
    origin = global_from_ego @ np.array(camera.translation) + np.array([ego.x, ego.y, 0.0])
    return View(camera, global_from_camera.T, origin)


def corners_of(actor: Actor, pose: Pose) -> NDArray[np.float64]:
    """Return the eight corners [8, 3]: front right, front left, back left, back right; bottom, then top."""
    width, length, height = actor.size
    x = np.array([1, 1, -1, -1] * 2) * length / 2
    y = np.array([-1, 1, 1, -1] * 2) * width / 2
    z = np.repeat([0.0, height], 4)
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    return np.stack([pose.x + cos * x - sin * y, pose.y + sin * x + cos * y, z], -1)


def draw(view: View, road: Road, actors: Sequence[tuple[Actor, Pose]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the picture [900, 1600, 3] BGR and, for each pixel, 1 + the position of the actor seen there, else 0."""
    picture = background(view, road)
    owner = np.zeros(IMAGE_SIZE, np.uint8)
    placed = [(number, actor, corners_of(actor, pose)) for number, (actor, pose) in enumerate(actors)]
    placed.sort(key=lambda item: -float(np.linalg.norm(view.seen(item[2]).mean(0))))  # the farthest first
    for number, actor, corners in placed:
        camera_corners = view.seen(corners)
        if (camera_corners[:, 2] < NEAR_M).all():
            continue
        for name, quad in _facing(camera_corners):
            outline = _outline(view, quad)
            if outline is None:
                continue
            cv2.fillConvexPoly(owner, outline, (number + 1,), lineType=cv2.LINE_8, shift=SHIFT)
            for left, bottom, right, top, color in patches(actor.kind, name):
                patch = _outline(view, _part(quad, left, bottom, right, top))
                if patch is not None:
                    shaded = tuple(min(255.0, c * SHADE[name]) for c in color)
                    cv2.fillConvexPoly(picture, patch, shaded, lineType=cv2.LINE_AA, shift=SHIFT)
    return picture, owner


def silhouette(view: View, corners: NDArray[np.float64]) -> int:
    """Return how many pixels of the image a cuboid would cover with nothing in front of it."""
    camera_corners = view.seen(corners)
    if (camera_corners[:, 2] < NEAR_M).all():
        return 0
    outlines = [o for _, quad in _facing(camera_corners) if (o := _outline(view, quad)) is not None]
    if not outlines:
        return 0
    points = np.concatenate(outlines) / (1 << SHIFT)
    low = np.clip(np.floor(points.min(0)).astype(int), 0, (IMAGE_SIZE[1], IMAGE_SIZE[0]))
    high = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, (IMAGE_SIZE[1], IMAGE_SIZE[0]))
    columns, rows = high - low
    if columns <= 0 or rows <= 0:
        return 0
    canvas = np.zeros((rows, columns), np.uint8)
    for outline in outlines:
        cv2.fillConvexPoly(canvas, outline - (low << SHIFT).astype(np.int32), (1,), lineType=cv2.LINE_8, shift=SHIFT)
    return int(np.count_nonzero(canvas))


def background(view: View, road: Road) -> NDArray[np.uint8]:
    """Return sky, grass and the street with its markings, fixed to the ground so that driving shows as flow."""
    rows, columns = IMAGE_SIZE[0] // COARSE, IMAGE_SIZE[1] // COARSE
    focal, center = view.camera.focal, view.camera.center
    assert focal is not None, view.camera.channel
    assert center is not None, view.camera.channel
    right = (np.arange(columns, dtype=np.float32) * COARSE - np.float32(center[0])) / np.float32(focal)
    below = (np.arange(rows, dtype=np.float32)[:, None] * COARSE - np.float32(center[1])) / np.float32(focal)
    # a ray (right, below, 1) of the camera in global coordinates, one plane an axis
    x, y, z = (right * r[0] + below * r[1] + r[2] for r in view.rotation.T.astype(np.float32))
    up = np.clip(z / np.sqrt(right * right + below * below + 1), 0, 1)[..., None]
    picture = SKY_LOW * (1 - up) + SKY_HIGH * up
    first = int(np.argmax((z < -1e-3).any(1)))  # the first row that sees any ground
    down = z[first:] < -1e-3
    distance = np.where(down, -np.float32(view.origin[2]) / np.minimum(z[first:], -1e-3), 0)
    ground = _ground(
        np.float32(view.origin[0]) + distance * x[first:], np.float32(view.origin[1]) + distance * y[first:], road
    )
    clear = (np.clip(1 - distance / HAZE_M, 0, 1) * down)[..., None]
    picture[first:] += (ground - picture[first:]) * clear
    full = cv2.resize(picture.astype(np.uint8), (IMAGE_SIZE[1], IMAGE_SIZE[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, np.uint8)


def _ground(x: NDArray[np.float32], y: NDArray[np.float32], road: Road) -> NDArray[np.float32]:
    """Return the colour [..., 3] of the ground at global (x, y)."""
    radius = np.float32(1 / road.curvature)
    side = np.copysign(np.float32(1), radius)
    east, north = (x - np.float32(road.center[0])) * side, (y - np.float32(road.center[1])) * side
    d = radius - side * np.hypot(east, north)  # metres left of the middle of the road
    s = np.arctan2(east, -north) * radius  # metres along it
    kind = (np.abs(d + 0.5) >= 8.6).astype(np.uint8) + (np.abs(d) >= 12.5)
    dashes = (np.abs(d - 1.85) < 0.09) & (np.mod(s, 6) < 3)
    edges = (np.abs(d + 3.5) < 0.08) | (np.abs(d - 5.7) < 0.08)
    kind[dashes | edges] = 3
    fine = (np.floor(x).astype(np.int32) + np.floor(y).astype(np.int32)) & 1
    coarse = (np.floor(x / 5).astype(np.int32) + np.floor(y / 5).astype(np.int32)) & 1
    shade = (fine * 8 + coarse * 10).astype(np.float32)
    return np.asarray(GROUND[kind] + shade[..., None])


def patches(kind: str, face: str) -> Iterator[Patch]:
    """Yield the coloured rectangles of a face, the body first: they tell class and heading."""
    yield (0, 0, 1, 1, BODY[kind])
    if kind in {"pedestrian", "bicycle", "motorcycle"}:
        yield (0.3, 0.8, 0.7, 1, SKIN if face != "back" else DARK)
        if kind != "pedestrian" and face in {"left", "right"}:
            yield (0, 0, 0.4, 0.4, DARK)
            yield (0.6, 0, 1, 0.4, DARK)
    elif kind == "traffic_cone":
        yield (0, 0.45, 1, 0.7, WHITE)
    elif kind == "barrier":
        for bar in range(4):
            yield (bar / 4, 0, bar / 4 + 0.125, 1, WHITE)
    else:
        yield from _vehicle(kind, face)


def _vehicle(kind: str, face: str) -> Iterator[Patch]:
    if face == "front":
        yield (0.08, 0.5, 0.92, 0.9, GLASS)
        yield (0.05, 0.15, 0.25, 0.3, LAMP)
        yield (0.75, 0.15, 0.95, 0.3, LAMP)
    elif face == "back":
        yield (0.05, 0.2, 0.2, 0.4, TAIL)
        yield (0.8, 0.2, 0.95, 0.4, TAIL)
    elif face == "top":
        yield (0.1, 0.82, 0.9, 0.97, WHITE)  # a bar across the roof, at the front
    else:
        yield (0, 0, 1, 0.12, DARK)
        windows = {"car": 2, "bus": 6, "truck": 1, "construction_vehicle": 1}.get(kind, 0)
        for window in range(windows):
            left = (window + 0.15) / max(windows, 2)
            yield (left, 0.55, left + 0.7 / max(windows, 2), 0.88, GLASS)


def _facing(corners: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the faces [4, 3] of camera-frame corners [8, 3] that turn to the camera."""
    middle = corners.mean(0)
    for name, numbers in FACES.items():
        quad = corners[list(numbers)]
        outward = quad.mean(0) - middle
        if float(outward @ quad.mean(0)) < 0:
            yield name, quad


def _part(quad: NDArray[np.float64], left: float, bottom: float, right: float, top: float) -> NDArray[np.float64]:
    """Return the rectangle [4, 3] of a face between fractions of its width and height."""
    a, b, c, d = quad

    def at(u: float, v: float) -> NDArray[np.float64]:
        return np.asarray((a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v)

    return np.stack([at(left, bottom), at(right, bottom), at(right, top), at(left, top)])


def _outline(view: View, polygon: NDArray[np.float64]) -> NDArray[np.int32] | None:
    """Return a camera-frame polygon as cv2's fixed-point pixels, cut at the near plane; None if nothing is left."""
    kept: list[NDArray[np.float64]] = []
    for here, there in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            kept.append(here + (there - here) * ((NEAR_M - here[2]) / (there[2] - here[2])))
    if len(kept) < 3:
        return None
    return np.asarray(np.round(view.pixels(np.stack(kept)) * (1 << SHIFT)), np.int32)
