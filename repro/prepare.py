"""The data stage: from the words of the command line to a data set that is made if need be, checked and indexed.

Below: nuScenes, then COCO.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repro.artifacts import DataReady
from repro.atomic import digest
from repro.data import DataError, NuScenesIndex, check_images, open_nuscenes
from repro.data.brought import infos_fingerprint, open_brought
from repro.data.coco import CocoSplit, open_annotations
from repro.data.coco.annotations import fingerprint_of
from repro.data.coco.synth import synth_options_of, write_synth_coco
from repro.data.index import table_fingerprint
from repro.data.synth import options_of, write_synth
from repro.progress import told

if TYPE_CHECKING:
    from repro.recipe import DetrRecipe, Recipe

VERSION_OF = {"nuscenes": "v1.0-trainval", "nuscenes-mini": "v1.0-mini", "synth": "v1.0-mini"}
COCO_SPLITS = ("train2017", "val2017")
SPLITS_OF = {"v1.0-trainval": ("train", "val"), "v1.0-mini": ("mini_train", "mini_val")}


def prepare(
    data: str, dataroot: Path, recipe: Recipe, cache: Path, *, without_can_bus: bool, infos: Path | None = None
) -> DataReady:
    """Return a data set ready to train and evaluate on; "synth" is written first. Raises DataError.

    Without a can_bus folder, scenes of several frames need `without_can_bus`: zeros then stand for their motion. With
    `infos`, a folder with upstream's info files, frames are read from those instead of the tables.
    """
    if data == "synth":
        with told("synth") as tell:
            options = options_of(dataroot)  # one that is there keeps its size and seed
            write_synth(dataroot, seed=options.seed, scenes=options.scenes, frames=options.frames, tell=tell)
    version = VERSION_OF[data]
    index = open_index(dataroot, version, recipe, cache, infos)
    train_split, eval_split = SPLITS_OF[version]
    warnings = _can_bus(index, dataroot, without_can_bus=without_can_bus or infos is not None)
    train, evaluated = index.split(train_split), index.split(eval_split)
    if not len(train):
        raise DataError(
            f"{dataroot}: no sample of the split {train_split}; it has scenes {', '.join(index.scene_names)}"
        )
    if not len(evaluated):
        evaluated, eval_split = train, train_split
        warnings += (f"no sample of {SPLITS_OF[version][1]} here: evaluated on {train_split}, what it trained on",)
    for split, subset in {train_split: train, eval_split: evaluated}.items():
        check_images(subset, dataroot, split)
    return DataReady(
        dataset=recipe.data.dataset,
        dataroot=str(dataroot),
        version=version,
        synthetic=data == "synth",
        fingerprint=index.fingerprint,
        train_split=train_split,
        eval_split=eval_split,
        train_samples=len(train),
        eval_samples=len(evaluated),
        scenes=len(index.scene_names),
        boxes=index.num_boxes,
        warnings=warnings,
        infos=str(infos) if infos else None,
    )


def open_index(dataroot: Path, version: str, recipe: Recipe, cache: Path, infos: Path | None = None) -> NuScenesIndex:
    """Return the index of a data set, from its tables or from info files, with progress while it is built."""
    with told("index") as tell:
        index = open_nuscenes(
            dataroot,
            version,
            cache,
            channels=recipe.data.cameras,
            rates=recipe.model.quirks.can_bus_rates,
            tell=tell,
        )
    if infos is None:
        return index
    splits = [index.split(split).tokens for split in SPLITS_OF[version]]
    with told("infos") as tell:
        return open_brought(infos, index, splits, version=version, cache=cache, tell=tell)


def what_changed(data: DataReady) -> str | None:
    """Say what is no longer as it was when the data set was prepared, None if nothing is."""
    try:
        now = table_fingerprint(Path(data.dataroot), data.version)
    except OSError:
        return f"{data.dataroot} is gone"
    if data.infos is None:
        return None if now == data.fingerprint else f"the tables in {data.dataroot} are others"
    try:
        now = infos_fingerprint(Path(data.infos), now)
    except DataError:
        return f"the info files in {data.infos} are gone"
    return None if now == data.fingerprint else f"the tables in {data.dataroot} or the files in {data.infos} are others"


def _can_bus(index: NuScenesIndex, dataroot: Path, *, without_can_bus: bool) -> tuple[str, ...]:
    """Return what to say about scenes without CAN bus; the real data set lacks it for some."""
    bare = index.scenes_without_can_bus
    if not bare:
        return ()
    if not (dataroot / "can_bus").is_dir() and len(index) > len(index.scene_names) and not without_can_bus:
        raise DataError(
            f"{dataroot / 'can_bus'}: no such folder; the model reads the car's motion from it: extract can_bus.zip "
            f"into {dataroot}, or go on with zeros for motion: --without-can-bus"
        )
    return (f"{len(bare)} of {len(index.scene_names)} scenes have no CAN bus: zeros for their motion",)


def prepare_coco(data: str, dataroot: Path, recipe: DetrRecipe, cache: Path) -> DataReady:
    """Return COCO (or another set of its layout) ready to train and evaluate on; "synth" is written first.

    Raises DataError for missing annotations or images.
    """
    if data == "synth":
        with told("synth") as tell:
            write_synth_coco(dataroot, synth_options_of(dataroot), tell=tell)  # one that is there keeps its options
    train, evaluated = (open_split(dataroot, split, cache) for split in COCO_SPLITS)
    for split, name in zip((train, evaluated), COCO_SPLITS, strict=True):
        _check_coco_images(split, name)
    positions = train.index.trainable(recipe.data.smallest_side)
    if not positions:
        raise DataError(
            f"{dataroot}: none of the {len(train.index)} images of {COCO_SPLITS[0]} has sides of "
            f"{recipe.data.smallest_side} pixels ([data] smallest_side)"
        )
    return DataReady(
        dataset=recipe.data.dataset,
        dataroot=str(dataroot),
        version="2017",
        synthetic=data == "synth",
        fingerprint=_coco_fingerprint(dataroot),
        train_split=COCO_SPLITS[0],
        eval_split=COCO_SPLITS[1],
        train_samples=len(positions),
        eval_samples=len(evaluated.index),
        scenes=None,
        boxes=train.index.num_boxes + evaluated.index.num_boxes,
        warnings=(),
    )


def open_split(dataroot: Path, split: str, cache: Path) -> CocoSplit:
    """Return the images of a split of COCO, indexed the first time. Raises DataError."""
    index = open_annotations(_annotations(dataroot, split), cache)
    return CocoSplit(index, dataroot / split)


def what_changed_in_coco(data: DataReady) -> str | None:
    """Say what is no longer as it was when COCO was prepared, None if nothing is."""
    try:
        now = _coco_fingerprint(Path(data.dataroot))
    except DataError:
        return f"the annotations in {data.dataroot} are gone"
    return None if now == data.fingerprint else f"the annotations in {data.dataroot} are others"


def _annotations(dataroot: Path, split: str) -> Path:
    return dataroot / "annotations" / f"instances_{split}.json"


def _coco_fingerprint(dataroot: Path) -> str:
    return digest([fingerprint_of(_annotations(dataroot, split)) for split in COCO_SPLITS])


def _check_coco_images(split: CocoSplit, name: str) -> None:
    """Raise DataError when a split is empty, or images of it are not on disk."""
    names = split.index.file_names
    if not names:
        raise DataError(f"{split.folder.parent}: the annotations of {name} hold no image")
    missing = [file_name for file_name in names if not (split.folder / file_name).is_file()]
    if missing:
        raise DataError(
            f"{split.folder}: {len(missing)} of {len(names)} images are missing, the first is {missing[0]}; extract "
            f"{name}.zip into {split.folder.parent}"
        )
