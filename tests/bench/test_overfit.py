"""The proof that Deformable DETR learns: judged on the images it trained on, as its recipe says but for the length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.bench.overfit import EPOCHS, IMAGES, four_images, measure, overfit_recipe
from repro.recipe import differences, load_detr_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_only_the_schedule_is_not_the_recipes() -> None:
    changed = differences(load_detr_recipe("deformable_detr_nano"), overfit_recipe(60))
    assert {key: new for key, (_, new) in changed.items()} == {"schedule.epochs": 60, "schedule.milestones": (50,)}


def test_what_is_judged_is_what_was_learnt(tmp_path: Path) -> None:
    data, split = four_images(tmp_path / "data", tmp_path, overfit_recipe(EPOCHS))
    assert data.eval_split == data.train_split == "train2017"
    assert len(split.index) == IMAGES


def test_the_proof_tells_before_from_after(tmp_path: Path) -> None:
    figures = measure(tmp_path / "data", tmp_path / "run", epochs=1, threads=1)
    assert figures["iterations"] == 2
    assert set(figures["box_ap"]) == {"untrained", "learnt"}  # type: ignore[call-overload]
    assert figures["last_loss"] != figures["first_loss"]
