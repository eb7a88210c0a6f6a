"""The comparison that parity rests on: it must be able to fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from repro.parity.check import EXACT, MODULE, CaseResult, Tolerance, compare, count_different
from repro.parity.forward_case import HOPELESS, LIMITS, mostly
from repro.parity.golden import GoldenError, GoldenSet
from repro.parity.run import MODULE_CASES, find_cases, main, runner_of
from repro.parity.weights import golden_weight

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = np.array([100.0, 1.0, 0.0])


def test_an_error_within_the_tolerance_of_each_element_passes() -> None:
    assert compare("x", GOLDEN + np.array([1.05e-3, 9e-5, 9e-5]), GOLDEN, MODULE).ok


@pytest.mark.parametrize("error", [[2e-3, 0, 0], [0, 2e-4, 0], [0, 0, 2e-4], [np.nan, 0, 0], [0, np.inf, 0]])
def test_one_element_beyond_it_fails(error: list[float]) -> None:
    check = compare("x", GOLDEN + np.array(error), GOLDEN, MODULE)
    assert not check.ok
    assert check.worst_abs >= 1.9e-4


def test_another_shape_fails_with_both_shapes() -> None:
    check = compare("x", np.zeros(3), np.zeros((3, 1)), EXACT)
    assert (check.ok, check.what) == (False, "x: shape [3], golden [3, 1]")


def test_the_99th_percentile_has_a_limit_of_its_own() -> None:
    ours = np.zeros(1000)
    tolerance = Tolerance(absolute=1.0, p99=0.1)
    ours[:5] = 0.9
    assert compare("x", ours, np.zeros(1000), tolerance).ok
    ours[:50] = 0.9
    assert not compare("x", ours, np.zeros(1000), tolerance).ok


def test_nan_equals_nan_and_infinity_its_own_sign() -> None:
    assert compare("x", [np.nan, np.inf], [np.nan, np.inf], EXACT).ok
    assert not compare("x", [np.inf], [-np.inf], EXACT).ok


def test_counted_differences_have_a_limit() -> None:
    assert count_different("x", torch.tensor([1, 2, 3]), [1, 2, 4], allowed=1).ok
    assert not count_different("x", torch.tensor([1, 2, 3]), [1, 0, 4], allowed=1).ok
    assert not count_different("x", torch.tensor([1]), [1, 1], allowed=1).ok


def test_a_case_that_compared_nothing_does_not_pass() -> None:
    assert not CaseResult("x", ()).ok


def test_the_worst_check_shown_is_a_failing_one() -> None:
    loose = compare("loose", [1.5], [1.0], Tolerance(absolute=1))
    failing = compare("failing", [1.1], [1.0], EXACT)
    assert CaseResult("x", (loose, failing)).worst.what == "failing"


def test_an_empty_folder_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path, as_json=False) == 2
    assert "no golden case here; expected *.npz and modules/*.npz" in capsys.readouterr().err


def test_a_damaged_case_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tsa_x.npz").write_bytes(b"no zip")
    assert main(tmp_path, as_json=False) == 2
    assert "tsa_x.npz: not a readable .npz" in capsys.readouterr().err


def test_a_case_that_fails_is_exit_code_one_and_named_in_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "modules").mkdir()
    arrays = {"boxes": np.ones((2, 9), np.float32), "normalized": np.ones((2, 10), np.float32)}
    arrays |= {"denormalized": np.ones((2, 9), np.float32), "normalized7": np.ones((2, 8), np.float32)}
    np.savez(tmp_path / "modules" / "bbox_codes.npz", denormalized7=np.ones((2, 7), np.float32), **arrays)
    assert main(tmp_path, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["cases"][0]["name"]) == (False, "bbox_codes")


def test_cases_we_do_not_cover_are_listed_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "radar_forward.npz", x=np.zeros(1))
    assert find_cases(tmp_path) == ["radar_forward"]
    assert runner_of(GoldenSet(tmp_path), "radar_forward") is None
    assert runner_of(GoldenSet(tmp_path), "modules/never_heard_of") is None


def test_the_longest_prefix_decides_which_case_runs() -> None:
    assert {"msda", "msda3d"} <= {prefix for prefix, _ in MODULE_CASES}


def test_a_missing_seed_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"pipeline\.json: cannot be read"):
        GoldenSet(tmp_path).seed()


def test_every_case_of_bevformer_is_covered(tmp_path: Path) -> None:
    golden = GoldenSet(tmp_path)
    names = ["pipeline", "gt", "format", "tiny_forward", "small_forward", "base_forward", "tiny_train"]
    assert [name for name in names if runner_of(golden, name) is None] == []


def judged(queries: int, error: float, *, unstable: int) -> list[bool]:
    """Judge 900 queries of which some are off by `error` in the last layer, under a limit of 1e-2 and a p99 of 1e-3."""
    golden = torch.zeros(6, 900, 10)
    ours = golden.clone()
    ours[5, :queries] = error
    return [check.ok for check in mostly("x", ours, golden, 1e-2, 1e-3, unstable=unstable)]


def test_few_queries_may_be_unstable_but_none_hopeless_or_nan() -> None:
    assert judged(9, 0.02, unstable=9) == [True, True]
    assert judged(10, 0.02, unstable=9) == [True, False]
    assert judged(1, 1.01e-2 * HOPELESS, unstable=9) == [False, True]
    assert judged(1, float("nan"), unstable=9) == [False, True]
    assert judged(100, 0.009, unstable=9) == [False, True]  # within the limit, but not the 99th percentile's


def test_where_no_query_is_unstable_the_limit_is_the_limit() -> None:
    assert judged(1, 0.009, unstable=0) == [True]
    assert judged(1, 0.0101, unstable=0) == [False]
    assert judged(1, float("nan"), unstable=0) == [False]
    assert judged(100, 0.009, unstable=0) == [False]


def test_only_base_may_have_unstable_queries() -> None:
    assert [size for size, limits in LIMITS.items() if limits.unstable] == ["base"]


@pytest.mark.shared
def test_our_weights_are_the_golden_ones(shared_dir: Path) -> None:
    import zlib  # noqa: PLC0415 — only here

    table = json.loads((shared_dir / "golden/weights_check.json").read_text())
    assert len(table) > 10
    for key, facts in table.items():
        seed, _, name = key.partition(":")
        weight = golden_weight(name, facts["shape"], seed)
        assert weight is not None
        assert zlib.crc32(weight.tobytes()) == facts["crc32"], key


@pytest.mark.shared
def test_every_module_case_passes(shared_dir: Path) -> None:
    golden = GoldenSet(shared_dir / "golden/A")
    names = [name for name in find_cases(golden.folder) if name.startswith("modules/")]
    runners = {name: runner_of(golden, name) for name in names}
    assert [name for name, run in runners.items() if run is None] == []
    assert [name for name, run in runners.items() if run and not run().ok] == []


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["pipeline", "gt", "format", "tiny_forward", "tiny_train", "deformable_detr_two_stage"]
)
def test_whole_cases_pass(shared_dir: Path, case: str) -> None:
    run = runner_of(GoldenSet(shared_dir / "golden/A"), case)
    assert run is not None
    assert [check for check in run().checks if not check.ok] == []
