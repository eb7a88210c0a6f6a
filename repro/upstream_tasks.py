"""The page of the menu about the authors' own code: words in, one call. `tasks.py` lists it."""

from __future__ import annotations

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.flags import leave, words


@task(
    name="compare-upstream",
    positional=[],
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
    from repro.__main__ import main

    theirs: dict[str, str | bool] = {"--checkout": checkout, "--python": python, "--config": config}
    given: dict[str, str | bool] = {"--checkpoint": checkpoint, "--seed": seed, "--dataroot": dataroot}
    what: dict[str, str | bool] = {"--recipe": recipe, "--quirks": quirks, "--json": json}
    leave(main(["compare-upstream", *words(theirs, given, what)]))
