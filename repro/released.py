"""The weights of a recipe as typed: listed, fetched, checked against the recipe, exported to upstream's names."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from repro.atomic import sha256_of
from repro.fetch import FetchError, fetch
from repro.progress import told
from repro.recipe import Recipe, load_recipe
from repro.recipe.files import FOLDER, WeightFile, weight_files

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from torch import nn

MIRRORS = "BEVREADY_WEIGHTS_MIRROR"  # addresses of folders, separated by spaces
OK, BAD_INPUT = 0, 2


def main(words: argparse.Namespace) -> int:
    """Do what `python -m repro weights` was asked for; return its exit code."""
    from repro.weights import CheckpointError  # noqa: PLC0415 — torch takes seconds to import

    recipe = load_recipe(words.recipe)
    try:
        if words.check is not None:
            return _check(recipe, words.check, as_json=words.json)
        if words.export is not None:
            return _export(recipe, words.checkpoint, words.export, as_json=words.json)
        return _files(recipe, words)
    except (CheckpointError, FetchError) as error:
        if words.json:
            _say({"schema_version": 1, "recipe": recipe.name, "error": str(error)}, str(error), as_json=True)
        else:
            sys.stderr.write(f"{error}\n")
        return BAD_INPUT


def _files(recipe: Recipe, words: argparse.Namespace) -> int:
    folder, rows = words.to or FOLDER, list[dict[str, Any]]()
    mirrors = (*words.mirror, *os.environ.get(MIRRORS, "").split())
    for entry in weight_files(recipe.name):
        path = folder / entry.file
        fetched = words.fetch and not path.is_file()
        if fetched:
            with told(entry.file) as tell:
                fetch(entry.addresses(mirrors), path, sha256=entry.sha256, tell=tell)
        rows.append(_row(entry, path, mirrors, fetched=fetched))
    lines = [_line(row) for row in rows] or [f"{recipe.name}: no weights were published for this recipe"]
    _say({"schema_version": 1, "recipe": recipe.name, "files": rows}, "\n".join(lines), as_json=words.json)
    return BAD_INPUT if any(row["state"] == "other digest" for row in rows) else OK


def _row(entry: WeightFile, path: Path, mirrors: tuple[str, ...], *, fetched: bool) -> dict[str, Any]:
    digest = sha256_of(path) if path.is_file() else None
    state = "missing"
    if digest is not None:
        fits = digest.startswith(entry.sha256)
        state = "fetched" if fetched and fits else "there" if fits else "other digest"
    return {
        "role": entry.role,
        "path": str(path),
        "state": state,
        "sha256": digest,
        "pinned": entry.sha256 or None,
        "urls": entry.addresses(mirrors),
    }


def _line(row: dict[str, Any]) -> str:
    text = f"{row['role']:<9} {row['path']}: {row['state']}"
    if row["state"] == "missing":
        return f"{text}; fetch it with --fetch, or download {row['urls'][0]} elsewhere and put it there"
    if row["state"] == "other digest":
        return f"{text} (SHA-256 {row['sha256'][:16]}…, expected {row['pinned']}…); delete it and type --fetch"
    pinned = f"as pinned ({row['pinned']})" if row["pinned"] else "not pinned: the publisher names no digest"
    return f"{text}, SHA-256 {row['sha256']}, {pinned}"


def _check(recipe: Recipe, path: Path, *, as_json: bool) -> int:
    """Say how a file fits the recipe, key by key."""
    from repro.models.checkpoints import why_not  # noqa: PLC0415 — as above
    from repro.models.upstream_names import our_name  # noqa: PLC0415 — as above
    from repro.weights import fitted, read_checkpoint  # noqa: PLC0415 — as above

    tensors, fit = fitted(_model(recipe), read_checkpoint(path), our_name=our_name)
    verdict = f"fits {recipe.name}" if fit.whole else f"does not fit {recipe.name}: {why_not(tensors, recipe)}"
    document = {"schema_version": 1, "recipe": recipe.name, "path": str(path), "fits": fit.whole, "verdict": verdict}
    _say({**document, **asdict(fit)}, f"{path}: {verdict}\n{fit.text()}", as_json=as_json)
    return OK if fit.whole else BAD_INPUT


def _export(recipe: Recipe, source: Path | None, target: Path, *, as_json: bool) -> int:
    from repro.models.checkpoints import export_upstream, load_checkpoint  # noqa: PLC0415 — as above
    from repro.weights import CheckpointError  # noqa: PLC0415 — as above

    if source is None:
        raise CheckpointError("--export FILE also needs --checkpoint FILE: the weights to export")
    model = _model(recipe)
    load_checkpoint(model, recipe, source)
    tensors = export_upstream(model, recipe, target)
    document = {"schema_version": 1, "recipe": recipe.name, "path": str(target), "tensors": tensors}
    _say(document, f"{target}: {tensors} tensors under upstream's names", as_json=as_json)
    return OK


def _model(recipe: Recipe) -> nn.Module:
    from repro.models.bevformer import build_bevformer  # noqa: PLC0415 — as above

    return build_bevformer(recipe)


def _say(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(document, indent=1) if as_json else text) + "\n")
