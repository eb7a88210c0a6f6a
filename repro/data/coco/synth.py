"""A synthetic COCO data set: drawn shapes under real category names, in the real schema that pycocotools reads.

What is drawn is a function of (seed, split, image); nothing licensed is in it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from repro.atomic import source_digest, write_json
from repro.data.records import DataError
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MARKER = "bevready-synth-coco.json"
SPLITS = ("train2017", "val2017")
SIZES = ((192, 256), (256, 192), (200, 240))  # rows, columns
JPEG_QUALITY = 95
MOST_OBJECTS = 5
CROWD_EVERY, EMPTY_EVERY = 4, 7  # images
SHAPES: dict[int, tuple[int, float, tuple[int, int, int]]] = {  # category → corners, turn (of one corner), BGR
    13: (8, 0.5, (40, 40, 210)),  # stop sign
    37: (32, 0.0, (230, 230, 235)),  # sports ball
    38: (4, 0.0, (200, 160, 30)),  # kite
    59: (3, 0.25, (60, 170, 240)),  # pizza
    72: (4, 0.5, (30, 30, 30)),  # tv
    85: (32, 0.0, (60, 140, 40)),  # clock
}
SUPER = {  # the last id of each super-category
    1: "person",
    9: "vehicle",
    15: "outdoor",
    25: "animal",
    33: "accessory",
    43: "sports",
    51: "kitchen",
    61: "food",
    70: "furniture",
    77: "electronic",
    82: "appliance",
    90: "indoor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthOptions:
    """What determines every byte of the data set: images for training and evaluation, and the seed."""

    seed: int = 0
    train: int = 12
    val: int = 4

    def __post_init__(self) -> None:
        if self.train < 1 or self.val < 1:
            raise DataError(f"{self.train} training and {self.val} evaluation images; choose at least 1 of each")


def write_synth_coco(
    root: Path, options: SynthOptions, *, tell: Callable[[int, int], None] = lambda _done, _total: None
) -> bool:
    """Make sure `root` holds the data set of these options; return whether it had to be written.

    It is built beside `root` and takes its place when whole. `tell(done, total)` hears about images. Raises DataError
    when `root` holds something that this function did not write.
    """
    about = {
        "what": "synthetic data in the COCO format, made by bevready; not COCO",
        **asdict(options),
        "source": source_digest(Path(__file__)),
    }
    if _read_marker(root) == about:
        return False
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    done, total = 0, options.train + options.val
    for split, count in zip(SPLITS, (options.train, options.val), strict=True):
        _write_split(part, split, count, options.seed)
        done += count
        tell(done, total)
    write_json(part / MARKER, about)
    if root.exists():
        shutil.rmtree(root)
    part.rename(root)
    return True


def synth_options_of(root: Path) -> SynthOptions:
    """Return the options that a synthetic data set was made with, the usual ones where there is none yet."""
    about = _read_marker(root)
    numbers = {key: about.get(key) for key in ("seed", "train", "val")} if isinstance(about, dict) else {}
    return SynthOptions(**{key: value for key, value in numbers.items() if isinstance(value, int)})


def _read_marker(root: Path) -> object:
    """Return what a synthetic data set says of itself, None for a new or empty place. Raises DataError for others."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return None
    try:
        about: object = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{root}: not a synthetic COCO data set (no readable {MARKER}), so it is left alone; choose another "
            "--dataroot, or read it as it is with --data coco"
        ) from error
    return about


def _write_split(root: Path, split: str, count: int, seed: int) -> None:
    """Write the images of a split and its annotation file."""
    (root / split).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        rng = np.random.RandomState(np.random.SeedSequence((seed, SPLITS.index(split), number)).generate_state(4))
        image_id = 1 + number + 100_000 * SPLITS.index(split)
        pixels, objects = _draw(number, rng)
        images.append(_image_row(image_id, pixels.shape[:2]))
        annotations += [{"id": len(annotations) + i, "image_id": image_id, **row} for i, row in enumerate(objects, 1)]
        encoded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert encoded, "OpenCV encodes every uint8 image"
        (root / split / images[-1]["file_name"]).write_bytes(data.tobytes())
    document = {
        "info": {"description": "synthetic: made by bevready, not COCO", "year": 2017, "version": "1.0"},
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"supercategory": _super(category), "id": category, "name": name}
            for category, name in COCO_CATEGORIES.items()
        ],
    }
    write_json(root / "annotations" / f"instances_{split}.json", document)


def _super(category: int) -> str:
    return next(name for last, name in SUPER.items() if category <= last)


def _image_row(image_id: int, size: tuple[int, ...]) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": f"{image_id:012d}.jpg",
        "coco_url": "",
        "height": size[0],
        "width": size[1],
        "date_captured": "2017-01-01 00:00:00",
        "flickr_url": "",
        "id": image_id,
    }


def _draw(number: int, rng: np.random.RandomState) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Return BGR pixels and the annotations of what was drawn on them; every seventh image stays empty."""
    rows, columns = SIZES[number % len(SIZES)]
    grey = rng.uniform(90, 150) + np.linspace(-20, 20, columns)[None, :, None] + rng.normal(0, 4, (rows, columns, 3))
    pixels = np.clip(grey, 0, 255).astype(np.uint8)
    objects: list[dict[str, Any]] = []
    if number % EMPTY_EVERY == EMPTY_EVERY - 1:
        return pixels, objects
    taken = np.zeros((rows, columns), bool)
    for _ in range(1 + rng.randint(MOST_OBJECTS)):
        row = _draw_shape(pixels, taken, rng)
        objects += [row] if row else []
    if number % CROWD_EVERY == CROWD_EVERY - 1:
        objects.append(_draw_crowd(pixels, taken, rng))
    return pixels, objects


def _draw_shape(pixels: NDArray[np.uint8], taken: NDArray[np.bool_], rng: np.random.RandomState) -> dict[str, Any]:
    """Draw one shape where nothing is yet and return its annotation, nothing when no free place was drawn."""
    rows, columns = taken.shape
    category = list(SHAPES)[rng.randint(len(SHAPES))]
    corners, turn, colour = SHAPES[category]
    for _ in range(20):
        half = rng.uniform(12, 45, 2)
        centre = np.array([rng.uniform(half[0], columns - half[0]), rng.uniform(half[1], rows - half[1])])
        angles = 2 * np.pi * (np.arange(corners) + turn) / corners
        unit = np.stack([np.cos(angles), np.sin(angles)], 1)
        polygon = centre + half * unit / np.abs(unit).max(0)
        x1, y1, x2, y2 = (int(v) for v in (*np.floor(polygon.min(0)), *np.ceil(polygon.max(0))))
        window = taken[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2]
        if not window.any():
            window[:] = True
            jitter = np.clip(np.array(colour) + rng.randint(-15, 16, 3), 0, 255)
            fixed = np.round(polygon * 16).astype(np.int32)
            cv2.fillPoly(pixels, [fixed], [int(value) for value in jitter], cv2.LINE_AA, 4)
            return _shape_row(category, polygon)
    return {}


def _shape_row(category: int, polygon: NDArray[np.float64]) -> dict[str, Any]:
    x, y = polygon.T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    box = [x.min(), y.min(), np.ptp(x), np.ptp(y)]
    return {
        "segmentation": [[round(float(value), 2) for value in polygon.ravel()]],
        "area": round(area, 4),
        "iscrowd": 0,
        "bbox": [round(float(value), 2) for value in box],
        "category_id": category,
    }


def _draw_crowd(pixels: NDArray[np.uint8], taken: NDArray[np.bool_], rng: np.random.RandomState) -> dict[str, Any]:
    """Scatter small discs over a corner and return them as one crowd, outlined by run lengths."""
    rows, columns = taken.shape
    mask = np.zeros((rows, columns), np.uint8)
    for x, y in zip(rng.randint(4, columns // 4, 6), rng.randint(4, rows // 4, 6), strict=True):
        cv2.circle(mask, (int(x), int(y)), 3, (1,), -1)
    mask[taken] = 0
    mask[0, 0] = 1  # never empty
    pixels[mask == 1] = SHAPES[37][2]
    ys, xs = np.nonzero(mask)
    flat = mask.ravel(order="F")
    runs = np.diff(np.flatnonzero(np.diff(flat, prepend=flat[0] ^ 1, append=flat[-1] ^ 1)))
    counts = [0, *runs.tolist()] if flat[0] else runs.tolist()  # zeros come first
    return {
        "segmentation": {"counts": counts, "size": [rows, columns]},
        "area": int(mask.sum()),
        "iscrowd": 1,
        "bbox": [int(v) for v in (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)],
        "category_id": 37,
    }
