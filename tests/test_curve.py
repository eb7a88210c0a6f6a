"""A short training on the way or not: beside the authors' log, beside its own start, and logs that are none."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.curve import LogError, Point, judge_curve, read_released_log

if TYPE_CHECKING:
    from pathlib import Path


def falling(count: int, *, scale: float = 1.0, every: float = 8.0) -> list[Point]:
    """Return a loss that falls from 40 to about 10, wavering a little, as a training's does."""
    return [Point((i + 1) * every, scale * (10 + 30 * math.exp(-i / 20) + (-1) ** i * 0.5)) for i in range(count)]


def test_a_loss_like_the_authors_is_on_the_way_at_another_batch_too() -> None:
    theirs = falling(100)
    verdict = judge_curve(falling(100), theirs)
    assert (verdict.healthy, verdict.reasons) == (True, ("10 of 10 windows lie in the band of the authors' log",))
    half = [Point(point.items, point.loss + 0.3) for point in theirs for _ in range(2)]
    assert judge_curve(half, theirs).healthy


def test_a_collapsed_training_is_told_with_where_it_left_the_band() -> None:
    stuck = [Point(point.items, max(point.loss, 20.0)) for point in falling(100)]
    verdict = judge_curve(stuck, falling(100))
    assert not verdict.healthy
    assert verdict.healthy is not None
    assert "20.000 where the authors' is" in verdict.reasons[1]


def test_only_the_part_of_the_curve_that_both_have_is_compared() -> None:
    assert judge_curve(falling(20), falling(1000)).healthy


@pytest.mark.parametrize(("scale", "healthy"), [(1.0, True), (-1.0, False)])
def test_without_a_log_the_loss_has_to_fall(scale: float, healthy: bool) -> None:  # noqa: FBT001 — a row
    verdict = judge_curve(falling(50, scale=scale), None)
    assert verdict.healthy is healthy
    assert verdict.reasons[1] == "no log of the authors to compare with (--log FILE)"


def test_a_loss_that_is_not_finite_is_not_on_the_way() -> None:
    assert judge_curve([*falling(20), Point(1e3, math.nan)], None).healthy is False


def test_three_iterations_are_no_curve() -> None:
    verdict = judge_curve(falling(3), None)
    assert (verdict.healthy, verdict.reasons) == (None, ("3 logged iterations are no curve; 10 are",))


def line(**values: object) -> str:
    return json.dumps({"mode": "train", "epoch": 1, "iter": 50, "loss": 30.0, **values})


def test_an_mmdet_log_is_read_by_items_seen(tmp_path: Path) -> None:
    rows = ['{"env_info": "sys.platform: linux", "seed": 0}', line(), line(epoch=2, iter=50, loss=20.5)]
    rows += [line(mode="val"), '{"mode": "train", "epoch": 3, "it']
    (tmp_path / "log.json").write_text("\n".join(rows))
    read = read_released_log(tmp_path / "log.json", batch=8, per_epoch=3517)
    assert read == [Point(400.0, 30.0), Point(28536.0, 20.5)]


@pytest.mark.parametrize("text", ["", "loss 3", '{"loss": 3}', line(loss="nan"), line(epoch=0), "[1, 2]"])
def test_a_file_without_a_loss_is_no_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(LogError, match=r'no line with "mode": "train".* expected mmdet'):
        read_released_log(tmp_path / "log.json", batch=8, per_epoch=10)


def test_a_missing_log_says_which_word_names_it(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"No such file or directory; name the authors' \*\.log\.json with --log FILE"):
        read_released_log(tmp_path / "none", batch=8, per_epoch=10)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "log.json"
    path.write_bytes(content)
    with pytest.raises(LogError, match="no line with"):
        read_released_log(path, batch=8, per_epoch=10)
