"""Recipes: one closed, typed, frozen value per experiment.

In: a TOML file. Out: a `Recipe`. Nothing here knows torch, a data set on disk or a model class.
"""

from repro.recipe.differ import differences
from repro.recipe.load import RecipeError, available, load_recipe
from repro.recipe.schema import (
    Augment,
    Coder,
    Data,
    Decoder,
    Encoder,
    Evaluation,
    Expected,
    Images,
    Losses,
    Matcher,
    Model,
    Optimizer,
    Quirks,
    Recipe,
    Schedule,
    Smoke,
    Train,
)

__all__ = [
    "Augment",
    "Coder",
    "Data",
    "Decoder",
    "Encoder",
    "Evaluation",
    "Expected",
    "Images",
    "Losses",
    "Matcher",
    "Model",
    "Optimizer",
    "Quirks",
    "Recipe",
    "RecipeError",
    "Schedule",
    "Smoke",
    "Train",
    "available",
    "differences",
    "load_recipe",
]
