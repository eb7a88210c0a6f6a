"""The pages of the menu about pictures: draw and predict."""

from __future__ import annotations

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.words import passed_to, repro


@task(
    name="draw",
    help={
        "run": "the folder of an evaluated run",
        "scene": "a scene's number from 0, its name, or all; for Deformable DETR an image id",
        "frame": "only this key frame of the scene, from 0",
        "most": "at most so many pictures",
        "threshold": "the least score drawn",
        "attention": "ROW,COL: draw where this cell of the BEV looks instead",
        "layer": "with --attention: of this encoder layer, from 0; -1 is the last",
        "video": "also a film of each scene: mp4 (two key frames a second) or gif",
        "dataroot": "where the data set lies now, if it has moved",
        "out": "where the pictures go (default: drawings/ in the run)",
    },
    optional=["video"],
)
@passed_to(repro, "draw")
def draw_task(
    _: Context,
    run: str = "",
    scene: str = "",
    frame: str = "",
    most: str = "",
    threshold: str = "0.3",
    attention: str = "",
    layer: int = -1,
    video: str | None = None,
    dataroot: str = "",
    out: str = "",
) -> None:
    """Draw key frames, attention or images of an evaluated run as PNG, and scenes as films."""


@task(
    name="predict",
    help={
        "recipe": "a name out of `invoke recipes`",
        "checkpoint": "the weights",
        "frame": "a folder with six photos and calibration.json, a sample token of --dataroot, or an image file",
        "dataroot": "where sample tokens are looked up (default: data/nuscenes)",
        "threshold": "the least score drawn",
        "device": "auto, cpu or cuda",
        "out": "for boxes.json and picture.png (default: predictions/NAME)",
        "example": "write a frame folder to start from, and stop",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(repro, "predict")
def predict_task(
    _: Context,
    recipe: str = "",
    checkpoint: str = "",
    frame: str = "",
    dataroot: str = "",
    threshold: str = "0.3",
    device: str = "auto",
    out: str = "",
    example: str = "",
    json: bool = False,
) -> None:
    """Find boxes in one frame of your own, a sample, or one image. More words: python -m repro predict --help."""
