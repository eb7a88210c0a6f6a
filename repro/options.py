"""The words that `python -m repro` understands, and its help. What they do: `__main__.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from repro.artifacts import GATES, STAGES

JSON = "one JSON document on stdout and nothing else"
RUN = "Run one command and return its exit code."
DATA = ("nuscenes", "nuscenes-mini", "coco", "synth")
EPILOG = """\
examples
  python -m repro run --recipe bevformer_tiny --data synth --smoke      the whole path in minutes, no licence, no GPU
  python -m repro run --recipe bevformer_tiny --dataroot /data/nuscenes the published number
  python -m repro run --recipe bevformer_tiny --eval-only --checkpoint bevformer_tiny_epoch_24.pth --quirks released
"""
FRAMES = """\
a frame folder holds six JPEGs and calibration.json:
  {"schema_version": 1, "token": "my_frame",
   "cameras": {"CAM_FRONT": {"image": "front.jpg", "intrinsic": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
                             "ego_from_camera": {"translation": [x, y, z], "rotation": [w, x, y, z]}}, ... all six},
   "ego_from_lidar": {"translation": [x, y, z], "rotation": [w, x, y, z]}}
metres and quaternions; more words: docs/single_frame.md; `--example DIR` writes one that works
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `command` is the name of the one that was typed."""
    menu = argparse.ArgumentParser(
        prog="repro",
        description="From a recipe to a judged number.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = menu.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _add_run(commands.add_parser("run", help="doctor, data, train, evaluate, compare, record, report", description=RUN))
    _add_recipes(commands.add_parser("recipes", help="list the recipes, or show one"))
    _add_synth(commands.add_parser("synth", help="write a synthetic data set in the nuScenes format"))
    _add_weights(commands.add_parser("weights", help="list, fetch, check or export the weights of a recipe"))
    _add_infos(commands.add_parser("infos", help="write or read upstream's nuscenes_infos_temporal_*.pkl"))
    _add_records(commands)
    _add_draw(commands.add_parser("draw", help="draw key frames, attention or images of an evaluated run"))
    _add_predict(commands.add_parser("predict", help="boxes in one frame of your own, or in one image", epilog=FRAMES))
    _add_parity(commands.add_parser("parity", help="compare our maths with outputs of the authors' code"))
    _add_upstream(commands.add_parser("compare-upstream", help="run the authors' model and ours on the same weights"))
    return menu


def _add_recipes(recipes: argparse.ArgumentParser) -> None:
    recipes.add_argument("name", nargs="?", help="show this recipe as read, defaults included")
    recipes.add_argument("--json", action="store_true", help=JSON)


def _add_synth(synth: argparse.ArgumentParser) -> None:
    synth.add_argument("directory", type=Path, help="where; `run --data synth --dataroot` reads it from there")
    synth.add_argument("--scenes", type=int, default=2, help="2 to 10, mini's scene names (default: %(default)s)")
    synth.add_argument("--frames", type=int, default=6, help="key frames a scene, two a second (default: %(default)s)")
    synth.add_argument("--seed", type=int, default=0, help="another seed, another street (default: %(default)s)")


def _add_parity(parity: argparse.ArgumentParser) -> None:
    parity.add_argument("directory", type=Path, help="a golden set, laid out as ../shared/golden/A")
    parity.add_argument("--json", action="store_true", help=JSON)


def _add_weights(weights: argparse.ArgumentParser) -> None:
    weights.add_argument(
        "--recipe", required=True, metavar="NAME", help="a name out of `repro recipes`, or a .toml file"
    )
    weights.add_argument("--fetch", action="store_true", help="fetch what is missing; the same command resumes")
    weights.add_argument("--to", type=Path, metavar="DIR", help="where the files lie (default: data/weights)")
    weights.add_argument("--mirror", action="append", default=[], metavar="URL", help="a folder to ask first")
    weights.add_argument("--check", type=Path, metavar="FILE", help="say how this checkpoint fits, key by key")
    weights.add_argument("--export", type=Path, metavar="FILE", help="write --checkpoint under upstream's names")
    weights.add_argument("--checkpoint", type=Path, metavar="FILE", help="what --export reads")
    weights.add_argument("--json", action="store_true", help=JSON)


def _add_infos(infos: argparse.ArgumentParser) -> None:
    way = infos.add_mutually_exclusive_group(required=True)
    way.add_argument("--export", type=Path, metavar="DIR", help="write the two files of --dataroot into this folder")
    judged = "read and judge these files; `run --infos DIR` trains and evaluates on them"
    way.add_argument("--import", type=Path, nargs="+", metavar="FILE", dest="read", help=judged)
    infos.add_argument("--convert", action="store_true", help="with --import: write FILE.mmdet3d-0.17.pkl beside FILE")
    infos.add_argument("--data", choices=DATA, default="nuscenes", help="which data set (default: %(default)s)")
    infos.add_argument("--dataroot", type=Path, default=Path("data/nuscenes"), help="(default: %(default)s)")
    infos.add_argument("--cache", type=Path, default=Path("data/index"), help="where the index lies")
    infos.add_argument("--prefix", default="./data/nuscenes/", help="stands before each path (default: %(default)s)")
    infos.add_argument("--json", action="store_true", help=JSON)


def _add_upstream(upstream: argparse.ArgumentParser) -> None:
    upstream.add_argument("--checkout", type=Path, metavar="DIR", help="the authors' repository")
    upstream.add_argument("--python", type=Path, metavar="PATH", help="their environment's (default: .venv-upstream)")
    upstream.add_argument("--recipe", default="bevformer_tiny", metavar="NAME", help="(default: %(default)s)")
    upstream.add_argument("--config", default="", metavar="PATH", help="their configuration, if named otherwise")
    upstream.add_argument("--checkpoint", type=Path, metavar="FILE", help="these weights (default: made-up ones)")
    upstream.add_argument("--seed", default="A", help="of the made-up weights (default: %(default)s)")
    upstream.add_argument("--dataroot", type=Path, metavar="DIR", help="nuScenes (default: synthetic frames)")
    upstream.add_argument("--quirks", choices=("head", "released"), default="head", help="whose quirks (spec §I)")
    upstream.add_argument("--json", action="store_true", help=JSON)


def _add_records(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="verify the record of somebody's run: hashes, figures, verdict; no GPU")
    check.add_argument("run", type=Path, help="a run folder, or a record in it")
    check.add_argument("--dataroot", type=Path, help="where the data set lies here, to have the results judged again")
    check.add_argument("--json", action="store_true", help=JSON)
    diff = commands.add_parser("diff", help="two runs: what differs, the likeliest to have moved the metric first")
    diff.add_argument("one", type=Path, help="a run folder, or a record in it")
    diff.add_argument("other", type=Path, help="another")
    diff.add_argument("--json", action="store_true", help=JSON)
    archive = commands.add_parser("archive", help="a run as an RO-Crate: one zip with its record and every file of it")
    archive.add_argument("run", type=Path, help="a run folder")
    archive.add_argument("to", type=Path, help="the zip to write")


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--recipe", required=True, metavar="NAME", help="a name out of `repro recipes`, or a .toml file")
    run.add_argument("--data", choices=DATA, help="which data set (default: nuscenes, or coco)")
    run.add_argument(
        "--dataroot",
        type=Path,
        help="the folder with samples/ and v1.0-*/, or annotations/ and *2017/ (default: data/…)",
    )
    run.add_argument("--run", type=Path, metavar="DIR", help="run folder; the same one resumes (default: runs/…)")
    run.add_argument("--stage", choices=STAGES, default="report", help="stop after this stage")
    run.add_argument("--smoke", action="store_true", help="shorten every stage; the report says what was shortened")
    run.add_argument("--plan", action="store_true", help="say which stages would run and why, and stop")
    run.add_argument("--gate", choices=GATES, help="climb the ladder up to this gate; a gate that fails ends it")
    run.add_argument("--iterations", type=int, metavar="N", help="of --gate short (default: 1000)")
    run.add_argument(
        "--log", type=Path, metavar="FILE", help="the authors' training log, for the loss band of the gate"
    )
    run.add_argument("--golden", type=Path, metavar="DIR", help="outputs of the authors' code, for --gate golden")
    run.add_argument("--checkpoint", type=Path, metavar="FILE", help="start from these weights")
    run.add_argument("--eval-only", action="store_true", help="do not train; needs --checkpoint")
    run.add_argument("--without-can-bus", action="store_true", help="go on with zeros where the CAN bus is missing")
    run.add_argument("--infos", type=Path, metavar="DIR", help="read frames from upstream's info files in this folder")
    run.add_argument("--quirks", choices=("head", "released"), default="head", help="whose quirks (spec §I)")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    run.add_argument("--gpus", type=int, metavar="N", help="as N processes, one a GPU, through torchrun or srun")
    run.add_argument("--processes", type=int, metavar="N", help="the same on the CPU, for trying: --device cpu")
    run.add_argument("--nodes", type=int, default=1, metavar="M", help="on M machines with N each (SLURM job: srun)")
    run.add_argument("--container", metavar="STACK", help="the same in the container of this stack (docker, podman)")
    run.add_argument("--force", action="store_true", help="go on although the doctor found problems")
    run.add_argument("--json", action="store_true", help="print the verdict as one JSON document and nothing else")


def _add_draw(draw: argparse.ArgumentParser) -> None:
    draw.add_argument("--run", type=Path, required=True, metavar="DIR", help="the folder of an evaluated run")
    draw.add_argument(
        "--scene",
        default="",
        metavar="N",
        help="a scene's number from 0, its name, or all (default: 0); or an image id",
    )
    draw.add_argument("--frame", type=int, metavar="K", help="only this key frame of the scene, from 0")
    draw.add_argument("--most", type=int, metavar="N", help="at most so many pictures (default for images: 8)")
    draw.add_argument("--threshold", type=float, default=0.3, help="the least score drawn (default: %(default)s)")
    draw.add_argument(
        "--attention", default="", metavar="ROW,COL", help="draw where this cell of the BEV looks instead"
    )
    draw.add_argument("--layer", type=int, default=-1, help="of this encoder layer, from 0 (default: the last)")
    draw.add_argument(
        "--video", nargs="?", const="mp4", default="", choices=("", "mp4", "gif"), help="also a film of each scene"
    )
    draw.add_argument("--dataroot", type=Path, metavar="DIR", help="where the data set lies now, if it has moved")
    draw.add_argument("--out", type=Path, metavar="DIR", help="where the pictures go (default: drawings/ in the run)")


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.formatter_class = argparse.RawDescriptionHelpFormatter
    predict.add_argument("--recipe", metavar="NAME", help="a name out of `repro recipes`, or a .toml file")
    predict.add_argument("--checkpoint", type=Path, metavar="FILE", help="the weights")
    predict.add_argument(
        "--frame", metavar="DIR|TOKEN", help="a frame folder (below), or a sample token of --dataroot; or an image file"
    )
    predict.add_argument("--dataroot", type=Path, default=Path("data/nuscenes"), help="(default: %(default)s)")
    predict.add_argument("--threshold", type=float, default=0.3, help="the least score drawn (default: %(default)s)")
    predict.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    predict.add_argument(
        "--out", type=Path, metavar="DIR", help="for boxes.json and picture.png (default: predictions/…)"
    )
    predict.add_argument("--json", action="store_true", help=JSON)
    predict.add_argument("--example", type=Path, metavar="DIR", help="write a frame folder to start from, and stop")
