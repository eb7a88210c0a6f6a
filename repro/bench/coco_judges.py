"""How much sooner faster-coco-eval judges boxes than pycocotools, and how far their figures are apart.

Run `python -m repro.bench.coco_judges [--images 300]`. The two are timed in turn on the same random boxes, in processor
seconds; the figure to quote is the median of the ratios, round by round. Figures are left in
`results/coco_judges.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faster_coco_eval
import numpy as np
from pycocotools import coco as pycocotools_coco
from pycocotools import cocoeval as pycocotools_eval

from repro.atomic import write_json
from repro.recipe.coco import COCO_CATEGORIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "coco_judges.json"
SIZE = (480, 640)  # rows, columns
MOST_TRUTHS, FOUND = 15, 100  # boxes of an image, and how many a detector reports at most
Document = dict[str, Any]
Found = list[dict[str, Any]]


def main() -> int:
    """Measure, write the results file and print it; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    words = parser.parse_args()
    figures = measure(images=words.images, rounds=words.rounds)
    write_json(RESULTS, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def measure(*, images: int, rounds: int) -> dict[str, object]:
    """Return seconds of both judges, their ratio, and the largest difference between precisions."""
    truth, found = random_boxes(np.random.RandomState(0), images)
    seconds: dict[str, list[float]] = {"pycocotools": [], "faster-coco-eval": []}
    judges = {
        "pycocotools": (pycocotools_coco.COCO, pycocotools_eval.COCOeval),
        "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    }
    precisions: dict[str, NDArray[np.float64]] = {}
    for _ in range(rounds):
        for name, (reader, judge) in judges.items():
            taken, precisions[name] = judged(reader, judge, truth, found)
            seconds[name].append(taken)
    slow, fast = seconds.values()
    one, other = precisions.values()
    return {
        "what": "processor seconds to judge random boxes; ratio: pycocotools over faster-coco-eval",
        "command": f"python -m repro.bench.coco_judges --images {images} --rounds {rounds}",
        "images": images,
        "boxes": {"to find": len(truth["annotations"]), "found": len(found)},
        "seconds": {name: round(statistics.median(values), 3) for name, values in seconds.items()},
        "ratio": round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2),
        "largest_difference": float(np.abs(one - other).max()),
    }


def random_boxes(rng: np.random.RandomState, images: int) -> tuple[Document, Found]:
    """Return annotations, and detections of which some are near them."""
    rows = [{"id": i, "width": SIZE[1], "height": SIZE[0]} for i in range(1, images + 1)]
    truths: Found = []
    found: Found = []
    for row in rows:
        boxes = _boxes(rng, rng.randint(1, MOST_TRUTHS + 1))
        categories = rng.choice(list(COCO_CATEGORIES), len(boxes)).tolist()
        for box, category in zip(boxes, categories, strict=True):
            area = float(box[2] * box[3])
            truth = {"id": len(truths) + 1, "image_id": row["id"], "area": area, "iscrowd": int(rng.rand() < 0.05)}
            truths.append({**truth, "category_id": category, "bbox": box.tolist()})
        near = boxes + rng.normal(0, 5, boxes.shape)
        others = _boxes(rng, FOUND - len(boxes))
        for box, category in zip(
            [*near, *others], [*categories, *rng.choice(list(COCO_CATEGORIES), len(others)).tolist()], strict=True
        ):
            entry = {"image_id": row["id"], "category_id": category, "score": float(rng.rand())}
            found.append({**entry, "bbox": box.clip(1).tolist()})
    categories_of = [{"id": id_, "name": name} for id_, name in COCO_CATEGORIES.items()]
    return {"info": {}, "images": rows, "annotations": truths, "categories": categories_of}, found


def judged(reader: Any, judge: Any, truth: Document, found: Found) -> tuple[float, NDArray[np.float64]]:
    """Return the processor seconds that a judge takes for boxes in memory, and its precisions [T, R, K, A, M]."""
    truth, found = copy.deepcopy(truth), copy.deepcopy(found)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = reader()
        coco.dataset = truth
        coco.createIndex()
        began = time.process_time()
        scored = judge(coco, coco.loadRes(found), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
        taken = time.process_time() - began
    return taken, np.asarray(scored.eval["precision"])


def _boxes(rng: np.random.RandomState, count: int) -> NDArray[np.float64]:
    """Return boxes [count, 4] as x, y, w, h, from small to large."""
    sizes = np.exp(rng.uniform(np.log(8), np.log(200), (count, 2)))
    corners = rng.uniform(0, 1, (count, 2)) * (np.array(SIZE[::-1]) - sizes)
    return np.concatenate([corners, sizes], 1)


if __name__ == "__main__":
    sys.exit(main())
