"""The judgement: a measured number beside the published one: may they be compared, and how far may they be apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from repro.artifacts import CocoMetrics, Comparison, Condition, Verdict
from repro.recipe import Recipe, available, differences, load_any_recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from repro.artifacts import AnyMetrics, DataReady, Outcome, Trained
    from repro.recipe import AnyRecipe

ROUNDING = 0.0005  # published tables print one decimal of a percentage: half a unit of it
RELEASED = 0.001  # an independent evaluation of the released weights came within 0.1 NDS points (BEVFormer_tensorrt)
SPLIT_SIZES = {"val": 6019, "mini_val": 81, "mini_train": 323, "val2017": 5000}  # samples, images
PUBLISHED_PROCESSES = 8  # BEVFormer docs/getting_started.md: the tables are of eight GPUs, which cut the split
# The first frames behind a cut lack their history. Ten frames a cut, at what history is worth as a whole (base 0.517,
# without history 0.448), is more than any cut can cost.
FRAMES_A_CUT, WORTH_OF_HISTORY = 10, 0.069
OTHER_PRECISION = 0.005  # the authors' own pair: tiny NDS 0.354, mAP 0.252; tiny in float16 0.359, 0.257
NO_EFFECT = ("title", "smoke", "train.workers", "train.log_every", "eval.workers")
NAMED = 6  # keys of a changed recipe that a verdict names


def compare(
    recipe: AnyRecipe,
    *,
    data: DataReady,
    trained: Trained,
    metrics: AnyMetrics,
    smoke: bool,
    released: bool = False,
) -> Verdict:
    """Return how `metrics` stand against the published figures of `recipe`.

    "not comparable" as soon as something that the published number needs is missing; each missing thing is a reason.
    Conditions that differ and may differ widen the tolerance by what they are known to do. `released` says that the
    weights are the published ones: nothing was drawn at random, so the tolerance is tight.
    """
    expected = recipe.expected
    conditions = conditions_of(recipe, trained=trained, metrics=metrics)
    tolerance = min(RELEASED, expected.tolerance) if released else expected.tolerance
    noise = round(sum(condition.allows for condition in conditions), 6)
    measured = metrics.headline
    comparisons = tuple(
        Comparison(metric=name, published=value, measured=measured[name], tolerance=tolerance, noise=noise)
        for name, value in expected.published.items()
        if value is not None
    )
    unfair = _why_not_comparable(recipe, data=data, trained=trained, metrics=metrics, smoke=smoke)
    outcome, reasons = _judged(comparisons, conditions)
    if unfair:
        outcome, reasons = "not comparable", unfair
    return Verdict(
        outcome=outcome, reasons=reasons, comparisons=comparisons, source=expected.source, conditions=conditions
    )


def _judged(comparisons: tuple[Comparison, ...], conditions: tuple[Condition, ...]) -> tuple[Outcome, tuple[str, ...]]:
    """Return the outcome of comparable figures and why: the worst figure decides."""
    limits = {c.metric: c.tolerance + ROUNDING for c in comparisons}
    below = [c for c in comparisons if c.difference < -limits[c.metric] - c.noise]
    above = [c for c in comparisons if c.difference > limits[c.metric] + c.noise]
    off = [c for c in comparisons if abs(c.difference) > limits[c.metric]]
    differing = tuple(map(condition_words, conditions))
    if below:
        return "degraded", (*map(_words, below), *differing)
    if above:
        return "better", (*map(_words, above), *differing)
    if off:
        explain = (condition_words(condition) for condition in conditions if condition.allows)
        return "within noise", (*map(_words, off), *explain)
    return "reproduced", tuple(map(_words, comparisons))


def conditions_of(recipe: AnyRecipe, *, trained: Trained, metrics: AnyMetrics) -> tuple[Condition, ...]:
    """Return what is not as in the published run, with what it is known to do: cuts, batch, precision, recipe keys."""
    return (*_cuts(recipe, metrics), *_batch(recipe, trained), *_recipe_keys(recipe, trained))


def _cuts(recipe: AnyRecipe, metrics: AnyMetrics) -> Iterable[Condition]:
    """Yield the processes of the evaluation where they cut sequences otherwise than in the published run."""
    if not isinstance(recipe, Recipe) or isinstance(metrics, CocoMetrics) or not recipe.model.use_history:
        return
    chunks = 1 if recipe.eval.split == "scene" else metrics.processes
    cuts = abs(chunks - PUBLISHED_PROCESSES)
    if cuts:
        yield Condition(
            name="processes at evaluation",
            published=str(PUBLISHED_PROCESSES),
            here=f"{metrics.processes}" + (", scenes whole" if recipe.eval.split == "scene" else ""),
            allows=math.ceil(cuts * FRAMES_A_CUT / metrics.samples_in_split * WORTH_OF_HISTORY * 1e4) / 1e4,
            why="sequences are cut at other frames, and the first frames behind a cut have no history",
        )


def _batch(recipe: AnyRecipe, trained: Trained) -> Iterable[Condition]:
    published = recipe.train.batch_per_gpu * recipe.train.gpus_assumed
    if trained.iterations and trained.batch not in {None, published}:
        known = "half the clips cost tiny NDS 0.036 (BEVFormer #81)" if isinstance(recipe, Recipe) else "not measured"
        yield Condition(
            name="batch",
            published=f"{published} {trained.items}",
            here=f"{trained.batch} {trained.items}",
            allows=0.0,
            why=f"another batch under the same learning rate is another experiment, not noise: {known}",
        )


def _recipe_keys(recipe: AnyRecipe, trained: Trained) -> Iterable[Condition]:
    """Yield the keys in which a recipe differs from the one of its name that comes with bevready."""
    shipped = shipped_recipe(recipe)
    if shipped is None or type(shipped) is not type(recipe):
        return
    changed = differences(shipped, recipe)
    if _has_released_quirks(recipe, shipped):  # what the published weights were trained with
        changed = {key: pair for key, pair in changed.items() if not key.startswith("model.quirks.")}
    if not trained.iterations:
        training = ("augment", "matcher", "losses", "optimizer", "schedule", "images.pipeline", "train.")
        changed = {k: pair for k, pair in changed.items() if k == "train.precision" or not k.startswith(training)}
    told = {key: pair for key, pair in changed.items() if not key.startswith(NO_EFFECT)}
    for key, (published, here) in list(told.items())[:NAMED]:
        yield _recipe_key(key, str(published), str(here))
    if len(told) > NAMED:
        yield _recipe_key(f"{len(told) - NAMED} more keys", "as shipped", "changed")


def _has_released_quirks(recipe: AnyRecipe, shipped: AnyRecipe) -> bool:
    if not isinstance(recipe, Recipe) or not isinstance(shipped, Recipe):
        return False
    return recipe.model.quirks == shipped.model.quirks.released()


def _recipe_key(key: str, published: str, here: str) -> Condition:
    if key == "train.precision":
        why = "the authors' tiny and tiny in float16 are 0.005 apart in NDS and in mAP"
        return Condition(name="precision", published=published, here=here, allows=OTHER_PRECISION, why=why)
    return Condition(name=f"recipe {key}", published=published, here=here, allows=0.0, why="nobody measured its effect")


def shipped_recipe(recipe: AnyRecipe) -> AnyRecipe | None:
    """Return the recipe of the same name that comes with bevready, None for a name of one's own."""
    return load_any_recipe(recipe.name) if recipe.name in available() else None


def _why_not_comparable(
    recipe: AnyRecipe, *, data: DataReady, trained: Trained, metrics: AnyMetrics, smoke: bool
) -> tuple[str, ...]:
    expected = recipe.expected
    whole = trained.iterations_per_epoch * recipe.schedule.epochs
    in_all = SPLIT_SIZES.get(expected.split, metrics.samples_in_split)
    same_split = metrics.eval_set == expected.split
    conditions = (
        (data.synthetic, "synthetic data: not comparable with published numbers"),
        (smoke, "--smoke shortened every stage"),
        (not any(value is not None for value in expected.published.values()), "the recipe names no published number"),
        (not same_split, f'evaluated on "{metrics.eval_set}", the published number is of "{expected.split}"'),
        (
            same_split and not data.synthetic and metrics.samples_in_split != in_all,
            (
                f'"{expected.split}" has {metrics.samples_in_split} samples here, the published one {in_all} '
                f"({data.version}): these tables are not the whole of it"
            ),
        ),
        (
            metrics.samples != metrics.samples_in_split,
            f"evaluated {metrics.samples} of the {metrics.samples_in_split} samples of the split",
        ),
        (
            trained.iterations != 0 and trained.iterations < whole,
            f"trained {trained.iterations} of {whole} iterations",
        ),
    )
    return tuple(words for unfair, words in conditions if unfair)


def condition_words(condition: Condition) -> str:
    """Return one condition as a sentence: what it is here, what it was, and what it allows."""
    allows = f"allows ±{condition.allows:.4f}" if condition.allows else "allows nothing"
    return f"{condition.name} {condition.here}, published {condition.published}: {allows} ({condition.why})"


def _words(comparison: Comparison) -> str:
    noise = f", and ±{comparison.noise:.4f} by the conditions" if comparison.noise else ""
    return (
        f"{comparison.metric} {comparison.measured:.4f} against {comparison.published:.3f} published: "
        f"{comparison.difference:+.4f}, tolerance ±{comparison.tolerance:.3f}{noise}"
    )
