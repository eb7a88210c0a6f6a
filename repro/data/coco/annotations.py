"""COCO annotations: the JSON file read once, checked, and kept as columns without its outlines; and upstream's rules.

Which images and boxes count is decided here (spec §B.2); pixels are `images.py`'s business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repro.atomic import digest, replacing, sha256_of
from repro.data.records import DataError
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = 1
CATEGORY_IDS = np.array(tuple(COCO_CATEGORIES))  # ascending
Labels = Literal["contiguous", "category_id"]
ARCHIVE = "annotations_trainval2017.zip"
Real = Annotated[float, Field(allow_inf_nan=False)]


class _Lenient(BaseModel):
    """A row of the file: keys that bevready does not read (outlines, licences, URLs) are dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _ImageRow(_Lenient):
    id: int
    file_name: Annotated[str, Field(min_length=1)]
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]


class _AnnotationRow(_Lenient):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[Real, Real, Real, Real]
    area: Real
    iscrowd: bool = False
    ignore: bool = False


class _CategoryRow(_Lenient):
    id: int
    name: str


class _Document(_Lenient):
    images: tuple[_ImageRow, ...]
    annotations: tuple[_AnnotationRow, ...]
    categories: tuple[_CategoryRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoImage:
    """One image and everything annotated in it, in the file's order and without any rule applied.

    boxes [A, 4] float64 x, y, w, h in pixels; areas [A] float64 of the outlines, pixels²; the rest are [A] too.
    """

    id: int
    file_name: str
    height: int
    width: int
    annotation_ids: NDArray[np.int64]
    categories: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowds: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    @property
    def upright(self) -> bool:
        """Not wider than high; batches are made of images that agree in this (spec §B.2.4)."""
        return self.width <= self.height


class CocoIndex:
    """The images of one split by position, read from a memory-mapped file when asked for."""

    def __init__(self, path: Path) -> None:
        """Open an index file. Raises DataError when it is damaged."""
        self.path = path
        try:
            self.table: Any = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            meta = json.loads(self.table.schema.metadata[b"bevready"])
            self.fingerprint, self.num_boxes = str(meta["fingerprint"]), int(meta["boxes"])
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged ({error}); delete it, it is written anew from the annotations") from error

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> CocoImage:
        if not 0 <= index < len(self):
            raise IndexError(index)
        words = {name: self.table[name][index].as_py() for name in ("id", "file_name", "height", "width")}
        return CocoImage(
            **words,
            annotation_ids=self._array("annotation_ids", index, np.int64),
            categories=self._array("categories", index, np.int64),
            boxes=self._array("boxes", index, np.float64).reshape(-1, 4),
            areas=self._array("areas", index, np.float64),
            crowds=self._array("crowds", index, np.uint8).astype(bool),
            ignored=self._array("ignored", index, np.uint8).astype(bool),
        )

    def __reduce__(self) -> tuple[type[CocoIndex], tuple[Path]]:
        """Reach another process as a path: a worker maps the file itself instead of receiving its columns."""
        return CocoIndex, (self.path,)

    @property
    def file_names(self) -> list[str]:
        """The image files, by position."""
        return [str(name) for name in self.table["file_name"].to_pylist()]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows and columns of each image [N, 2]."""
        columns = [self.table[name].to_numpy() for name in ("height", "width")]
        return np.stack(columns, 1, dtype=np.int64)

    def trainable(self, smallest_side: int) -> list[int]:
        """Return the positions that training reads: sides of at least so many pixels, with boxes or without."""
        return [position for position, size in enumerate(self.sizes) if size.min() >= smallest_side]

    def _array(self, name: str, index: int, kind: type[np.generic]) -> NDArray[Any]:
        return np.array(self.table[name][index].values.to_numpy(zero_copy_only=False), kind)


def open_annotations(path: Path, cache: Path, *, tell: Callable[[str], None] = lambda _: None) -> CocoIndex:
    """Return the images of an annotation file, indexed under its SHA-256 in `cache` the first time.

    `tell` hears that the file is being read. Raises DataError when the file is missing, damaged, or no COCO detection.
    """
    fingerprint = fingerprint_of(path)
    index = cache / f"coco-{digest([FORMAT, fingerprint])}.arrow"
    if not index.is_file():
        tell(f"reading {path.name}")
        table = _table_of(read_annotations(path), fingerprint)
        with replacing(index) as part, pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
    return CocoIndex(index)


def fingerprint_of(path: Path) -> str:
    """Return what names the bytes of an annotation file. Raises DataError when it cannot be read."""
    try:
        return sha256_of(path)[:16]
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; extract {ARCHIVE} into the data root (it brings annotations/), or say where "
            "it is: --dataroot DIR"
        ) from error


def read_annotations(path: Path) -> _Document:
    """Return the checked rows of an annotation file. Raises DataError."""
    again = f"extract {ARCHIVE} again"
    try:
        rows = _Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {again}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise DataError(
            f"{path}: {place}: {first['msg']} ({error.error_count()} problems); expected a COCO detection file with "
            f"images, annotations and categories; {again}"
        ) from error
    _check_links(path, rows)
    return rows


def _check_links(path: Path, rows: _Document) -> None:
    """Raise DataError when rows do not fit together, or the categories are not those of COCO detection."""
    names = {row.id: row.name for row in rows.categories}
    if names != COCO_CATEGORIES:
        raise DataError(
            f"{path}: {len(names)} categories, expected the {len(COCO_CATEGORIES)} of COCO detection under their own "
            "ids (1 person … 90 toothbrush)"
        )
    images = {row.id for row in rows.images}
    if len(images) < len(rows.images):
        raise DataError(f"{path}: {len(rows.images) - len(images)} image ids stand there twice")
    lost = next((row for row in rows.annotations if row.image_id not in images), None)
    if lost is not None:
        raise DataError(f"{path}: annotation {lost.id} belongs to image {lost.image_id}, which the file does not have")


def _table_of(document: _Document, fingerprint: str) -> Any:
    """Return one row an image, in the file's order, as pycocotools gives them."""
    annotations: dict[int, list[_AnnotationRow]] = {}
    for row in document.annotations:
        annotations.setdefault(row.image_id, []).append(row)
    per_image = [annotations.get(image.id, []) for image in document.images]
    columns: dict[str, list[Any]] = {
        **{name: [getattr(image, name) for image in document.images] for name in _ImageRow.model_fields},
        "annotation_ids": [[row.id for row in rows] for rows in per_image],
        "categories": [[row.category_id for row in rows] for rows in per_image],
        "boxes": [[value for row in rows for value in row.bbox] for rows in per_image],
        "areas": [[row.area for row in rows] for rows in per_image],
        "crowds": [[int(row.iscrowd) for row in rows] for rows in per_image],
        "ignored": [[int(row.ignore) for row in rows] for rows in per_image],
    }
    number, real, flag = pa.list_(pa.int64()), pa.list_(pa.float64()), pa.list_(pa.uint8())
    kinds = {"id": pa.int64(), "file_name": pa.string(), "height": pa.int64(), "width": pa.int64()}
    kinds |= {"annotation_ids": number, "categories": number, "boxes": real, "areas": real}
    kinds |= {"crowds": flag, "ignored": flag}
    meta = json.dumps({"fingerprint": fingerprint, "boxes": len(document.annotations)})
    schema = pa.schema(list(kinds.items()), metadata={"bevready": meta})
    return pa.table({name: columns[name] for name in kinds}, schema=schema)


def boxes_to_find(image: CocoImage) -> NDArray[np.bool_]:
    """Return which annotations [A] training with mmdet sees (spec §B.2.1).

    Left out are crowds, ignored ones, those outside the image or without area, and sides under one pixel.
    """
    x, y, w, h = image.boxes.T
    inside_w = np.minimum(x + w, image.width) - np.maximum(x, 0)
    inside_h = np.minimum(y + h, image.height) - np.maximum(y, 0)
    there = (inside_w > 0) & (inside_h > 0) & (image.areas > 0) & (w >= 1) & (h >= 1)
    there &= ~image.crowds & ~image.ignored & np.isin(image.categories, CATEGORY_IDS)
    return np.asarray(there, bool)


def truth_of(image: CocoImage, labels: Labels) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes [G, 4] x1, y1, x2, y2 in pixels and labels [G] that training sees.

    With "contiguous" labels mmdet's rules hold and boxes are not clipped (spec §B.2.1); with "category_id" those of the
    original repository: clipped to the image, of positive extent, no crowds (spec §J.1).
    """
    corners = np.concatenate([image.boxes[:, :2], image.boxes[:, :2] + image.boxes[:, 2:]], 1).astype(np.float32)
    if labels == "contiguous":
        kept = boxes_to_find(image)
        return corners[kept], np.searchsorted(CATEGORY_IDS, image.categories[kept]).astype(np.int64)
    corners = np.clip(corners, 0, np.array([image.width, image.height] * 2, np.float32))
    kept = ~image.crowds & (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    return corners[kept], image.categories[kept]
