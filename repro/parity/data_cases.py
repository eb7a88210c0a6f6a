"""Golden cases of the data path: images, projections, CAN bus, ground truth, augmentation, result formatting."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from repro.data.augment import distort, grid_mask
from repro.data.can_bus import absolute_can_bus
from repro.data.dataset import FrameLoader, annotated, ground_truth
from repro.data.geometry import camera_from_lidar
from repro.evaluate.formatting import format_detections
from repro.parity.check import EXACT, MODULE, CaseResult, Check, Tolerance, compare, count_different
from repro.parity.frames import SIZES, records
from repro.parity.value_cases import gravity_centred
from repro.recipe import load_recipe
from repro.tensors import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.data.records import FrameRecord
    from repro.parity.golden import Arrays, GoldenSet

PIXEL = Tolerance(absolute=1e-5)  # of the normalised image: cv2 on both sides
PROJECTION = Tolerance(relative=1e-9, of_max=1e-12)
FORMATTED = Tolerance(absolute=1e-6, relative=1e-6)
PIXELS_255 = Tolerance(absolute=1e-3)  # grey levels of 0..255 through HSV and back in float32
STATISTIC = Tolerance(relative=1e-5, of_max=1e-5)


def pipeline(name: str, golden: GoldenSet) -> CaseResult:
    """`pipeline`: the test-time image pipeline of all three sizes, and the CAN bus vectors of two frames."""
    arrays, facts, frames = golden.arrays(name), golden.facts(name), records(golden)
    checks: list[Check] = []
    for size in SIZES:
        recipe = load_recipe(f"bevformer_{size}")
        frame = FrameLoader(golden.folder / "real_frame", recipe).load(frames[0], frames[0].can_bus, has_history=False)
        images = frame.images[0].numpy()
        y, x = facts[size]["crop_origin_yx"]
        rows, columns = arrays[f"{size}.crop"].shape[-2:]
        crop = images[:, :, y : y + rows, x : x + columns]
        digests = [hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest() for image in images]
        checks += [
            compare(f"{size} image shape", frame.images.shape, facts[size]["img_shape"], EXACT),
            compare(f"{size} crop", crop, arrays[f"{size}.crop"], PIXEL),
            compare(f"{size} mean", images.mean((2, 3), dtype=np.float64), facts[size]["mean"], STATISTIC),
            compare(f"{size} std", images.std((2, 3), dtype=np.float64), facts[size]["std"], STATISTIC),
            _bitwise(size, digests, facts[size]["sha256_per_cam"]),
            compare(f"{size} lidar2img", frame.img_from_lidar[0], arrays[f"{size}.lidar2img"], PROJECTION),
            compare(
                f"{size} lidar2cam",
                np.stack([camera_from_lidar(camera) for camera in frames[0].cameras]),
                arrays[f"{size}.lidar2cam"],
                PROJECTION,
            ),
        ]
        checks += [
            compare(
                f"{size} CAN bus {step}",
                absolute_can_bus(frames[step], orientation="w"),
                arrays[f"{size}.can_bus_frame{step}"],
                PROJECTION,
            )
            for step in (0, 1)
        ]
    return CaseResult(name, tuple(checks))


def _bitwise(size: str, ours: Sequence[str], golden: Sequence[str]) -> Check:
    """Say how many images differ in any bit: shown, not judged, since another JPEG decoder may round otherwise."""
    different = sum(a != b for a, b in zip(ours, golden, strict=True))
    words = f"{size} images with another SHA-256"
    return Check(what=words, worst_abs=float(different), worst_rel=0.0, tolerance="shown, not judged", ok=True)


def ground_truth_case(name: str, golden: GoldenSet) -> CaseResult:
    """`gt`: boxes after the valid flag, and after range and class filters; upstream stores bottom centres."""
    arrays, recipe = golden.arrays(name), load_recipe("bevformer_tiny")
    record = records(golden)[0]
    seen, kept = annotated(record, recipe.data.classes), ground_truth(record, recipe)
    return CaseResult(
        name,
        (
            compare("annotated boxes", seen.boxes, gravity_centred(arrays.tensor("ann_boxes")), MODULE),
            compare("annotated labels", seen.labels, arrays["ann_labels"], EXACT),
            compare("training boxes", kept.boxes, gravity_centred(arrays.tensor("gt_boxes")), MODULE),
            compare("training labels", kept.labels, arrays["gt_labels"], EXACT),
            compare("gravity centres", kept.boxes[:, :3], arrays["gt_gravity_center"], MODULE),
        ),
    )


def formatting(name: str, golden: GoldenSet) -> CaseResult:
    """`format`: boxes in the LiDAR frame to nuScenes submission boxes, range filter and attributes included."""
    arrays, facts = golden.arrays(name), golden.facts(name)
    detections = Detections(
        boxes=gravity_centred(arrays.tensor("boxes_3d")),
        scores=arrays.tensor("scores_3d"),
        labels=arrays.tensor("labels_3d").long(),
    )
    record = _placed(records(golden)[0], facts["info"])
    ours, theirs = format_detections(detections, record, facts["classes"]), facts["results"]
    token = next(iter(theirs)) if isinstance(theirs, dict) else None
    theirs = theirs[token] if token else theirs
    checks = [compare("boxes kept", len(ours), len(theirs), EXACT)]
    if len(ours) == len(theirs):
        checks += [
            compare(key, [box[key] for box in ours], [box[key] for box in theirs], FORMATTED)
            for key in ("translation", "size", "rotation", "velocity", "detection_score")
        ]
        for key in ("sample_token", "detection_name", "attribute_name"):
            same = [a[key] == b[key] for a, b in zip(ours, theirs, strict=True)]
            checks.append(count_different(key, same, [True] * len(same), allowed=0))
    return CaseResult(name, tuple(checks))


def _placed(record: FrameRecord, info: dict[str, list[float]]) -> FrameRecord:
    """Return `record` with the token and poses of an info dictionary."""
    return replace(
        record,
        token=str(info["token"]),
        ego_from_lidar_translation=np.array(info["lidar2ego_translation"], float),
        ego_from_lidar_rotation=np.array(info["lidar2ego_rotation"], float),
        global_from_ego_translation=np.array(info["ego2global_translation"], float),
        global_from_ego_rotation=np.array(info["ego2global_rotation"], float),
    )


def grid_mask_case(name: str, arrays: Arrays) -> CaseResult:
    """`grid_mask`: one mask for all images after seeding numpy's generator with 0, 1, 2, 3."""
    settings = load_recipe("bevformer_tiny").augment.grid_mask
    assert settings is not None
    images = arrays.tensor("x")
    checks = []
    for key in arrays.names("s"):
        mask = grid_mask(images.shape[-2], images.shape[-1], settings, np.random.RandomState(int(key)))
        masked = images if mask is None else images * torch.from_numpy(mask)
        checks.append(compare(f"seed {key}", masked, arrays[f"s{key}"], EXACT))
    return CaseResult(name, tuple(checks))


def photometric(name: str, arrays: Arrays) -> CaseResult:
    """`photometric`: colour distortion of every camera after seeding numpy's generator with 0, 1, 2, 3."""
    settings = load_recipe("bevformer_tiny").augment.photometric
    assert settings is not None
    images = list(arrays["x"])
    return CaseResult(
        name,
        tuple(
            compare(
                f"seed {key}", distort(images, settings, np.random.RandomState(int(key))), arrays[f"s{key}"], PIXELS_255
            )
            for key in arrays.names("s")
        ),
    )
