"""Progress: what a person sees on a terminal and what a log keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.progress import duration_words, progress, rate_words

if TYPE_CHECKING:
    import pytest


def test_a_log_gets_the_first_and_the_last_line_not_one_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 100, tty=False) as advance:
        for _ in range(100):
            advance(1, "loss 1.5")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("train 1/100 · ")
    assert lines[0].endswith("left loss 1.5")
    assert lines[-1].startswith("train 100/100 · ")
    assert lines[-1].endswith("done loss 1.5")
    assert len(lines) == 2


def test_a_resumed_bar_starts_where_the_work_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 10, done=8, tty=False) as advance:
        advance()
    assert capsys.readouterr().err.startswith("train 9/10")


def test_a_terminal_gets_a_bar_with_rate_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("evaluate", 3, tty=True) as advance:
        advance(3, "mAP soon")
    text = capsys.readouterr().err
    assert "evaluate" in text
    assert "3/3" in text
    assert "mAP soon" in text


def test_slow_work_is_told_in_seconds_a_piece() -> None:
    assert [rate_words(3.21), rate_words(0.25), rate_words(0)] == ["3.2/s", "4.0 s each", ""]


def test_durations_read_as_a_person_says_them() -> None:
    assert [duration_words(s) for s in (42, 180, 18_600)] == ["42 s", "3 min", "5 h 10 min"]
