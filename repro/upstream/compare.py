"""The story of `compare-upstream`: one set of weights, two models, the same frames, and where they part."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from repro.data import DataError
from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import load_checkpoint
from repro.models.upstream_names import upstream_name
from repro.parity.weights import golden_weight
from repro.recipe import load_recipe
from repro.upstream.exchange import UpstreamError, ask, config_of, write_request
from repro.upstream.frames import first_frames
from repro.upstream.layers import judged, layers_of, predicted, watched
from repro.weights import CheckpointError

if TYPE_CHECKING:
    import argparse

    from repro.models.bevformer import BEVFormer
    from repro.parity.check import Check
    from repro.recipe import Recipe
    from repro.tensors import Frame
    from repro.upstream.exchange import Answer
    from repro.upstream.layers import Layer

SCHEMA_VERSION = 1
SAME, DIFFERENT, BAD_INPUT = 0, 1, 2
PYTHON = Path(__file__).resolve().parents[2] / ".venv-upstream" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All layers of one frame."""

    history: bool
    checks: tuple[Check, ...]


def main(words: argparse.Namespace) -> int:
    """Compare; return 0 if every layer agrees, 1 if one does not, 2 for bad input, 3 if their model did not run."""
    try:
        compared, versions = compare_models(words)
    except UpstreamError as error:
        return _complain(str(error), error.code, as_json=words.json)
    except (DataError, CheckpointError) as error:
        return _complain(str(error), BAD_INPUT, as_json=words.json)
    ok = all(check.ok for frame in compared for check in frame.checks)
    if words.json:
        rows = [{"history": frame.history, "layers": [_row(check) for check in frame.checks]} for frame in compared]
        document = {"schema_version": SCHEMA_VERSION, "ok": ok, "versions": versions, "frames": rows}
        sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write("\n".join(_page(compared, versions)) + "\n")
    return SAME if ok else DIFFERENT


def compare_models(words: argparse.Namespace) -> tuple[list[Comparison], dict[str, str]]:
    """Run both models and return what differs, frame by frame, and the versions that theirs ran on.

    Raises UpstreamError, DataError, CheckpointError.
    """
    recipe = load_recipe(words.recipe)
    if words.quirks == "released":
        quirks = recipe.model.quirks.released()
        recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"quirks": quirks})})
    checkout = words.checkout.resolve()
    config = config_of(checkout, recipe.name, words.config)
    model = build_bevformer(recipe).eval()
    if words.checkpoint:
        load_checkpoint(model, recipe, words.checkpoint)
    else:
        fill(model, words.seed)
    frames, layers = first_frames(recipe, words.dataroot), layers_of(recipe)
    with tempfile.TemporaryDirectory(prefix="compare-upstream-") as scratch:
        modules = [layer.theirs.split("/")[0] for layer in layers]
        place = {"checkout": str(checkout), "config": str(config), "history": recipe.model.use_history}
        answer = ask(words.python or PYTHON, write_request(Path(scratch), model, frames, modules, **place))
    return _against(answer, model, recipe, frames, layers), answer.versions


def fill(model: BEVFormer, seed: str) -> None:
    """Give `model` weights that are a function of their upstream names and `seed`, as the golden sets do."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            value = golden_weight(upstream_name(name), tensor.shape, seed)
            if value is not None:
                tensor.copy_(torch.from_numpy(value))


@torch.inference_mode()
def _against(
    answer: Answer, model: BEVFormer, recipe: Recipe, frames: list[Frame], layers: list[Layer]
) -> list[Comparison]:
    """Run our model on the same frames, the history being our own, and judge each layer."""
    compared: list[Comparison] = []
    history = None
    with watched(model, layers) as seen:
        for frame, theirs in zip(frames, answer.frames, strict=True):
            prediction = model(frame, history)
            checks = judged(layers, {**seen, **predicted(prediction)}, theirs)
            compared.append(Comparison(history is not None, checks))
            history = prediction.bev if recipe.model.use_history else None
    return compared


def _row(check: Check) -> dict[str, Any]:
    """Return a check as JSON has it: an error that is no number (shapes differ, NaN) is null."""
    return {key: None if value == math.inf else value for key, value in asdict(check).items()}


def _page(compared: list[Comparison], versions: dict[str, str]) -> list[str]:
    lines = [f"theirs: {', '.join(f'{name} {version}' for name, version in versions.items())}"]
    lines += [f"ours: torch {torch.__version__}"]
    for number, frame in enumerate(compared, 1):
        lines += ["", f"frame {number}, {'with' if frame.history else 'without'} history"]
        lines += [_line(check) for check in frame.checks]
        worse = [check.what for check in frame.checks if not check.ok]
        lines += [f"the first layer that differs: {worse[0]}"] if worse else []
    checks = [check for frame in compared for check in frame.checks]
    good = sum(check.ok for check in checks)
    return [*lines, "", f"{good} of {len(checks)} layers agree"]


def _line(check: Check) -> str:
    """Return one line: verdict, layer, largest difference, and that in units of their largest value."""
    verdict = "pass" if check.ok else "FAIL"
    allowed = f"(allowed {check.tolerance})"
    return f"{verdict}  {check.what:<44} abs {check.worst_abs:8.2e}  rel {check.worst_rel:8.2e}  {allowed}"


def _complain(words: str, code: int, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, "ok": False, "error": words}, indent=1) + "\n")
    else:
        sys.stderr.write(f"compare-upstream: {words}\n")
    return code
