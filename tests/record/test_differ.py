"""Two records side by side: what is likely to have moved the metric stands first, and consequences are no causes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repro.__main__ import main
from repro.record.differ import RANKS, differ, figures, rank_of
from repro.record.schema import Record, text_of
from tests.plain_run import DESK, FULL, TINY, VAL, measured
from tests.record.sample import plain_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def recipe_with(table: str, **changes: object) -> dict[str, object]:
    recipe = TINY.model_dump(mode="json")
    return recipe | {table: recipe[table] | changes}


def test_equal_runs_have_no_difference_whenever_they_were() -> None:
    assert differ(plain_record(), plain_record(written="2027-01-01T00:00:00Z", doctor=None)) == ()


def test_what_decides_stands_before_what_is_noise() -> None:
    other = plain_record(
        machine=replace(DESK, device_name="Another Processor", cores=64),
        numerics=plain_record().numerics.model_copy(update={"threads": 64}),
        recipe=recipe_with("optimizer", lr=1e-4),
        data=replace(VAL, fingerprint="other"),
        smoke=True,
    )
    names = [difference.name for difference in differ(plain_record(), other)]
    assert names == [
        "smoke",
        "data.fingerprint",
        "recipe.optimizer.lr",
        "numerics.threads",
        "machine.device_name",
        "machine.cores",
    ]


def test_a_difference_has_both_values_and_a_reason() -> None:
    other = plain_record(recipe=recipe_with("optimizer", lr=1e-4))
    (found,) = differ(plain_record(), other)
    assert (found.likely, found.one, found.other) == ("large", "0.0002", "0.0001")
    assert found.why.startswith("the learning rate")


def test_figures_and_losses_are_consequences_and_not_listed_as_causes() -> None:
    worse = plain_record(metrics=measured(0.318, 0.22), trained=replace(FULL, last_loss=11.0, sha256="1"))
    assert [difference.name for difference in differ(plain_record(), worse)] == ["trained.sha256"]
    assert figures(plain_record(), worse) == {"NDS": (0.3541, 0.318), "mAP": (0.252, 0.22)}


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("recipe.model.quirks.shift_current_ref", 1),
        ("recipe.train.seed", 5),
        ("recipe.title", 8),
        ("source.code.repro/models", 4),
        ("source.commit", 7),
        ("numerics.tf32_matmul", 5),
        ("recipes", 9),
        ("written", 9),
    ],
)
def test_the_longest_fitting_row_ranks_a_name(name: str, rank: int) -> None:
    assert rank_of(name)[0] == rank


def test_every_row_of_the_table_speaks_of_something_that_a_record_holds() -> None:
    def holds(table: Mapping[str, object] | object, parts: list[str]) -> bool:
        if not parts or not isinstance(table, dict):
            return True
        key, *rest = parts
        return any(name == key or name.startswith(f"{key}_") for name in table) and holds(table.get(key), rest)

    document = plain_record().model_dump(mode="json") | {"files": {"start": ""}, "container": {}}
    open_ended = ("source.code.", "stack.packages.")
    for name, _, why in RANKS:
        assert why
        assert name.startswith(open_ended) or holds(document, name.split(".")), name
    assert {name.split(".")[0] for name, _, _ in RANKS} <= set(Record.model_fields)


def test_the_comparison_is_printed_for_people_and_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, record in (("a", plain_record()), ("b", plain_record(recipe=recipe_with("optimizer", lr=1e-4)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(text_of(record))
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NDS 0.3541 → 0.3541 (+0.0000)"
    assert "recipe.optimizer.lr" in lines[3]
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the runs differ in nothing but their times"
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["figures"]["NDS"] == [0.3541, 0.3541]
    assert [row["name"] for row in document["differences"]] == ["recipe.optimizer.lr"]
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "none")]) == 2
    assert "no record.json here" in capsys.readouterr().err
