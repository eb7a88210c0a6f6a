"""The pages of the menu about runs and what they read: repro, recipes, synth, weights and infos."""

from __future__ import annotations

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.words import KeepsH, leave, passed_to, repro, words


@task(
    name="repro",
    help={
        "recipe": "a name out of `invoke recipes`, or a .toml file",
        "data": "nuscenes (the full set), nuscenes-mini, coco, or synth (made on the spot, no licence needed)",
        "dataroot": "the folder that holds samples/ and v1.0-*/, or annotations/, *2017/ (default: data/nuscenes, …)",
        "run": "the run folder; the same folder resumes (default: runs/RECIPE-DATA[-smoke])",
        "stage": "stop after this stage: data, train, evaluate, compare, record or report",
        "smoke": "shorten every stage; the report says what was shortened",
        "plan": "say which stages would run and why, and stop",
        "gate": "climb the ladder released, golden, short, full up to this gate; one that fails ends it",
        "iterations": "of --gate short (default: 1000)",
        "log": "the authors' training log, for the loss band of --gate short",
        "golden": "outputs of the authors' code, for --gate golden",
        "checkpoint": "start from these weights (with --eval-only: judge them)",
        "eval-only": "do not train; needs --checkpoint",
        "without-can-bus": "go on with zeros for the car's motion where can_bus/ is missing",
        "infos": "read frames from upstream's nuscenes_infos_temporal_*.pkl in this folder instead of the tables",
        "quirks": "head (the recipe's) or released (what the published checkpoints were trained with)",
        "device": "auto, cpu or cuda",
        "gpus": "as this many processes, one a GPU, through torchrun (srun in a SLURM job with --nodes)",
        "processes": "the same on the CPU, for trying: with --device cpu",
        "nodes": "on this many machines, with that many processes each",
        "container": "the same in the container of this stack; the run folder lies here and is yours",
        "force": "go on although the doctor found problems",
        "json": "print the verdict as one JSON document and nothing else",
    },
)
@passed_to(repro, "run")
def repro_task(
    _: Context,
    recipe: str = "",
    data: str = "",
    dataroot: str = "",
    run: str = "",
    stage: str = "",
    smoke: bool = False,
    plan: bool = False,
    gate: str = "",
    iterations: int = 0,
    log: str = "",
    golden: str = "",
    checkpoint: str = "",
    eval_only: bool = False,
    without_can_bus: bool = False,
    infos: str = "",
    quirks: str = "head",
    device: str = "auto",
    gpus: int = 0,
    processes: int = 0,
    nodes: int = 1,
    container: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Reproduce a number: doctor, data, train, evaluate, compare, record, report. Ctrl-C leaves a run that resumes."""


@task(
    name="recipes",
    help={"show": "print this recipe as read, defaults included", "json": "as JSON"},
)
def recipes_task(_: Context, show: str = "", json: bool = False) -> None:
    """List the recipes with their published numbers, or show one."""
    leave(repro(["recipes", *([show] if show else []), *words({"--json": json})]))


@task(
    name="synth",
    help={"directory": "where", "scenes": "2 to 10", "frames": "key frames a scene", "seed": "another street"},
)
@passed_to(repro, "synth")
def synth_task(_: Context, directory: str, scenes: int = 2, frames: int = 6, seed: int = 0) -> None:
    """Write a synthetic data set in the nuScenes format; `repro --data synth --dataroot DIR` reads it."""


@task(
    name="weights",
    klass=KeepsH,
    help={
        "recipe": "a name out of `invoke recipes`",
        "fetch": "fetch what is missing; the same command resumes",
        "to": "where the files lie (default: data/weights)",
        "mirror": "the address of a folder to ask first",
        "check": "say how this checkpoint fits the recipe, key by key",
        "export": "write --checkpoint to this file under upstream's names",
        "checkpoint": "what --export reads",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(repro, "weights")
def weights_task(
    _: Context,
    recipe: str = "bevformer_tiny",
    fetch: bool = False,
    to: str = "",
    mirror: str = "",
    check: str = "",
    export: str = "",
    checkpoint: str = "",
    json: bool = False,
) -> None:
    """List, fetch, check or export the weights of a recipe."""


@task(
    name="infos",
    help={
        "export": "write the two info files of --dataroot into this folder",
        "import": "read and judge this info file; runs read the tables, never info files",
        "convert": "with --import: write FILE.mmdet3d-0.17.pkl beside it",
        "data": "nuscenes, nuscenes-mini or synth",
        "dataroot": "the folder that holds samples/ and v1.0-*/",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(repro, "infos")
def infos_task(
    _: Context,
    export: str = "",
    import_: str = "",
    convert: bool = False,
    data: str = "nuscenes",
    dataroot: str = "data/nuscenes",
    json: bool = False,
) -> None:
    """Write or read upstream's nuscenes_infos_temporal_*.pkl."""
