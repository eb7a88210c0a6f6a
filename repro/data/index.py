"""The index: every frame record of a data set as columns in one memory-mapped Arrow file.

Written once per data set and kept under its fingerprint; opening it reads a header, not the records.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nuscenes.utils.splits import create_splits_scenes

from repro.atomic import digest, replacing
from repro.data.plain_tables import PlainTables
from repro.data.records import CameraRecord, DataError, FrameRecord
from repro.data.tables import TABLES, check_tables, frame_records, open_tables, scenes_without_can_bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from nuscenes.nuscenes import NuScenes

FORMAT = 2
SAMPLED_BYTES = 1 << 16
WORDS = ("token", "prev", "next", "scene_token", "scene_name", "lidar_path")
NUMBERS = ("frame_idx", "timestamp")
# FrameRecord field → (numpy type, shape of one row; -1 counts boxes)
ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "ego_from_lidar_translation": (np.float64, (3,)),
    "ego_from_lidar_rotation": (np.float64, (4,)),
    "global_from_ego_translation": (np.float64, (3,)),
    "global_from_ego_rotation": (np.float64, (4,)),
    "can_bus": (np.float64, (18,)),
    "boxes": (np.float64, (-1, 7)),
    "velocities": (np.float64, (-1, 2)),
    "valid": (np.uint8, (-1,)),
    "lidar_points": (np.int64, (-1,)),
    "radar_points": (np.int64, (-1,)),
}
CAMERA_ARRAYS: dict[str, tuple[int, ...]] = {
    "intrinsic": (3, 3),
    "lidar_from_camera_rotation": (3, 3),
    "lidar_from_camera_translation": (3,),
    "ego_from_camera_translation": (3,),
    "ego_from_camera_rotation": (4,),
    "global_from_ego_translation": (3,),
    "global_from_ego_rotation": (4,),
}


class NuScenesIndex:
    """Frame records by position, ordered by timestamp (spec §F.2), read from a memory-mapped file when asked for."""

    def __init__(self, path: Path) -> None:
        """Open an index file. Raises DataError when it is damaged."""
        self.path = path
        try:
            self.table: Any = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            self._meta = json.loads(self.table.schema.metadata[b"bevready"])
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged ({error}); delete it, it is written anew from the tables") from error

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> FrameRecord:
        if not 0 <= index < len(self):
            raise IndexError(index)
        values: dict[str, Any] = {name: self.table[name][index].as_py() for name in (*WORDS, *NUMBERS)}
        for name, (kind, shape) in ARRAYS.items():
            values[name] = self._array(name, index, kind).reshape(shape)
        values["valid"] = values["valid"].astype(bool)
        return FrameRecord(names=tuple(self.table["names"][index].as_py()), cameras=self._cameras(index), **values)

    @property
    def channels(self) -> tuple[str, ...]:
        """The camera channels, in the order of each record's cameras."""
        return tuple(self._meta["channels"])

    @property
    def fingerprint(self) -> str:
        """What the tables held when the index was made."""
        return str(self._meta["fingerprint"])

    @property
    def scenes_without_can_bus(self) -> tuple[str, ...]:
        """Names of the scenes whose CAN bus vectors are zeros."""
        return tuple(self._meta["scenes_without_can_bus"])

    @property
    def num_boxes(self) -> int:
        """All annotated boxes."""
        return int(pc.sum(pc.list_value_length(self.table["names"])).as_py() or 0)

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Names of all scenes that have a key frame."""
        return tuple(sorted(set(self.table["scene_name"].to_pylist())))

    def __reduce__(self) -> tuple[type[NuScenesIndex], tuple[Path]]:
        """Reach another process as a path: a worker maps the file itself instead of receiving its columns."""
        return NuScenesIndex, (self.path,)

    def split(self, name: str) -> Subset:
        """Return the records of a split of the devkit ("train", "mini_val", …), in time order.

        A data set may hold only some of the split's scenes, or none. Raises DataError for a name it does not know.
        """
        splits = create_splits_scenes()
        if name not in splits:
            raise DataError(f"no split {name!r}; there are {', '.join(sorted(splits))}")
        scenes = set(splits[name])
        rows = [row for row, scene in enumerate(self.table["scene_name"].to_pylist()) if scene in scenes]
        return Subset(self, rows)

    def _array(self, name: str, index: int, kind: type[np.generic]) -> NDArray[Any]:
        return np.array(self.table[name][index].values.to_numpy(zero_copy_only=False), kind)

    def _cameras(self, index: int) -> tuple[CameraRecord, ...]:
        tokens, paths, stamps = (self.table[f"camera_{key}"][index].as_py() for key in ("token", "path", "timestamp"))
        matrices = {
            name: self._array(f"camera_{name}", index, np.float64).reshape(-1, *shape)
            for name, shape in CAMERA_ARRAYS.items()
        }
        return tuple(
            CameraRecord(
                channel=channel,
                token=tokens[i],
                path=paths[i],
                timestamp=stamps[i],
                **{name: matrix[i] for name, matrix in matrices.items()},
            )
            for i, channel in enumerate(self.channels)
        )


class Subset:
    """Some records of an index, by position."""

    def __init__(self, index: NuScenesIndex, rows: Sequence[int]) -> None:
        self.index, self.rows = index, list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> FrameRecord:
        return self.index[self.rows[position]]

    @property
    def tokens(self) -> list[str]:
        """The sample tokens, in order."""
        column = self.index.table["token"].to_pylist()
        return [column[row] for row in self.rows]

    @property
    def scenes(self) -> list[str]:
        """The scene token of each sample, in order."""
        column = self.index.table["scene_token"].to_pylist()
        return [column[row] for row in self.rows]

    def image_paths(self) -> Iterable[str]:
        """Yield the image paths of every frame, relative to the data root."""
        column = self.index.table["camera_path"]
        for row in self.rows:
            yield from column[row].as_py()


def open_nuscenes(
    dataroot: Path,
    version: str,
    cache: Path,
    *,
    channels: Sequence[str],
    rates: str = "next",
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> NuScenesIndex:
    """Return the index of a data set, built into `cache` first if there is none for its present tables.

    LiDAR sweeps are not needed, only their poses. `tell(done, total)` hears about the building. Raises DataError for
    a folder that is missing, misplaced, incomplete or damaged.
    """
    check_tables(dataroot, version)
    fingerprint = table_fingerprint(dataroot, version)
    written = [path.stat().st_mtime_ns for path in _files(dataroot, version)]
    key = digest({"format": FORMAT, "tables": fingerprint, "channels": channels, "rates": rates, "written": written})
    path = cache / f"{version}-{key}.arrow"
    if path.is_file():
        with suppress(DataError):  # a damaged cache is no reason to stop: it is written anew
            return NuScenesIndex(path)
    with _uncollected():
        tables, records = _read(dataroot, version, channels, rates, tell)
        missing = scenes_without_can_bus(tables, dataroot)
        try:
            meta = {"fingerprint": fingerprint, "channels": list(channels), "scenes_without_can_bus": missing}
            write_index(path, sorted(records, key=lambda record: record.timestamp), meta)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written ({error.strerror or error}); free some space or make {cache} writable"
            ) from error
    return NuScenesIndex(path)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking through a million rows that all stay."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _read(
    dataroot: Path, version: str, channels: Sequence[str], rates: str, tell: Callable[[int, int], None]
) -> tuple[PlainTables | NuScenes, list[FrameRecord]]:
    """Return the tables and their records. What the plain reader stumbles over, the devkit judges and names."""
    try:
        plain = PlainTables(dataroot, version)
        return plain, _records(plain, dataroot, channels, rates, tell)
    except (DataError, OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, ZeroDivisionError):
        tables = open_tables(dataroot, version)
        return tables, _records(tables, dataroot, channels, rates, tell)


def _records(
    tables: PlainTables | NuScenes,
    dataroot: Path,
    channels: Sequence[str],
    rates: str,
    tell: Callable[[int, int], None],
) -> list[FrameRecord]:
    records = []
    for record in frame_records(tables, dataroot, channels, rates=rates):
        records.append(record)
        tell(len(records), len(tables.sample))
    return records


def write_index(path: Path, records: Sequence[FrameRecord], meta: dict[str, Any]) -> None:
    """Write records as an Arrow file, whole or not at all."""
    columns: dict[str, Any] = {name: pa.array([getattr(r, name) for r in records], pa.string()) for name in WORDS}
    columns |= {name: pa.array([getattr(r, name) for r in records], pa.int64()) for name in NUMBERS}
    columns["names"] = pa.array([list(r.names) for r in records], pa.list_(pa.string()))
    for name, (kind, _) in ARRAYS.items():
        rows = [np.asarray(getattr(r, name)).astype(kind).ravel() for r in records]
        columns[name] = pa.array(rows, pa.list_(pa.from_numpy_dtype(np.dtype(kind))))
    columns["camera_token"] = pa.array([[c.token for c in r.cameras] for r in records], pa.list_(pa.string()))
    columns["camera_path"] = pa.array([[c.path for c in r.cameras] for r in records], pa.list_(pa.string()))
    columns["camera_timestamp"] = pa.array([[c.timestamp for c in r.cameras] for r in records], pa.list_(pa.int64()))
    for name in CAMERA_ARRAYS:
        rows = [np.concatenate([getattr(c, name).ravel() for c in r.cameras]) for r in records]
        columns[f"camera_{name}"] = pa.array(rows, pa.list_(pa.float64()))
    table = pa.table(columns).replace_schema_metadata({"bevready": json.dumps(meta)})
    with replacing(path) as part, pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def table_fingerprint(dataroot: Path, version: str) -> str:
    """Return hex digits that name what the tables and CAN bus hold: sizes, and the first and last 64 KiB of each."""
    return digest([(path.name, *_sample_of(path)) for path in _files(dataroot, version)])


def _files(dataroot: Path, version: str) -> list[Path]:
    tables = [dataroot / version / f"{name}.json" for name in TABLES]
    return tables + sorted((dataroot / "can_bus").glob("*_pose.json"))


def _sample_of(path: Path) -> tuple[int, str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(SAMPLED_BYTES)
        file.seek(max(size - SAMPLED_BYTES, 0))
        return size, digest([head.hex(), file.read(SAMPLED_BYTES).hex()])


def check_images(subset: Subset, dataroot: Path, split: str) -> None:
    """Raise DataError when images of a split are not on disk; a download of nuScenes comes in many archives."""
    paths = list(subset.image_paths())
    missing = [path for path in paths if not (dataroot / path).is_file()]
    if missing:
        raise DataError(
            f"{dataroot}: {len(missing)} of {len(paths)} images of {split} are missing, the first is {missing[0]}; "
            "extract the archive that holds it (v1.0-trainval01_blobs.tgz …, or v1.0-mini.tgz) into this folder"
        )
