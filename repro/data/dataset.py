"""Frames and clips as torch data sets: records and JPEGs in, tensors with the shapes of `tensors.py` out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from repro.data.augment import Distortion, distorted, draw_distortion
from repro.data.can_bus import motion
from repro.data.geometry import img_from_lidar, wrapped
from repro.data.images import prepare_image, read_jpeg
from repro.data.packing import packed_images
from repro.data.records import DataError, FrameRecord
from repro.data.sequences import clip_indices, clip_steps
from repro.tensors import BOX_COLUMNS, Clip, Frame, GroundTruth, Packing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from repro.recipe import Recipe

MOST_REDRAWS = 1000


class Records(Protocol):
    """Frame records by position, in time order."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> FrameRecord: ...


@dataclass(frozen=True, slots=True)
class FrameLoader:
    """Turns one record into a frame of batch size one."""

    dataroot: Path
    recipe: Recipe

    def load(
        self,
        record: FrameRecord,
        can_bus: NDArray[np.float64],
        *,
        has_history: bool,
        rng: np.random.RandomState | None = None,
    ) -> Frame:
        """Return the frame. Raises DataError for a bad JPEG.

        `rng` makes it one to train on: colours are distorted if the recipe says so, and pixels stay packed where
        [images] pipeline is "fast"; evaluation is always strict.
        """
        settings, photometric = self.recipe.images, self.recipe.augment.photometric
        paths = [self.dataroot / camera.path for camera in record.cameras]
        drawn = [draw_distortion(photometric, rng) for _ in paths] if rng is not None and photometric else None
        packing = None
        if rng is not None and settings.pipeline == "fast":
            images, packing = packed_images(paths, settings, drawn or [Distortion()] * len(paths))
        else:
            images = self._strict(paths, drawn)
        projections = [img_from_lidar(camera, settings.scale) for camera in record.cameras]
        return Frame(
            images=images,
            img_from_lidar=torch.from_numpy(np.stack(projections))[None],
            can_bus=torch.from_numpy(can_bus)[None],
            has_history=torch.tensor([has_history]),
            tokens=(record.token,),
            packing=packing,
        )

    def _strict(self, paths: Sequence[Path], drawn: Sequence[Distortion] | None) -> torch.Tensor:
        """Return images [1, N, 3, H, W] in upstream's order of operations, one camera at a time in memory."""
        settings = self.recipe.images
        prepared = np.empty((len(paths), 3, *settings.padded), np.float32)
        for camera, path in enumerate(paths):
            pixels = read_jpeg(path, settings.raw_size)
            prepared[camera] = prepare_image(distorted(pixels, drawn[camera]) if drawn else pixels, settings)
        return torch.from_numpy(prepared)[None]


class EvalFrames(Dataset[Frame]):
    """Consecutive frames for inference: item i knows its motion since item i - 1, the first of all has no history."""

    def __init__(self, records: Records, order: Sequence[int], loader: FrameLoader) -> None:
        self._records, self._order, self._loader = records, list(order), loader

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, item: int) -> Frame:
        model = self._loader.recipe.model
        steps = self._order[max(item - 1, 0) : item + 1] if model.use_history else self._order[item : item + 1]
        window = [self._records[index] for index in steps]
        can_bus, linked = motion(window, model.quirks)[-1]
        return self._loader.load(window[-1], can_bus, has_history=linked)


class TrainClips(Dataset[Clip]):
    """Training clips; what is random about a clip is a function of (seed, epoch, index)."""

    def __init__(self, records: Records, loader: FrameLoader, *, seed: int, epoch: int) -> None:
        self._records, self._loader, self._seed, self._epoch = records, loader, seed, epoch

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Clip:
        rng = np.random.RandomState(np.random.SeedSequence((self._seed, self._epoch, index)).generate_state(4))
        for _ in range(MOST_REDRAWS):
            clip = self._draw(index, rng)
            if clip is not None:
                return clip
            index = int(rng.randint(len(self._records)))
        raise DataError(
            f"{MOST_REDRAWS} samples in a row have a frame without a box of the ten classes in range; "
            "is this the right data set?"
        )

    def _draw(self, index: int, rng: np.random.RandomState) -> Clip | None:
        """Return the clip that ends at `index`, None if one of its frames has no ground truth (spec §C.2)."""
        recipe, frames = self._loader.recipe, list[Frame]()
        quirks = recipe.model.quirks
        records = [self._records[i] for i in clip_indices(index, recipe.data.queue_length, rng)]
        steps = clip_steps(records, quirks)
        truths = [ground_truth(record, recipe) for record, _, _ in steps]
        if any(len(truth.labels) == 0 for truth in truths):
            return None
        for record, can_bus, linked in steps:
            if quirks.broken_history == "duplicate" and frames and frames[-1].tokens == (record.token,):
                frames.append(_again(frames[-1], can_bus, has_history=linked))  # the same pixels, colours included
            else:
                frames.append(self._loader.load(record, can_bus, has_history=linked, rng=rng))
        return Clip(tuple(frames), (truths[-1],))


def _again(frame: Frame, can_bus: NDArray[np.float64], *, has_history: bool) -> Frame:
    return replace(frame, can_bus=torch.from_numpy(can_bus)[None], has_history=torch.tensor([has_history]))


def annotated(record: FrameRecord, classes: Sequence[str]) -> GroundTruth:
    """Return the valid boxes [G, 9] float32 with labels, -1 for other categories; unknown velocities are zero."""
    boxes = np.concatenate([record.boxes, record.velocities], 1)[record.valid].astype(np.float32)
    boxes[np.isnan(boxes[:, 7]), 7:] = 0.0
    names = [name for name, valid in zip(record.names, record.valid, strict=True) if valid]
    labels = [classes.index(name) if name in classes else -1 for name in names]
    return GroundTruth(torch.from_numpy(boxes.reshape(-1, BOX_COLUMNS)), torch.tensor(labels, dtype=torch.int64))


def ground_truth(record: FrameRecord, recipe: Recipe) -> GroundTruth:
    """Return what training sees: boxes of the ten classes whose centre lies strictly inside the BEV (spec §F.2)."""
    truth = annotated(record, recipe.data.classes)
    low_x, low_y, _, high_x, high_y, _ = recipe.model.bev.range
    x, y = truth.boxes[:, 0], truth.boxes[:, 1]
    inside = (x > low_x) & (x < high_x) & (y > low_y) & (y < high_y) & (truth.labels >= 0)
    boxes = truth.boxes[inside].clone()
    boxes[:, 6] = torch.from_numpy(wrapped(boxes[:, 6].numpy()))
    return GroundTruth(boxes, truth.labels[inside])


def collate_frames(frames: Sequence[Frame]) -> Frame:
    """Return one frame of all items."""
    return Frame(
        images=torch.cat([frame.images for frame in frames]),
        img_from_lidar=torch.cat([frame.img_from_lidar for frame in frames]),
        can_bus=torch.cat([frame.can_bus for frame in frames]),
        has_history=torch.cat([frame.has_history for frame in frames]),
        tokens=tuple(token for frame in frames for token in frame.tokens),
        packing=_together([frame.packing for frame in frames]),
    )


def _together(packings: Sequence[Packing | None]) -> Packing | None:
    packed = [packing for packing in packings if packing is not None]
    if not packed:
        return None
    gain, offset = (torch.cat([getattr(packing, name) for packing in packed]) for name in ("gain", "offset"))
    return Packing(gain=gain, offset=offset, padded=packed[0].padded)


def collate_clips(clips: Sequence[Clip]) -> Clip:
    """Return one clip of all items."""
    steps = zip(*(clip.frames for clip in clips), strict=True)
    return Clip(tuple(collate_frames(step) for step in steps), tuple(truth for clip in clips for truth in clip.truth))
