"""The tables can be read: every row has its source, and the cells say what the rules apply."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from doctor.__main__ import main
from doctor.tables import table, table_names, table_row

if TYPE_CHECKING:
    import pytest


def test_every_row_names_its_source() -> None:
    for name in table_names():
        read = table(name)
        assert read.columns[-1] == "source"
        assert all(len(row) == len(read.columns) and row[-1] for row in read.rows), name
        assert len(read.rows) > 20
        assert read.about.as_of >= "2026-11"
        assert read.about.sources


def test_a_driver_row_counts_minor_version_compatibility() -> None:
    rows = {row["CUDA"]: row for row in table_row(table("drivers"))["rows"]}
    assert (rows["12.8"]["runs from driver"], rows["12.8"]["in full from driver"]) == ("525.60.13", "570.26")
    assert rows["13.0"]["runs from driver"] == rows["13.0"]["in full from driver"] == "580.65.06"
    assert rows["10.2"]["runs from driver"] == "440.33"


def test_a_toolkit_row_names_its_compilers() -> None:
    rows = {row["CUDA"]: row for row in table_row(table("toolkits"))["rows"]}
    assert (rows["11.5"]["GCC"], rows["11.5"]["clang up to"], rows["11.5"]["source"]) == ("6 to 11", "12", "secondary")


def test_an_architecture_row_says_from_when_to_when() -> None:
    rows = {row["GPU"]: row for row in table_row(table("archs"))["rows"]}
    assert (rows["sm_70"]["nvcc from"], rows["sm_70"]["nvcc up to"]) == ("10.0", "12.9")
    assert (rows["sm_70"]["last driver branch"], rows["sm_75"]["last driver branch"]) == ("580", "")
    assert rows["sm_120"]["nvcc up to"] == ""
    assert rows["sm_89"]["runs code for"] == "sm_80 sm_86 sm_88 sm_89"


def test_torch_stands_newest_first_with_one_row_a_build() -> None:
    rows = table_row(table("torch"))["rows"]
    assert rows[0]["torch"] == "2.15"
    assert {row["CUDA"] for row in rows if row["torch"] == "1.9"} == {"10.2", "11.1"}
    assert {row["NumPy"] for row in rows if row["torch"] in {"1.9", "2.15"}} == {"1", "1 and 2"}


def test_one_table_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tables", "drivers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "drivers: the oldest driver that runs each CUDA (as of 2026-11)"
    assert lines[3].split() == ["CUDA", "runs", "from", "driver", "in", "full", "from", "driver", "source"]
    assert lines[4] == "  13.3  580.65.06         610.43.02            secondary-x2"


def test_all_tables_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tables", "--lang", "zh"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n\n") == len(table_names()) - 1
    assert "drivers：各版本 CUDA 所需的最低驱动（截至 2026-11）" in printed


def test_tables_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tables", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in document["tables"]] == list(table_names())


def test_a_table_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tables", "gpus"]) == 2
    assert "--tables gpus: expected one of drivers, toolkits, archs, torch" in capsys.readouterr().err
