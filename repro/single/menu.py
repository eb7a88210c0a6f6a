"""`predict` as typed: one frame or image and one checkpoint in, boxes as JSON and a drawing out; and an example."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from repro.atomic import sha256_of, write_json
from repro.data import DataError
from repro.data.synth import write_synth
from repro.evaluate.formatting import EvaluationError
from repro.prepare import open_index
from repro.recipe import Recipe, load_any_recipe, load_recipe
from repro.single.calibration import FILE, check_photos, read_frame, write_frame
from repro.single.detect import detect_frame, detect_image, read_picture
from repro.visualise.cuboids import cuboids_of_results
from repro.visualise.frame import FrameView, draw_frame
from repro.visualise.image import ImageView, draw_image, found_boxes
from repro.visualise.paper import save_png
from repro.visualise.records import camera_views, points_of, truth_of
from repro.weights import CheckpointError

if TYPE_CHECKING:
    import argparse

    from matplotlib.figure import Figure

    from repro.data import FrameRecord
    from repro.recipe import DetrRecipe

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
CACHE = Path("data") / "index"
VERSIONS = ("v1.0-trainval", "v1.0-mini", "v1.0-test")
USER_ERRORS = (DataError, CheckpointError, EvaluationError)
EXAMPLE_OF = "bevformer_tiny"  # every BEVFormer recipe has the same cameras


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found in a frame or image: its name, the entries, best first, and the picture."""

    name: str
    boxes: list[dict[str, Any]]
    figure: Figure


def predict(words: argparse.Namespace) -> int:
    """Do what `python -m repro predict` was asked for; return its exit code."""
    try:
        return _example(words) if words.example is not None else _predict(words)
    except USER_ERRORS as error:
        sys.stderr.write(f"{error}\n")
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'writing'}: {error.strerror}; choose another folder with --out DIR\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return BAD_INPUT


def _predict(words: argparse.Namespace) -> int:
    lacking = [f"--{name}" for name in ("recipe", "checkpoint", "frame") if getattr(words, name) is None]
    if lacking:
        raise DataError(f"{', '.join(lacking)}: missing; predict needs a recipe, a checkpoint and a frame")
    if not 0 <= words.threshold <= 1:
        raise DataError(f"--threshold {words.threshold:g}: expected a score from 0 to 1")
    recipe = load_any_recipe(words.recipe)
    found = _in_frame(recipe, words) if isinstance(recipe, Recipe) else _in_image(recipe, words)
    document = {
        "schema_version": 1,
        "recipe": recipe.name,
        "checkpoint": str(words.checkpoint),
        "checkpoint_sha256": sha256_of(words.checkpoint),
        "frame": found.name,
        "boxes": found.boxes,
    }
    folder: Path = words.out or Path("predictions") / found.name
    write_json(folder / "boxes.json", document)
    save_png(folder / "picture.png", found.figure)
    if words.json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join([*_lines(found, words.threshold), *(f"{folder / name}" for name in FILES)]) + "\n")
    return OK


FILES = ("boxes.json", "picture.png")
SHOWN = 10


def _lines(found: Found, threshold: float) -> list[str]:
    """Return a line for each of the best boxes over the threshold, and one that counts them."""
    scores = [float(box["score"] if "bbox" in box else box["detection_score"]) for box in found.boxes]
    over = [box for box, score in zip(found.boxes, scores, strict=True) if score >= threshold]
    best = f", the best {max(scores):.2f}" if scores else ""
    lines = [f"{found.name}: {len(over)} of {len(found.boxes)} boxes score at least {threshold:g}{best}"]
    return lines + [_line(box) for box in over[:SHOWN]]


def _line(box: dict[str, Any]) -> str:
    if "bbox" in box:
        x, y, w, h = box["bbox"]
        return f"  {box['category_name']} {box['score']:.2f}  x {x:.0f}, y {y:.0f}, {w:.0f} × {h:.0f} pixels"
    x, y, z = box["ego_translation"]
    name, score = box["detection_name"].replace("_", " "), box["detection_score"]
    return f"  {name} {score:.2f}  {x:+.1f} m forward, {y:+.1f} m left, {z:+.1f} m up (ego frame)"


def _device(words: argparse.Namespace) -> str:
    if words.device != "auto":
        return str(words.device)
    return "cuda" if torch.cuda.is_available() else "cpu"


def _in_frame(recipe: Recipe, words: argparse.Namespace) -> Found:
    record, dataroot = _frame(recipe, words)
    boxes = detect_frame(recipe, words.checkpoint, record, dataroot, device=_device(words))
    view = FrameView(
        title=f"{recipe.name} · {record.scene_name} · {record.token} · a single frame, without history",
        cameras=camera_views(record, dataroot, recipe.images.raw_size),
        truth=truth_of(record, recipe.data.classes) if record.names else None,
        predictions=cuboids_of_results(boxes, record),
        threshold=words.threshold,
        bev_range=recipe.model.bev.range,
        points=points_of(record, dataroot),
    )
    return Found(name=record.token, boxes=boxes, figure=draw_frame(view))


def _in_image(recipe: DetrRecipe, words: argparse.Namespace) -> Found:
    path = Path(words.frame)
    pixels = read_picture(path)
    boxes = detect_image(recipe, words.checkpoint, pixels, device=_device(words))
    view = ImageView(
        title=f"{recipe.name} · {path.name}",
        pixels=np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8),
        truth=None,
        predictions=found_boxes(boxes),
        threshold=words.threshold,
    )
    return Found(name=path.stem, boxes=boxes, figure=draw_image(view))


def _frame(recipe: Recipe, words: argparse.Namespace) -> tuple[FrameRecord, Path]:
    """Return the frame that --frame names, and the folder its image paths start from."""
    folder = Path(words.frame)
    if folder.is_dir():
        record = read_frame(folder, recipe.data.cameras)
        check_photos(record, folder, recipe.images.raw_size)
        return record, folder
    if folder.suffix or "/" in words.frame:
        raise DataError(
            f"--frame {words.frame}: no such folder; expected a folder with six JPEGs and {FILE}, or a sample token "
            f"with --dataroot; `predict --example DIR` writes such a folder"
        )
    return record_of(recipe, words.frame, words.dataroot), words.dataroot


def record_of(recipe: Recipe, token: str, dataroot: Path) -> FrameRecord:
    """Return the key frame called `token` of the nuScenes tables in `dataroot`. Raises DataError without one."""
    versions = [version for version in VERSIONS if (dataroot / version).is_dir()]
    if not versions:
        raise DataError(f"{dataroot}: no nuScenes tables ({', '.join(VERSIONS)}) to look up sample {token}; --dataroot")
    for version in versions:
        index = open_index(dataroot, version, recipe, CACHE)
        tokens = index.table["token"].to_pylist()
        if token in tokens:
            return index[tokens.index(token)]
    raise DataError(f"--frame {token}: no folder, and no sample of {', '.join(versions)} in {dataroot}")


def _example(words: argparse.Namespace) -> int:
    """Write a frame folder: the one that --frame TOKEN names, or a synthetic one."""
    recipe, target = load_recipe(words.recipe or EXAMPLE_OF), words.example
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise DataError(f"--example {target}: there already; name a folder that does not exist")
    if words.frame:
        write_frame(target, record_of(recipe, words.frame, words.dataroot), words.dataroot)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "synth"
            write_synth(root, scenes=2, frames=1)
            write_frame(target, open_index(root, "v1.0-mini", recipe, Path(scratch))[0], root)
    sys.stdout.write(f"{target}: {len(recipe.data.cameras)} photos and {FILE}\n")
    return OK
