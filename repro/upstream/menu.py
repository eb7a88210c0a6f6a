"""`compare-upstream` as typed: looks at the checkout before anything heavy is imported, makes the call, prints."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.recipe import RecipeError, load_recipe
from repro.upstream.checkout import open_checkout
from repro.upstream.exchange import upstream
from repro.upstream.failures import BAD_INPUT, OTHER, UpstreamError, not_written
from repro.upstream.page import write_page

if TYPE_CHECKING:
    import argparse

    from repro.parity.check import Check
    from repro.recipe import Recipe
    from repro.upstream.checkout import Checkout
    from repro.upstream.compare import Compared
    from repro.upstream.exchange import Built, Upstream

SCHEMA_VERSION = 1
SAME, DIFFERENT, INTERRUPTED = 0, 1, 130
PYTHON = Path(__file__).resolve().parents[2] / ".venv-upstream" / "bin" / "python"


def main(words: argparse.Namespace) -> int:
    """Compare; return 0 if every layer agrees, 1 if one does not, 2 for bad input, 3 if their model did not run."""
    try:
        return _compare(words)
    except (UpstreamError, RecipeError) as error:
        return _complain(str(error), getattr(error, "code", BAD_INPUT), as_json=words.json)
    except BrokenPipeError:
        raise  # whoever read our output has left: for __main__, as of every command
    except OSError as error:
        told = not_written(error, tempfile.tempdir or "the folder for temporary files")
        return _complain(str(told), told.code, as_json=words.json)
    except KeyboardInterrupt:
        return _complain("stopped; nothing is left behind, nothing was compared", INTERRUPTED, as_json=words.json)


def _compare(words: argparse.Namespace) -> int:
    """Look at what was typed, start their model, and only then import what takes seconds."""
    recipe = _recipe(words)
    checkout = open_checkout(words.checkout, recipe.name, words.config)
    python = words.python or PYTHON
    if not python.is_file():
        raise UpstreamError(f"{python}: no interpreter there; {OTHER}")
    if words.checkpoint and not words.checkpoint.is_file():
        raise UpstreamError(f"{words.checkpoint}: no such file; name a checkpoint: --checkpoint FILE")
    return _run(words, recipe, checkout, python.absolute())


def _run(words: argparse.Namespace, recipe: Recipe, checkout: Checkout, python: Path) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="compare-upstream-") as scratch,
        upstream(python, Path(scratch), checkout) as theirs,
    ):
        compared = _both(words, recipe, theirs, theirs.built(_say))
    ok = all(check.ok for check in compared.checks)
    told = {"recipe": recipe.name, "quirks": words.quirks, "weights": _weights(words), "data": _data(words)}
    told |= {"checkout": str(checkout.folder), "config": str(checkout.config), "commit": checkout.commit}
    if words.json:
        sys.stdout.write(json.dumps(_document(compared, told, ok=ok), indent=1, allow_nan=False) + "\n")
    else:
        write_page(compared, told)
    return SAME if ok else DIFFERENT


def _both(words: argparse.Namespace, recipe: Recipe, theirs: Upstream, built: Built) -> Compared:
    """Run both models. Raises UpstreamError."""
    _say(f"ours: builds {recipe.name} with {_weights(words)}, and reads {_data(words)}")
    from repro.data import DataError  # noqa: PLC0415 — imports torch
    from repro.upstream.compare import compare_models  # noqa: PLC0415 — as above
    from repro.weights import CheckpointError  # noqa: PLC0415 — as above

    try:
        return compare_models(words, recipe, theirs, built)
    except (DataError, CheckpointError) as error:
        raise UpstreamError(str(error)) from error


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def _recipe(words: argparse.Namespace) -> Recipe:
    recipe = load_recipe(words.recipe)
    if words.quirks != "released":
        return recipe
    quirks = recipe.model.quirks.released()
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"quirks": quirks})})


def _weights(words: argparse.Namespace) -> str:
    return str(words.checkpoint) if words.checkpoint else f"made-up weights, seed {words.seed}"


def _data(words: argparse.Namespace) -> str:
    return str(words.dataroot) if words.dataroot else "synthetic frames"


def _document(compared: Compared, told: dict[str, str], *, ok: bool) -> dict[str, Any]:
    """Return what `--json` prints."""
    rows = [{"history": frame.history, "layers": [_row(check) for check in frame.checks]} for frame in compared.frames]
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": ok,
        **told,
        "versions": compared.theirs.versions,
        "stand_ins": compared.theirs.stand_ins,
        "ours": {"torch": compared.torch, "operators": compared.operators},
        "seconds": {name: round(seconds, 1) for name, seconds in compared.seconds.items()},
        "frames": rows,
    }


def _row(check: Check) -> dict[str, Any]:
    """Return a check as JSON has it: an error that is no number (shapes differ, NaN) is null."""
    return {key: None if value == math.inf else value for key, value in asdict(check).items()}


def _complain(words: str, code: int, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, "ok": False, "error": words}, indent=1) + "\n")
    else:
        sys.stderr.write(f"compare-upstream: {words}\n")
    return code
