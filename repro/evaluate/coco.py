"""COCO's average precision over boxes (spec §H) through faster-coco-eval: the figures of pycocotools, sooner."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from repro.artifacts import COCO_FIGURES, CocoMetrics, PrecisionCurves
from repro.atomic import replacing
from repro.evaluate.curves import write_curves
from repro.evaluate.formatting import EvaluationError
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.data.coco import CocoImage, CocoIndex
    from repro.tensors import ImageDetections

AGAIN = "delete the run's evaluate.json to write it again"
CATEGORY_IDS = tuple(COCO_CATEGORIES)
Real = Annotated[float, Field(allow_inf_nan=False)]


class CocoBox(TypedDict):
    """One detection as COCO's result files hold it: x, y, w, h in pixels of the image file."""

    image_id: int
    category_id: int
    bbox: list[Real]
    score: Real


_RESULTS = TypeAdapter(list[CocoBox])


def format_image(detections: ImageDetections, image_id: int, labels: str) -> list[CocoBox]:
    """Return the entries of one image, best first; labels that are no category of COCO are left out (spec §H, §J.1).

    `labels` is the recipe's: "contiguous" (places in the list of categories) or "category_id".
    """
    corners = detections.boxes.double().cpu()
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()
    scores, found = detections.scores.double().tolist(), detections.labels.tolist()
    ids = [CATEGORY_IDS[label] for label in found] if labels == "contiguous" else found
    return [
        CocoBox(image_id=image_id, category_id=category, bbox=box, score=score)
        for category, box, score in zip(ids, boxes, scores, strict=True)
        if category in COCO_CATEGORIES
    ]


def write_coco_results(path: Path, results: Mapping[int, Sequence[CocoBox]]) -> None:
    """Write a COCO result file, whole or not at all. Raises EvaluationError for a value that is not finite."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write("[")
        separator = "\n"
        for image_id, entries in results.items():
            try:
                lines = [json.dumps(entry, allow_nan=False) for entry in entries]
            except ValueError as error:
                raise EvaluationError(
                    f"image {image_id}: a detection has a value that is not finite; the model diverged: train again "
                    "with a lower [optimizer] lr, or choose an earlier checkpoint"
                ) from error
            for line in lines:
                file.write(separator + line)
                separator = ",\n"
        file.write("\n]\n")


def read_coco_results(path: Path) -> list[CocoBox]:
    """Return the entries of a COCO result file. Raises EvaluationError when it is damaged."""
    try:
        return _RESULTS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EvaluationError(f"{path}: not a COCO result file ({str(error).splitlines()[0]}); {AGAIN}") from error


def evaluate_boxes(
    results: Path, index: CocoIndex, positions: Collection[int], eval_set: str, *, curves: Path | None = None
) -> CocoMetrics:
    """Return COCO's figures of a result file over the images at `positions` of a split.

    `curves` is where to leave the precision-recall curves behind them.

    Raises EvaluationError for a damaged file, for boxes of other images, and when there is nothing to find.
    """
    began = time.monotonic()
    found = read_coco_results(results)
    images = [index[position] for position in sorted(positions)]
    strangers = sorted({entry["image_id"] for entry in found} - {image.id for image in images})
    if strangers:
        raise EvaluationError(
            f"{results}: boxes of {len(strangers)} images that were not evaluated on {eval_set} (the first is image "
            f"{strangers[0]}); name the data set it was made on with --dataroot"
        )
    if all(image.crowds.all() for image in images):
        raise EvaluationError(
            f"no annotated box (crowds aside) in the {len(images)} evaluated images of {eval_set}; "
            "choose more images or another set"
        )
    truth = COCO(ground_truth_document(images))
    scored = COCOeval_faster(truth, truth.loadRes(found), "bbox")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    if curves is not None:
        write_curves(curves, class_curves(np.asarray(scored.eval["precision"])))
    return CocoMetrics(
        figures={name: _known(value) for name, value in zip(COCO_FIGURES, scored.stats, strict=False)},
        classes=class_precision(np.asarray(scored.eval["precision"])),
        eval_set=eval_set,
        samples=len(images),
        samples_in_split=len(index),
        detections=len(found),
        results=results.name,
        seconds=time.monotonic() - began,
    )


def ground_truth_document(images: Iterable[CocoImage]) -> dict[str, Any]:
    """Return what COCO's evaluators read: images, boxes with their areas and crowds, categories.

    Annotations are numbered anew from 1: an annotation numbered 0 would count as unmatched.
    """
    document: dict[str, Any] = {"images": [], "annotations": [], "info": {}}
    for image in images:
        document["images"].append({"id": image.id, "height": image.height, "width": image.width})
        for row in range(len(image.annotation_ids)):
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image.id,
                    "category_id": int(image.categories[row]),
                    "bbox": image.boxes[row].tolist(),
                    "area": float(image.areas[row]),
                    "iscrowd": int(image.crowds[row]),
                }
            )
    document["categories"] = [{"id": id_, "name": name} for id_, name in COCO_CATEGORIES.items()]
    return document


def class_precision(precision: NDArray[np.float64]) -> dict[str, float | None]:
    """Return AP by category name of precisions [T, R, K, A, M], None where no image has one of it."""
    everything = precision[:, :, :, 0, -1]  # all areas, most detections
    means = {}
    for k, name in enumerate(COCO_CATEGORIES.values()):
        values = everything[:, :, k]
        means[name] = float(values[values > -1].mean()) if (values > -1).any() else None
    return means


def class_curves(precision: NDArray[np.float64]) -> PrecisionCurves:
    """Return precision by category name and IoU of precisions [T, R, K, A, M] at 0.50, 0.55, … 0.95.

    Thresholds are 0.5, 0.75 and the mean over all ten; "all classes" is the mean over the categories that are there.
    """
    everything = precision[:, :, :, 0, -1]  # all areas, most detections
    there = [k for k in range(everything.shape[2]) if (everything[:, :, k] > -1).any()]
    names = tuple(COCO_CATEGORIES.values())
    values = {"all classes": everything[:, :, there].mean(2)} if there else {}
    values |= {names[k]: everything[:, :, k] for k in there}
    return PrecisionCurves(
        unit="IoU",
        classes={
            name: {
                "0.5": tuple(of[0].tolist()),
                "0.75": tuple(of[5].tolist()),
                "0.5 to 0.95": tuple(of.mean(0).tolist()),
            }
            for name, of in values.items()
        },
    )


def _known(value: float) -> float | None:
    """Return a figure, None where COCO says -1: no ground truth of that size."""
    return None if value < 0 else float(value)
