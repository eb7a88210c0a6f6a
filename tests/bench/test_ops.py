"""The benchmark of the operators: its clock and scale, its words, and that nothing wrong is timed."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from repro.bench import ops
from repro.bench.calls import TARGET
from repro.bench.clock import interleaved, peak_extra_mib, spread
from repro.bench.exactness import Error
from repro.ops import IMPLEMENTATION

CPU = torch.device("cpu")
SMALLEST = ["--shapes", "tiny-decoder", "--rounds", "2", "--window", "0", "--threads", "1"]


@pytest.fixture(autouse=True)
def threads() -> object:
    """Give torch its number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_every_way_runs_in_every_round_in_changing_order() -> None:
    ran: list[str] = []
    works = {name: (lambda name=name: ran.append(name)) for name in "abc"}
    seconds = interleaved(works, rounds=20, window_s=0, device=CPU)
    rounds = ["".join(ran[at : at + 3]) for at in range(len(ran) - 60, len(ran), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 2
    assert {name: len(times) for name, times in seconds.items()} == {"a": 20, "b": 20, "c": 20}


def test_a_window_is_filled_with_repeats() -> None:
    ran: list[int] = []
    interleaved({"a": lambda: ran.append(1)}, rounds=1, window_s=1e-3, device=CPU)
    assert len(ran) > 10


def test_a_spread_is_the_median_between_its_quartiles() -> None:
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == {"median": 3.0, "q1": 2.0, "q3": 4.0}
    assert spread([2.0]) == {"median": 2.0, "q1": 2.0, "q3": 2.0}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of resident pages is Linux's")
def test_memory_is_what_rose_above_the_inputs_even_if_it_was_freed_at_once() -> None:
    def work() -> torch.Tensor:
        return torch.ones(16 * 2**20).sum()  # 64 MiB for a moment

    work()
    seen = [peak_extra_mib(work, CPU) for _ in range(2)]
    assert all(mib is not None and 56 < mib < 80 for mib in seen), seen


def test_json_holds_ratios_times_errors_and_what_ran(capsys: pytest.CaptureFixture[str]) -> None:
    assert ops.main([*SMALLEST, "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["implementation"].startswith(IMPLEMENTATION)
    assert document["settings"]["shapes"] == ["tiny-decoder"]
    assert [row["pass"] for row in document["rows"]] == ["forward", "forward+backward"]
    for row in document["rows"]:
        assert set(row["ratios"]) == {"grid_sample"}
        assert row["ratios"]["grid_sample"]["median"] > 0
        assert set(row["milliseconds"]) == {"ours", "grid_sample"}
        assert [one["name"] for one in row["errors"]] == ["output", "value", "locations", "weights"]
    assert document["summary"] == []  # one of the four shapes is no mean


def test_the_table_says_what_ran_and_puts_ratios_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert ops.main([*SMALLEST, "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"implementation: {IMPLEMENTATION}")
    row = next(line for line in lines if line.startswith("tiny-decoder"))
    assert row.index("grid_sample") < row.index(" ms")


def test_nothing_wrong_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ops, "errors", lambda *_: [Error("output", 0.1, 5e-6, 1e-7), Error("value", 0, 1, 0)])
    monkeypatch.setattr(ops, "timed", lambda *_: pytest.fail("timed"))
    assert ops.main([*SMALLEST, "--quick"]) == 1
    assert "WRONG, not timed: output off by 1.0e-01 > 5.0e-06" in capsys.readouterr().out


def row(shape: str, ratio: float, memory: float | None = 0.5) -> ops.Row:
    return {
        "shape": shape, "locations": "uniform", "dtype": "float32", "pass": "forward",
        "ratios": {"grid_sample": {"median": ratio}}, "memory_ratio": memory,
    }  # fmt: skip


def test_the_mean_over_the_target_shapes_is_geometric_and_needs_all_of_them() -> None:
    rows = [row(shape, ratio) for shape, ratio in zip(TARGET, (1.0, 4.0, 16.0, 4.0), strict=True)]
    (found,) = ops.summary([*rows, row("base-tsa", 1000.0)])
    assert (found["ratio"], found["memory_ratio"]) == (4.0, 0.5)
    assert ops.summary(rows[1:]) == []
    assert ops.summary([*rows[1:], row(TARGET[0], 1.0, memory=None)])[0]["memory_ratio"] is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--shapes", "huge"], "no shape begins with 'huge'; there are tiny-tsa"),
        (["--dtypes", "int8"], "'int8'; expected some of float32, bfloat16, float16"),
        (["--locations", "nowhere"], "'nowhere'; expected some of realistic, uniform"),
    ],
)
def test_unknown_words_are_refused(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        ops.main(words)
    assert left.value.code == 2
    assert expected in capsys.readouterr().err
