"""Recipes: one closed, typed, frozen value per experiment.

In: a TOML file. Out: a `Recipe`. Nothing here knows torch, a data set on disk or a model class.
"""

from repro.recipe.bevformer import Decoder, Encoder, Model, Quirks
from repro.recipe.deformable_detr import (
    CocoExpected,
    DetrCoder,
    DetrLosses,
    DetrMatcher,
    DetrModel,
    DetrOptimizer,
    DetrRecipe,
    StepSchedule,
)
from repro.recipe.differ import differences
from repro.recipe.load import (
    AnyRecipe,
    RecipeError,
    available,
    load_any_recipe,
    load_detr_recipe,
    load_recipe,
    recipe_of,
)
from repro.recipe.schema import (
    Augment,
    Coder,
    Data,
    Evaluation,
    Expected,
    Images,
    Losses,
    Matcher,
    Optimizer,
    Recipe,
    Schedule,
    Smoke,
    Train,
)

__all__ = [
    "AnyRecipe",
    "Augment",
    "CocoExpected",
    "Coder",
    "Data",
    "Decoder",
    "DetrCoder",
    "DetrLosses",
    "DetrMatcher",
    "DetrModel",
    "DetrOptimizer",
    "DetrRecipe",
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
    "StepSchedule",
    "Train",
    "available",
    "differences",
    "load_any_recipe",
    "load_detr_recipe",
    "load_recipe",
    "recipe_of",
]
