"""What goes to the authors' model and what comes back: arrays as .npz, never unpickled, and one line of JSON."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.models.upstream_names import DROPPED, upstream_name
from repro.upstream.child import ANSWER, PLUGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn

    from repro.tensors import Frame

CHILD = Path(__file__).with_name("child.py")
PACKAGES = ("torch", "torchvision", "numpy", "mmcv", "mmdet", "mmseg", "mmdet3d")
WHERE = "git clone https://github.com/fundamentalvision/BEVFormer"
SHOWN = 4
LINES = 12
BAD_INPUT, NO_LOOK = 2, 3


class UpstreamError(RuntimeError):
    """A comparison that cannot be made; the message says what was seen and what to type. `code` is the exit code."""

    def __init__(self, words: str, code: int = BAD_INPUT) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What the authors' model returned: an array for each "MODULE/PART", frame by frame; and its packages' versions."""

    frames: tuple[dict[str, NDArray[np.float32]], ...]
    versions: dict[str, str]


def config_of(checkout: Path, recipe: str, named: str = "") -> Path:
    """Return the authors' configuration file of a recipe, or the one named. Raises UpstreamError."""
    if not (checkout / PLUGIN).is_dir():
        raise UpstreamError(f"{checkout}: expected the authors' repository, saw no {PLUGIN} in it; get it: {WHERE}")
    if named:
        found = [path for path in (checkout / named, Path(named)) if path.is_file()]
    else:
        found = sorted(checkout.glob(f"projects/configs/*/{recipe}.py"))
    if not found:
        there = ", ".join(sorted(path.stem for path in checkout.glob("projects/configs/bevformer*/*.py"))) or "none"
        raise UpstreamError(
            f"{checkout}: no configuration {named or recipe} under projects/configs (there: {there}); "
            "choose another recipe, or name the file: --config PATH"
        )
    return found[0].resolve()


def write_request(
    folder: Path, model: nn.Module, frames: Sequence[Frame], modules: Sequence[str], **words: object
) -> Path:
    """Write weights (under upstream's names), frames and the request into `folder`; return the request's path.

    Frames have batch size one. `words` go into the request as they are: checkout, config, history.
    """
    state = {upstream_name(name): tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    np.savez(folder / "weights.npz", **state)
    np.savez(
        folder / "frames.npz",
        images=np.stack([frame.images.cpu().numpy() for frame in frames]),
        img_from_lidar=np.stack([frame.img_from_lidar[0].cpu().numpy() for frame in frames]),
        can_bus=np.stack([frame.can_bus[0].cpu().numpy() for frame in frames]),
    )
    files = {name: str(folder / f"{name}.npz") for name in ("weights", "frames", "outputs")}
    request = folder / "request.json"
    content = {**words, **files, "modules": sorted(set(modules)), "packages": PACKAGES}
    request.write_text(json.dumps(content), encoding="utf-8")
    return request


def ask(python: Path, request: Path) -> Answer:
    """Run the authors' model on a request and read what it returned. Raises UpstreamError, with the child's words."""
    if not python.is_file():
        raise UpstreamError(
            f"{python}: no interpreter there; make the authors' environment: ./bevready env --stack upstream, "
            "or name another: --python PATH"
        )
    command = [str(python), "-I", str(CHILD), str(request)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    lines = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
    if done.returncode or not lines:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LINES:])
        raise UpstreamError(
            f"the authors' model did not run in {python} (exit {done.returncode}). Is it their environment? "
            f"./bevready env --stack upstream --verify. Its last words:\n{said}",
            NO_LOOK,
        )
    told: dict[str, Any] = json.loads(lines[-1].removeprefix(ANSWER))
    _check_same_weights(told)
    outputs = Path(json.loads(request.read_text(encoding="utf-8"))["outputs"])
    return Answer(_by_frame(outputs), {str(name): str(value) for name, value in told["versions"].items()})


def _check_same_weights(told: dict[str, Any]) -> None:
    """Raise UpstreamError unless every weight of both models is the same."""
    missing = [name for name in told["missing"] if name not in DROPPED]
    for words, names in (("has weights that ours lacks", missing), ("lacks weights of ours", told["unexpected"])):
        if names:
            some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            raise UpstreamError(f"their model {words}: {some}; is this configuration that of the recipe?")


def _by_frame(path: Path) -> tuple[dict[str, NDArray[np.float32]], ...]:
    frames: dict[int, dict[str, NDArray[np.float32]]] = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                number, _, layer = name.partition("/")
                frames.setdefault(int(number), {})[layer] = stored[name]
    except (OSError, ValueError, EOFError) as error:
        raise UpstreamError(f"{path}: what the authors' model wrote cannot be read ({error})", NO_LOOK) from error
    return tuple(frames[number] for number in sorted(frames))
