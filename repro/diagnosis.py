"""What a wrong number looks like: known ways of going wrong, recognised from the figures that they leave behind.

Pure functions of figures. Whether a number is wrong at all is `compare.py`'s judgement; healthy figures get nothing
from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.artifacts import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.artifacts import DataReady, Metrics, Trained
    from repro.recipe import Recipe

ROUNDING = 0.0005
VAL_SAMPLES = 6019
PUBLISHED_PROCESSES = 8
UPSTREAM = "fundamentalvision/BEVFormer"
AT_BATCH_4, AT_BATCH_4_SPREAD = 0.318, 0.006
BASE_UNRESOLVED, BASE_SPREAD = 0.459, 0.004
COLLAPSED_LOSS = 12.0  # reported to stay at 13 to 13.5; a healthy run is below it within its first epoch
EARLY = 2000  # iterations after which a loss that high is no start any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a run that a diagnosis reads, beside the published ones. Errors in m, rad, m/s."""

    recipe: Recipe
    trained: Trained
    metrics: Metrics
    nds: float
    mean_ap: float

    @property
    def error(self) -> dict[str, float]:
        """True-positive errors by the devkit's names."""
        return self.metrics.errors

    @property
    def is_low(self) -> bool:
        """Tell whether the NDS is below the published one by more than the tolerance."""
        return self.metrics.nds < self.nds - self.recipe.expected.tolerance - ROUNDING

    @property
    def finds_as_well(self) -> bool:
        """Tell whether boxes are found (mAP) about as well as published, whatever their errors."""
        return self.metrics.mean_ap >= 0.9 * self.mean_ap

    @property
    def finds_something(self) -> bool:
        """Tell whether any class is found at all: weights that do not fit end at mAP 0, NDS about 0.03."""
        return self.metrics.mean_ap >= 0.005 or self.metrics.nds >= 0.06

    @property
    def published_batch(self) -> int:
        """Clips an iteration of the published run."""
        return self.recipe.train.batch_per_gpu * self.recipe.train.gpus_assumed

    @property
    def words(self) -> str:
        """NDS and mAP beside the published ones."""
        nds, mean_ap = self.metrics.nds, self.metrics.mean_ap
        return f"NDS {nds:.3f} ({self.nds:.3f} published), mAP {mean_ap:.3f} ({self.mean_ap:.3f})"


def diagnose(recipe: Recipe, *, data: DataReady, trained: Trained, metrics: Metrics) -> tuple[Diagnosis, ...]:
    """Return what the figures look like, most telling first; nothing for figures that look healthy.

    A recipe without a published number has nothing to look wrong against. Sources: issues of the authors' repository
    (peers' survey, "known signatures of a wrong result"), their documentation, spec §0, §E.3 and §I.
    """
    expected = recipe.expected
    if expected.nds is None or expected.map is None:
        return ()
    seen = Figures(recipe=recipe, trained=trained, metrics=metrics, nds=expected.nds, mean_ap=expected.map)
    found = [look(seen) for look in LOOKS]
    return tuple(diagnosis for diagnosis in (*found, _short_split(data, metrics)) if diagnosis is not None)


def _convention(seen: Figures) -> Diagnosis | None:
    angle = seen.error["orient_err"]
    if not (seen.finds_as_well and seen.is_low and 1.3 <= angle <= 1.85):
        return None
    return Diagnosis(
        name="boxes of another convention",
        saw=f"{seen.words}, but headings are {angle:.2f} rad off on average: a quarter turn",
        cause="trained or evaluated with info files of mmdet3d >= 1.0, where headings and sizes mean something else",
        check="make the info files with mmdet3d 0.17.1, or let bevready read the tables; train with these again",
        source=f"{UPSTREAM} #24, #91 (base: mAP 0.4166, NDS 0.411, mAOE about 1.56)",
    )


def _reversed(seen: Figures) -> Diagnosis | None:
    angle = seen.error["orient_err"]
    if not (seen.finds_as_well and seen.is_low and angle >= 2.6):
        return None
    return Diagnosis(
        name="headings reversed",
        saw=f"{seen.words}, but headings are {angle:.2f} rad off on average: half a turn",
        cause="the sign or the zero of the heading differs between training and evaluation",
        check="the yaw of the info files: -yaw - pi/2 of nuScenes', on the way in and on the way out",
        source="spec §E.3, §F.1",
    )


def _sizes(seen: Figures) -> Diagnosis | None:
    scale, angle = seen.error["scale_err"], seen.error["orient_err"]
    if not (seen.finds_as_well and seen.is_low and scale >= 0.5 and angle < 1.3):
        return None
    return Diagnosis(
        name="width and length swapped",
        saw=f"{seen.words}, but sizes are {scale:.2f} off on average (mASE; about 0.27 is usual)",
        cause="boxes are stored length first where width first is expected, as between mmdet3d 0.x and 1.x",
        check="the order of sizes in the info files: width, length, height",
        source=f"spec §E.3; {UPSTREAM} #24",
    )


def _batch(seen: Figures) -> Diagnosis | None:
    batch, published = seen.trained.batch, seen.published_batch
    other = batch is not None and batch != published
    looks_so = batch is None and abs(seen.metrics.nds - AT_BATCH_4) <= AT_BATCH_4_SPREAD and seen.nds < 0.36
    if not (seen.is_low and seen.finds_something and (other or looks_so)):
        return None
    lr = seen.recipe.optimizer.lr
    wanted = f"{lr * batch / published:.2g}" if batch else f"{lr / 2:.2g} for half the clips"
    how = f"trained with {batch} clips an iteration" if batch else "0.318 is what tiny reached with 4"
    return Diagnosis(
        name="learning rate not scaled",
        saw=f"{seen.words}; {how}, {published} were published",
        cause=f"the learning rate {lr:g} belongs to {published} clips an iteration",
        check=f"train with {published} clips in all (--gpus), or set [optimizer] lr = {wanted} in a recipe of your own",
        source=f"{UPSTREAM} #81 (tiny: NDS 0.318 at batch 4; a larger batch falls short even with its rate scaled)",
    )


def _rows(seen: Figures) -> Diagnosis | None:
    quirks, items = seen.recipe.model.quirks, seen.recipe.train.batch_per_gpu
    upstream = quirks.temporal_rows == "upstream" or quirks.camera_hits == "first_item"
    if not (seen.is_low and seen.trained.iterations and items > 1 and upstream):
        return None
    return Diagnosis(
        name="several clips a process under upstream's quirks",
        saw=f"{seen.words}; batch_per_gpu = {items} with temporal_rows or camera_hits as upstream",
        cause="upstream mixes the rows of a batch in temporal attention and takes the first item's cameras for all",
        check='set temporal_rows = "fixed", camera_hits and history_exists = "each_item", or batch_per_gpu = 1',
        source=f"spec §0.5, §0.6; {UPSTREAM} #81",
    )


def _collapse(seen: Figures) -> Diagnosis | None:
    loss, iterations = seen.trained.last_loss, seen.trained.iterations
    if loss is None or loss < COLLAPSED_LOSS or iterations < EARLY:
        return None
    return Diagnosis(
        name="training collapsed",
        saw=f"the total loss is {loss:.1f} after {iterations} iterations",
        cause="all queries fell into one answer early on; tiny and small are reported to stay at 13 to 13.5",
        check="train/losses.csv: where it stopped falling; then another seed, or the published batch",
        source=f"{UPSTREAM} #31",
    )


def _nothing(seen: Figures) -> Diagnosis | None:
    if seen.finds_something:
        return None
    return Diagnosis(
        name="nothing found",
        saw=f"{seen.words}: as good as no box is where it should be",
        cause="weights of another configuration that loaded in part, no weights at all, or poses of another data set",
        check="the lines of the report on training: which tensors were loaded, and whether the loss fell",
        source=f"{UPSTREAM} #93; loading with other shapes ends at mAP 0.0000, NDS about 0.03",
    )


def _uncut(seen: Figures) -> Diagnosis | None:
    above = seen.metrics.nds - seen.nds
    uncut = seen.recipe.eval.split == "scene" or seen.metrics.processes < PUBLISHED_PROCESSES
    if not (seen.recipe.expected.tolerance + ROUNDING < above <= 0.01 and uncut):
        return None
    return Diagnosis(
        name="sequences not cut",
        saw=f"{seen.words}, evaluated by {seen.metrics.processes} of {PUBLISHED_PROCESSES} processes",
        cause="the published number cuts the split into eight chunks, and the first frame of each has no history",
        check='--gpus 8 with eval.split = "upstream" evaluates as published',
        source=f"{UPSTREAM} docs/getting_started.md",
    )


def _no_history(seen: Figures) -> Diagnosis | None:
    speed = seen.error["vel_err"]
    temporal = seen.recipe.model.use_history and seen.nds > 0.45  # tiny's own speeds were never printed
    if not (temporal and seen.is_low and seen.metrics.mean_ap >= 0.8 * seen.mean_ap and speed >= 0.7):
        return None
    return Diagnosis(
        name="history not used",
        saw=f"{seen.words}; speeds are {speed:.2f} m/s off on average (mAVE; about 0.4 is usual)",
        cause="frames were seen one by one: without history the authors' model has mAVE 0.80, mAP 0.375, NDS 0.448",
        check="that frames come in the order of their scenes, model.use_history = true, and can_bus/ is there",
        source="arXiv 2203.17270, BEVFormer-S",
    )


def _other_quirks(seen: Figures) -> Diagnosis | None:
    judged_as_is = seen.trained.iterations == 0
    near = seen.nds - seen.metrics.nds <= 0.1 and seen.finds_something
    if not (judged_as_is and near and seen.is_low and not seen.recipe.model.quirks.shift_current_ref):
        return None
    return Diagnosis(
        name="published weights under later code",
        saw=f"{seen.words}, of weights judged as they are, with shift_current_ref = false",
        cause="the published weights were trained when the ego shift also moved the current half",
        check="type the same with --quirks released",
        source=f"spec §0.1 ({UPSTREAM} before 2023-07-27)",
    )


def _base_unresolved(seen: Figures) -> Diagnosis | None:
    if seen.recipe.name != "bevformer_base" or abs(seen.metrics.nds - BASE_UNRESOLVED) > BASE_SPREAD:
        return None
    return Diagnosis(
        name="base at 0.459",
        saw=seen.words,
        cause="reported once with all versions as asked for, and never resolved",
        check="the starting weights (r101_dcn_fcos3d_pretrain.pth), --quirks, and the data set's fingerprint",
        source=f"{UPSTREAM} #144",
    )


def _mini(seen: Figures) -> Diagnosis | None:
    if not (seen.metrics.eval_set.startswith("mini") and seen.recipe.expected.split == "val" and seen.is_low):
        return None
    return Diagnosis(
        name="mini data set",
        saw=f"{seen.words}, on {seen.metrics.eval_set} with {seen.metrics.samples_in_split} frames",
        cause="ten scenes: the published base weights score NDS 0.410, mAP 0.357 there, training on it mAP 0.116",
        check="--data nuscenes with the whole trainval set",
        source=f"{UPSTREAM} #22, #134, #229",
    )


def _short_split(data: DataReady, metrics: Metrics) -> Diagnosis | None:
    if metrics.eval_set != "val" or metrics.samples_in_split == VAL_SAMPLES:
        return None
    return Diagnosis(
        name="part of the split",
        saw=f"val has {metrics.samples_in_split} samples in {data.dataroot}",
        cause=f"nuScenes' val has {VAL_SAMPLES} (mini_val 81, mini_train 323): these tables are not the whole set",
        check="extract v1.0-trainval_meta.tgz again",
        source="nuScenes devkit, samples of the splits",
    )


LOOKS: tuple[Callable[[Figures], Diagnosis | None], ...] = (
    _convention,
    _reversed,
    _sizes,
    _nothing,
    _collapse,
    _batch,
    _rows,
    _no_history,
    _other_quirks,
    _base_unresolved,
    _mini,
    _uncut,
)
