"""Progress: what a person sees on a terminal and what a log keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.progress import duration_words, progress, rate_words

if TYPE_CHECKING:
    import pytest


def test_a_log_gets_a_line_now_and_then_not_one_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 100, tty=False) as advance:
        for _ in range(100):
            advance(1, "loss 1.5")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[-1].startswith("train 100/100 · ")
    assert lines[-1].endswith("done loss 1.5")
    assert len(lines) == 1


def test_slow_work_says_early_how_long_it_will_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 4.0, 8.0, 12.0, 16.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress("train", 10, tty=False) as advance:
        for _ in range(4):
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["train 1/10 · 4.0 s each · 36 s left", "train 4/10 · 4.0 s each · 24 s left"]


def test_of_steps_that_take_seconds_or_an_hour_no_end_is_foretold(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 4.0, 300.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress("image", 10, alike=False, tty=False) as advance:
        advance(1, "COPY")
        advance(0, "pip")
    assert capsys.readouterr().err.splitlines() == ["image 1/10 · after 4 s COPY", "image 1/10 · after 5 min pip"]


def test_a_bar_of_unlike_steps_shows_the_time_that_passed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("image", 3, alike=False, tty=True) as advance:
        advance(1, "COPY")
    text = capsys.readouterr().err
    assert "0:00:0" in text
    assert "/s" not in text


def test_a_resumed_bar_starts_where_the_work_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 10, done=8, tty=False) as advance:
        advance(2)
    assert capsys.readouterr().err.startswith("train 10/10")


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
