"""Upstream's info files, nuscenes_infos_temporal_{train,val}.pkl (spec §F.1): written from records, read into them."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.atomic import replacing
from repro.data.infos import records_from_infos
from repro.data.plain_pickle import RefusedError, plain, read_plain_pickle
from repro.data.records import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from repro.data.records import CameraRecord, FrameRecord

SAMPLES = {"train": 28130, "val": 6019, "mini_train": 323, "mini_val": 81}  # key frames of each split (spec §F.1)
KEYS = ("token", "prev", "next", "frame_idx", "cams", "scene_token", "timestamp", "can_bus")
POSES = ("lidar2ego_translation", "lidar2ego_rotation", "ego2global_translation", "ego2global_rotation")
TRUTH = ("gt_boxes", "gt_names", "gt_velocity", "valid_flag")
VEHICLES = {"car", "truck", "bus"}  # always longer than wide: their sizes tell the convention
FEWEST_VEHICLES = 5
CONVERTED = ".mmdet3d-0.17.pkl"


def info_of(record: FrameRecord, prefix: str) -> dict[str, Any]:
    """Return upstream's dictionary of a key frame; `prefix` stands before its paths. Sweeps, never used, are [].

    gt_boxes are x, y, z (gravity centre), w, l, h, yaw of mmdet3d 0.17.
    """
    return {
        "lidar_path": prefix + record.lidar_path,
        "token": record.token,
        "prev": record.prev,
        "next": record.next,
        "can_bus": np.array(record.can_bus),
        "frame_idx": record.frame_idx,
        "sweeps": [],
        "cams": {camera.channel: _camera(camera, prefix) for camera in record.cameras},
        "scene_token": record.scene_token,
        "lidar2ego_translation": record.ego_from_lidar_translation.tolist(),
        "lidar2ego_rotation": record.ego_from_lidar_rotation.tolist(),
        "ego2global_translation": record.global_from_ego_translation.tolist(),
        "ego2global_rotation": record.global_from_ego_rotation.tolist(),
        "timestamp": record.timestamp,
        "gt_boxes": np.array(record.boxes),
        "gt_names": np.array(record.names, dtype=str),
        "gt_velocity": np.array(record.velocities),
        "num_lidar_pts": np.array(record.lidar_points),
        "num_radar_pts": np.array(record.radar_points),
        "valid_flag": np.array(record.valid),
    }


def _camera(camera: CameraRecord, prefix: str) -> dict[str, Any]:
    return {
        "data_path": prefix + camera.path,
        "type": camera.channel,
        "sample_data_token": camera.token,
        "sensor2ego_translation": camera.ego_from_camera_translation.tolist(),
        "sensor2ego_rotation": camera.ego_from_camera_rotation.tolist(),
        "ego2global_translation": camera.global_from_ego_translation.tolist(),
        "ego2global_rotation": camera.global_from_ego_rotation.tolist(),
        "timestamp": camera.timestamp,
        "sensor2lidar_rotation": np.array(camera.lidar_from_camera_rotation),
        "sensor2lidar_translation": np.array(camera.lidar_from_camera_translation),
        "cam_intrinsic": np.array(camera.intrinsic),
    }


def write_infos(path: Path, records: Iterable[FrameRecord], *, version: str, prefix: str = "./data/nuscenes/") -> int:
    """Write records as upstream's file, whole or not at all, readable by any numpy; return how many."""
    infos = [info_of(record, prefix) for record in records]
    data = pickle.dumps({"infos": infos, "metadata": {"version": version}}, protocol=2)
    # numpy 2 names its own modules by names that numpy 1 lacks; numpy 2 knows the old ones too
    data = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    with replacing(path) as part:
        part.write_bytes(data)
    return len(infos)


def converted(path: Path) -> Path:
    """Return where `infos --import --convert` writes what it makes of an info file: beside it."""
    return path.with_suffix(CONVERTED)


def read_infos(path: Path, channels: Sequence[str], *, convert: bool = False) -> tuple[list[FrameRecord], str]:
    """Return the records of an info file and its version, without running anything in it.

    Boxes of mmdet3d ≥ 1.0 (x, y, z, l, w, h, other yaw) are turned into 0.17's with `convert`, refused without. Raises
    DataError saying what the file is.
    """
    try:
        content = read_plain_pickle(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except RefusedError as error:
        raise DataError(
            f"{path}: refused: it holds {error}; an info file holds numbers, words and arrays only"
        ) from error
    infos = _infos(path, content)
    if _lengths_first(path, infos):
        if not convert:
            raise DataError(
                f"{path}: boxes in the convention of mmdet3d 1.0 and later (length before width); "
                "convert it: ./bevready infos --import FILE --convert, or make the file with mmdet3d 0.17.1"
            )
        for info in infos:
            info["gt_boxes"] = from_new_convention(np.asarray(info["gt_boxes"], float).reshape(-1, 7))
    try:
        records = records_from_infos(infos, channels)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"{path}: a frame is not as upstream writes it ({type(error).__name__}: {error})") from error
    metadata = content.get("metadata")
    return records, str(metadata.get("version", "unknown")) if isinstance(metadata, dict) else "unknown"


def _infos(path: Path, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict) and "data_list" in content:
        raise DataError(
            f"{path}: an info file of mmdet3d 1.1 or later (data_list, metainfo), which BEVFormer never read; "
            "make one with BEVFormer's own tools/create_data.py, or let the index be built from the tables"
        )
    infos = content.get("infos") if isinstance(content, dict) else None
    if not isinstance(infos, list) or not all(isinstance(info, dict) for info in infos) or not infos:
        raise DataError(f"{path}: no info file: expected {{'infos': [...], 'metadata': ...}} with at least one frame")
    missing = [key for key in (*KEYS, *POSES, *TRUTH) if any(key not in info for info in infos)]
    if missing:
        raise DataError(
            f"{path}: frames lack {', '.join(missing)}; expected nuscenes_infos_temporal_train.pkl or …_val.pkl "
            "as BEVFormer's tools/create_data.py writes them (mmdet3d's own files have no can_bus)"
        )
    return [_unwrapped(path, info) for info in infos]


def _unwrapped(path: Path, info: dict[str, Any]) -> dict[str, Any]:
    cams = info["cams"]
    if not isinstance(cams, dict) or not all(isinstance(camera, dict) for camera in cams.values()):
        raise DataError(f"{path}: cams is no table of cameras")
    cameras = {name: {key: plain(value) for key, value in camera.items()} for name, camera in cams.items()}
    for camera in cameras.values():
        camera["data_path"] = _below_root(str(camera.get("data_path", "")))
    whole = {key: plain(value) for key, value in info.items()}
    return {**whole, "cams": cameras, "lidar_path": _below_root(str(info.get("lidar_path", "")))}


def _below_root(path: str) -> str:
    """Return a path as the tables hold it: from samples/ or sweeps/ on."""
    for start in ("samples/", "sweeps/"):
        if start in path:
            return path[path.index(start) :]
    return path


def _lengths_first(path: Path, infos: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether sizes are l, w, h. Raises DataError where the vehicles contradict each other."""
    ratios = []
    for info in infos:
        try:
            boxes = np.asarray(info["gt_boxes"], float).reshape(-1, 7)
            chosen = [str(name) in VEHICLES for name in info["gt_names"]]
            ratios.append(boxes[chosen, 3] / np.maximum(boxes[chosen, 4], 1e-6))
        except (TypeError, ValueError, IndexError) as error:  # noqa: PERF203 — thousands, not millions
            raise DataError(f"{path}: gt_boxes are no boxes of seven numbers, one a name ({error})") from error
    first = np.concatenate(ratios) > 1.0
    if len(first) < FEWEST_VEHICLES or not first.any():
        return False
    if first.mean() > 0.9:
        return True
    if first.mean() < 0.1:
        return False
    raise DataError(
        f"{path}: {int(first.sum())} of {len(first)} cars, trucks and buses are wider than long, the others are not: "
        "the box convention cannot be told; make the file again"
    )


def from_new_convention(boxes: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return boxes [G, 7] x, y, z, w, l, h, -yaw - π/2 of boxes x, y, z, l, w, h, yaw; its own inverse."""
    turned = boxes[:, [0, 1, 2, 4, 3, 5, 6]]
    turned[:, 6] = -turned[:, 6] - np.pi / 2
    return turned


def counts_against(split: str, count: int) -> str:
    """Return how many frames there are against the split's own number."""
    whole = SAMPLES.get(split)
    if whole is None:
        return f"{count} frames"
    return f"{count} of {whole} frames of {split}" + ("" if count == whole else ": not the whole split")
