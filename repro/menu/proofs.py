"""The pages of the menu that hold our maths against the authors': parity and compare-upstream."""

from __future__ import annotations

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.words import KeepsH, passed_to, repro


@task(name="parity", help={"directory": "a golden set", "json": "one JSON document"})
@passed_to(repro, "parity")
def parity_task(_: Context, directory: str, json: bool = False) -> None:
    """Compare our maths with outputs of the authors' code."""


@task(
    name="compare-upstream",
    klass=KeepsH,
    help={
        "checkout": "the authors' repository, which you bring",
        "python": "the interpreter of their environment (default: that of .venv-upstream)",
        "recipe": "a name out of `invoke recipes`",
        "config": "their configuration, where it is not named as the recipe is",
        "checkpoint": "compare on these weights instead of made-up ones",
        "seed": "of the made-up weights",
        "dataroot": "a nuScenes folder, instead of synthetic frames",
        "quirks": "head (the recipe's) or released (what the published checkpoints were trained with)",
        "json": "print one JSON document and nothing else",
    },
)
@passed_to(repro, "compare-upstream")
def compare_upstream_task(
    _: Context,
    checkout: str = "",
    python: str = "",
    recipe: str = "bevformer_tiny",
    config: str = "",
    checkpoint: str = "",
    seed: str = "A",
    dataroot: str = "",
    quirks: str = "head",
    json: bool = False,
) -> None:
    """Run the authors' model and ours on the same weights and frames, and print the differences layer by layer."""
