"""Upstream's info dictionaries (spec §F.1) as frame records: what its pickles hold, here as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from repro.data.records import CameraRecord, FrameRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def records_from_infos(infos: Sequence[Mapping[str, Any]], channels: Sequence[str]) -> list[FrameRecord]:
    """Return the records of info dictionaries in mmdet3d 0.17's box convention, in their order."""
    return [_record(info, channels) for info in infos]


def _record(info: Mapping[str, Any], channels: Sequence[str]) -> FrameRecord:
    return FrameRecord(
        token=info["token"],
        prev=info["prev"],
        next=info["next"],
        scene_token=info["scene_token"],
        scene_name=info["scene_token"],
        frame_idx=info["frame_idx"],
        timestamp=int(info["timestamp"]),
        cameras=tuple(_camera(channel, info["cams"][channel]) for channel in channels),
        ego_from_lidar_translation=np.array(info["lidar2ego_translation"], float),
        ego_from_lidar_rotation=np.array(info["lidar2ego_rotation"], float),
        global_from_ego_translation=np.array(info["ego2global_translation"], float),
        global_from_ego_rotation=np.array(info["ego2global_rotation"], float),
        can_bus=np.array(info["can_bus"], float),
        boxes=np.array(info["gt_boxes"], float).reshape(-1, 7),
        velocities=np.array(info["gt_velocity"], float).reshape(-1, 2),
        names=tuple(str(name) for name in info["gt_names"]),
        valid=np.array(info["valid_flag"], bool),
        lidar_path=info.get("lidar_path", ""),
        lidar_points=np.array(info.get("num_lidar_pts", []), np.int64),
        radar_points=np.array(info.get("num_radar_pts", []), np.int64),
    )


def _camera(channel: str, info: Mapping[str, Any]) -> CameraRecord:
    return CameraRecord(
        channel=channel,
        path=info["data_path"],
        timestamp=int(info["timestamp"]),
        intrinsic=np.array(info["cam_intrinsic"], float),
        lidar_from_camera_rotation=np.array(info["sensor2lidar_rotation"], float),
        lidar_from_camera_translation=np.array(info["sensor2lidar_translation"], float),
        token=info.get("sample_data_token", ""),
        ego_from_camera_translation=np.array(info.get("sensor2ego_translation", (0.0, 0.0, 0.0)), float),
        ego_from_camera_rotation=np.array(info.get("sensor2ego_rotation", (1.0, 0.0, 0.0, 0.0)), float),
        global_from_ego_translation=np.array(info.get("ego2global_translation", (0.0, 0.0, 0.0)), float),
        global_from_ego_rotation=np.array(info.get("ego2global_rotation", (1.0, 0.0, 0.0, 0.0)), float),
    )
