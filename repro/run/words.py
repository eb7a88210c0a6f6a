"""The words of the main job: which of them go together, and what they ask for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from repro.architectures import architecture_of
from repro.recipe import Recipe, load_any_recipe
from repro.weights import CheckpointError

if TYPE_CHECKING:
    import argparse

    from repro.recipe import AnyRecipe


class WordsError(ValueError):
    """Words on the command line that do not go together."""


def recipe_of(words: argparse.Namespace) -> AnyRecipe:
    """Return the recipe with the quirks asked for, and fill in --data. Raises RecipeError and WordsError."""
    recipe = load_any_recipe(words.recipe)
    _check_data(words, recipe)
    if words.quirks == "head":
        return recipe
    if not isinstance(recipe, Recipe):
        raise WordsError(
            f"--quirks {words.quirks}: quirks are BEVFormer's, and {recipe.name} is another model's recipe"
        )
    model = recipe.model.model_copy(update={"quirks": recipe.model.quirks.released()})
    return recipe.model_copy(update={"model": model})


def _check_data(words: argparse.Namespace, recipe: AnyRecipe) -> None:
    """Fill in --data with the usual word of the recipe's architecture, or see that the word given is one of its own."""
    known = architecture_of(recipe).data
    words.data = words.data or known[0]
    if words.data not in known:
        raise WordsError(f"--data {words.data}: {recipe.name} reads {recipe.data.dataset}; choose {' or '.join(known)}")
    if words.without_can_bus and not isinstance(recipe, Recipe):
        raise WordsError(f"--without-can-bus: {recipe.name} reads single images, no CAN bus; leave the word out")
    if words.infos is not None and not isinstance(recipe, Recipe):
        raise WordsError(
            f"--infos {words.infos}: info files are nuScenes', and {recipe.name} reads {recipe.data.dataset}"
        )


def check(words: argparse.Namespace) -> None:
    """See that the words go together on this machine. Raises WordsError, or CheckpointError for a missing file."""
    if words.eval_only and words.checkpoint is None:
        raise WordsError("--eval-only judges given weights: add --checkpoint FILE")
    if words.checkpoint is not None and not words.checkpoint.is_file():
        raise CheckpointError(f"{words.checkpoint}: no such file; name a checkpoint with --checkpoint FILE")
    if words.device == "cuda" and not torch.cuda.is_available():
        raise WordsError("--device cuda: PyTorch sees no GPU here; `invoke doctor` says why, or use --device cpu")
    _check_processes(words)
    _check_gate(words)


def _check_gate(words: argparse.Namespace) -> None:
    if words.gate and (words.plan or words.eval_only or words.stage != "report"):
        raise WordsError(f"--gate {words.gate} runs whole stages of its own: leave --plan, --eval-only and --stage out")
    given = [f"--{name}" for name in ("log", "golden", "iterations") if getattr(words, name) is not None]
    if given and not words.gate:
        raise WordsError(f"{given[0]} belongs to the ladder: add --gate short, or full")
    if words.iterations is not None and words.iterations < 1:
        raise WordsError(f"--iterations {words.iterations}: at least 1")


def _check_processes(words: argparse.Namespace) -> None:
    if words.gpus and words.processes:
        raise WordsError("--gpus and --processes both count processes: --gpus N on GPUs, --processes N on the CPU")
    for name in ("gpus", "processes", "nodes"):
        number = getattr(words, name)
        if number is not None and number < 1:
            raise WordsError(f"--{name} {number}: at least 1")
    if words.gpus and device_of(words) == "cpu":
        raise WordsError(
            f"--gpus {words.gpus}: PyTorch sees no GPU here, or --device cpu rules it out; `invoke doctor` says why; "
            f"on the CPU type --device cpu --processes {words.gpus}"
        )
    if words.gpus and words.gpus > torch.cuda.device_count():
        raise WordsError(f"--gpus {words.gpus}: PyTorch sees {torch.cuda.device_count()} here")
    if words.processes and device_of(words) != "cpu":
        raise WordsError(f"--processes {words.processes} is for --device cpu; on GPUs type --gpus N")


def device_of(words: argparse.Namespace) -> str:
    """Return where to compute: cpu or cuda."""
    if words.device != "auto":
        return str(words.device)
    return "cuda" if torch.cuda.is_available() else "cpu"


def processes_of(words: argparse.Namespace) -> int:
    """Return the number of processes on all machines together."""
    return int(words.gpus or words.processes or 1) * int(words.nodes)


def default_run(words: argparse.Namespace, recipe: AnyRecipe) -> Path:
    """Return the run folder of a job that names none."""
    parts = [recipe.name, words.data, *(["smoke"] if words.smoke else []), *(["eval"] if words.eval_only else [])]
    return Path("runs") / "-".join(parts)


def command_of(words: argparse.Namespace) -> str:
    """Return the command that does the same again."""
    options: list[str] = []
    for name, value in vars(words).items():
        if isinstance(value, int) and not isinstance(value, bool) and (name, value) != ("nodes", 1):
            options += [f"--{name}", str(value)]
        elif value is True:
            options.append(f"--{name.replace('_', '-')}")
        elif isinstance(value, (str, Path)) and (name, value) not in {("quirks", "head"), ("device", "auto")}:
            options += [f"--{name.replace('_', '-')}", str(value)]
    return "./bevready repro " + shlex.join(word for word in options if word not in {"--stage", "report"})
